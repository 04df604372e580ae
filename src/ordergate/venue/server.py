"""Runs the venue as a server of its own: exchange, tapes and faces behind one port of this machine.

Puts the parts together, starts them, and stops them in order. Listens on the loopback interface only.
Decides nothing about orders, and never starts over a state folder that another venue is using.
"""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from aiohttp import web
from msgspec import Struct

from ordergate.venue.exchange import Exchange
from ordergate.venue.faces.admin import PREFIX, AdminFace, TapeCommand
from ordergate.venue.faces.alpaca.access import Doorkeeper, Keyring, RateLimiter
from ordergate.venue.faces.alpaca.calls import Counter
from ordergate.venue.faces.alpaca.endpoint import AlpacaFace, StreamBounds
from ordergate.venue.faults import FaultPlan
from ordergate.venue.state import FileLog
from ordergate.venue.words import Listing

HOST: Final = "127.0.0.1"
SHUTDOWN_TIMEOUT_S: Final = 5.0
LOG_NAME: Final = "decisions.jsonl"
LOCK_NAME: Final = "venue.lock"


class AccountSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account and what opens it. `cash` counts when the account is new to the state folder."""

    id: str
    key: str
    secret: str
    token: str = ""
    cash: Decimal = Decimal(1_000_000)


class VenueSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a venue is started. Port 0 takes a free one; no data_dir means nothing is remembered.

    `rate_limit` is requests per minute and account, 0 for none. Without an admin token there is no
    admin face, and so no faults.
    """

    accounts: tuple[AccountSettings, ...]
    listings: tuple[Listing, ...]
    port: int = 0
    data_dir: Path | None = None
    rate_limit: int = 200
    admin_token: str = ""
    seed: int = 0
    stream_bounds: StreamBounds = StreamBounds()


class VenueCannotStart(Exception):
    """What is in the way, in one sentence that says what to do."""


class _NoTapes:
    def states(self) -> list[Any]:
        return []

    def command(self, command: TapeCommand) -> None:
        raise ValueError("this venue plays no tape")


class Venue:
    """A running venue. `exchange` and `faults` are for tests in the same process; all else goes by wire."""

    def __init__(self, settings: VenueSettings) -> None:
        self._settings = settings
        self._lock: int | None = None
        self._log = None if settings.data_dir is None else FileLog(settings.data_dir / LOG_NAME)
        self.exchange = Exchange(settings.listings, log=self._log)
        self.faults = FaultPlan(settings.seed)
        self.base_url = ""

    async def start(self) -> None:
        self._open_state()
        self._face = self._alpaca_face()
        self._admin = self._admin_face()
        # access_log: one line per request would cost more than the request.
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._settings.port, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        try:
            await site.start()
        except OSError as fault:
            await self.stop()
            raise VenueCannotStart(
                f"the venue cannot listen on {HOST}:{self._settings.port}: {fault.strerror}; "
                "choose another port or stop what uses this one"
            ) from fault
        port = self._runner.addresses[0][1]
        self.base_url = f"http://{HOST}:{port}"

    async def stop(self) -> None:
        """Close streams, let requests finish, and leave the state folder to the next one."""
        await self._face.stop()
        await self._runner.cleanup()
        if self._log is not None:
            self._log.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._admin is not None and request.path.startswith(PREFIX):
            return await self._admin.handle(request)
        return await self._face.handle(request)

    def _open_state(self) -> None:
        now = _now()
        if self._log is not None and self._settings.data_dir is not None:
            self._lock = _lock(self._settings.data_dir)
            self.exchange.restore(self._log.read(), now)
        for account in self._settings.accounts:
            self.exchange.open_account(account.id, account.cash, now)

    def _alpaca_face(self) -> AlpacaFace:
        return AlpacaFace(
            Counter(self.exchange, _now, lambda: str(uuid4())),
            Doorkeeper(
                Keyring(account=it.id, key=it.key, secret=it.secret, token=it.token)
                for it in self._settings.accounts
            ),
            RateLimiter(self._settings.rate_limit),
            self.faults,
            epoch_s=time.time,
            bounds=self._settings.stream_bounds,
        )

    def _admin_face(self) -> AdminFace | None:
        token = self._settings.admin_token
        return AdminFace(token, self.exchange, self.faults, _NoTapes()) if token else None


def _now() -> datetime:
    return datetime.now(UTC)


def _lock(folder: Path) -> int:
    """Hold the state folder for as long as this process lives."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as fault:
        raise VenueCannotStart(
            f"the venue cannot write to {folder}: {fault.strerror}; choose a folder it may write to"
        ) from fault
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        os.close(lock)
        raise VenueCannotStart(f"another venue is using {folder}; stop it first") from fault
    return lock


@asynccontextmanager
async def running(settings: VenueSettings) -> AsyncIterator[Venue]:
    """A venue for as long as the block lasts: `async with running(settings) as venue: venue.base_url`."""
    venue = Venue(settings)
    await venue.start()
    try:
        yield venue
    finally:
        await venue.stop()


async def serve(settings: VenueSettings, *, ready: Callable[[str], None] | None = None) -> None:
    """Run until SIGTERM or SIGINT. `ready` is told the base URL once requests are answered."""
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    try:
        async with running(settings) as venue:
            if ready is not None:
                ready(venue.base_url)
            await asked_to_stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
