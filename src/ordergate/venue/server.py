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
from pathlib import Path
from typing import Final
from uuid import uuid4

from aiohttp import web

from ordergate.venue.exchange import Exchange
from ordergate.venue.faces import oauth
from ordergate.venue.faces.admin import PREFIX, AdminFace
from ordergate.venue.faces.alpaca.access import Doorkeeper, Keyring, RateLimiter
from ordergate.venue.faces.alpaca.calls import Counter
from ordergate.venue.faces.alpaca.endpoint import AlpacaFace
from ordergate.venue.faults import FaultPlan
from ordergate.venue.sessions import Sessions
from ordergate.venue.settings import TapeSettings, VenueSettings, tape_of
from ordergate.venue.state import Decision, FileLog, OrderTaken, StateCorrupt
from ordergate.venue.tape.player import Player
from ordergate.venue.tape.records import TapeUnreadable
from ordergate.venue.tape_deck import TapeDeck

SHUTDOWN_TIMEOUT_S: Final = 5.0
LOG_NAME: Final = "decisions.jsonl"
LOCK_NAME: Final = "venue.lock"


class VenueCannotStart(Exception):
    """What is in the way, in one sentence that says what to do."""


class Venue:
    """A running venue. `exchange` and `faults` are for tests in the same process; all else goes by wire."""

    def __init__(self, settings: VenueSettings) -> None:
        self._settings = settings
        self._lock: int | None = None
        self._log = None if settings.data_dir is None else FileLog(settings.data_dir / LOG_NAME)
        self.exchange = Exchange(settings.listings, log=self._log)
        self.faults = FaultPlan(settings.seed)
        self._sessions = Sessions(self.exchange)
        self._ending: asyncio.Task[None] | None = None
        self.base_url = ""
        self._doorkeeper = Doorkeeper(
            Keyring(account=it.id, key=it.key, secret=it.secret, token=it.token) for it in settings.accounts
        )

    async def start(self) -> None:
        """Answer requests once this returns. Raises VenueCannotStart, and leaves nothing behind then."""
        self._deck = TapeDeck(self._players())
        self._face = self._alpaca_face()
        self._admin = self._admin_face()
        self._oauth = self._oauth_face()
        # access_log: one line per request would cost more than the request.
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        await self._runner.setup()
        try:
            self._open_state()
            self._deck.start()
            self._ending = asyncio.create_task(self._sessions.run(), name="sessions")
            await self._listen()
        except VenueCannotStart:
            await self.stop()
            raise
        self.base_url = f"http://{self._settings.host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close streams, let requests finish, and leave the state folder to the next one."""
        await self._deck.stop()
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)
        await self._face.stop()
        await self._runner.cleanup()
        if self._log is not None:
            self._log.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def is_heard_by(self, account: str) -> bool:
        """Whether some trade updates stream listens for this account by now."""
        return self._face.is_heard_by(account)

    def is_watched(self, symbol: str) -> bool:
        """Whether some market data stream is subscribed to this symbol by now."""
        return self._face.is_watched(symbol)

    def add_key(self, account: str, key: str, secret: str) -> None:
        """A further key pair of the account, until the venue stops. Raises ValueError."""
        self._doorkeeper.add(Keyring(account=account, key=key, secret=secret))

    def revoke_key(self, key: str) -> int | None:
        """It opens nothing any more, and the streams it opened end; None where there is no such key."""
        return self._face.end_streams_of(key) if self._doorkeeper.remove(key) else None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._admin is not None and request.path.startswith(PREFIX):
            return await self._admin.handle(request)
        if self._oauth is not None and request.path.startswith(oauth.PREFIX):
            return await self._oauth.handle(request)
        return await self._face.handle(request)

    async def _listen(self) -> None:
        try:
            await web.TCPSite(self._runner, self._settings.host, self._settings.port).start()
        except OSError as fault:
            raise VenueCannotStart(
                f"the venue cannot listen on {self._settings.host}:{self._settings.port} "
                f"({os.strerror(fault.errno or 0)}): "
                "choose another port, or stop what uses this one"
            ) from fault

    def _open_state(self) -> None:
        try:
            self._be_again(_now())
        except StateCorrupt as fault:
            folder = self._settings.data_dir
            raise VenueCannotStart(
                f"{folder}: {fault}; list it as it was, or move the folder away to start afresh"
            ) from fault
        except OSError as fault:
            raise VenueCannotStart(
                f"the venue cannot use its decision log in {self._settings.data_dir}: {fault.strerror}; "
                "let it read and write there, or choose another folder"
            ) from fault

    def _be_again(self, now: datetime) -> None:
        """What an earlier process was, with the accounts of the settings."""
        if self._log is not None and self._settings.data_dir is not None:
            self._lock = _lock(self._settings.data_dir)
            self.exchange.restore(self._remembered(self._log, self._settings.data_dir), now)
            self._sessions.end_past()  # before a tape plays, which could fill them
        for account in self._settings.accounts:
            self.exchange.open_account(account.id, account.cash, now)

    def _remembered(self, log: FileLog, folder: Path) -> list[Decision]:
        try:
            decisions = log.read()
        except StateCorrupt as fault:
            raise VenueCannotStart(f"{fault}; move {folder} away to start afresh") from fault
        traded = {it.order.ticket.symbol for it in decisions if isinstance(it, OrderTaken)}
        gone = sorted(traded - self.exchange.listings.keys())
        if gone:
            raise VenueCannotStart(
                f"{folder} remembers orders in {', '.join(gone)}: list that again, or move the folder away"
            )
        return decisions

    def _players(self) -> list[Player]:
        return [self._player(settings) for settings in self._settings.tapes]

    def _player(self, settings: TapeSettings) -> Player:
        listing = self.exchange.listings.get(settings.symbol)
        if listing is None:
            raise VenueCannotStart(f"a tape plays {settings.symbol}, which is not listed")
        try:
            return Player(
                self.exchange,
                tape_of(settings, listing, self._settings.seed),
                speed=self._settings.speed,
                offset_s=settings.offset_s,
                loop=settings.loop,
                paused=self._settings.paused,
            )
        except (OSError, TapeUnreadable, ValueError) as fault:
            raise VenueCannotStart(f"the tape of {settings.symbol} cannot be played: {fault}") from fault

    def _alpaca_face(self) -> AlpacaFace:
        return AlpacaFace(
            Counter(self.exchange, _now, lambda: str(uuid4())),
            self._doorkeeper,
            RateLimiter(self._settings.rate_limit),
            self.faults,
            epoch_s=time.time,
            bounds=self._settings.stream_bounds,
        )

    def _oauth_face(self) -> oauth.OAuthFace | None:
        if not self._settings.oauth_clients:
            return None
        return oauth.OAuthFace(
            self._settings.oauth_clients,
            self._doorkeeper,
            token_s=self._settings.oauth_token_s,
            monotonic=time.monotonic,
            ended=self._face.end_streams_of,
        )

    def _admin_face(self) -> AdminFace | None:
        token = self._settings.admin_token
        return AdminFace(token, self.exchange, self.faults, self._deck, self) if token else None


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
