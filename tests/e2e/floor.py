"""A trading floor for tests: a venue process and a gateway process over one folder.

`async with floor(folder) as it:` starts both and waits until orders are taken. The gateway keeps
its port and its data over `kill()` and `start()`, as a service manager would restart it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import yaml

from ordergate.journal.verify import Report, verify
from ordergate.venue.faces.admin import AccountLedger
from ordergate.venue.faults import Fault, FaultState
from ordergate.wiring import demo
from tests.e2e.child import Started
from tests.e2e.pacing import PACE

ROOT: Final = Path(__file__).parents[2]
ADMIN_TOKEN: Final = "a-token-for-tests-only"
ACCOUNT: Final = str(demo.ACCOUNT)
CASH: Final = "100000000"
START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 20.0
POLL_S: Final = 0.02

LIMITS: Final[dict[str, Any]] = {
    "version": 1,
    "enabled": True,
    "max_open_orders": 100_000,
    "max_open_notional": "100000000000",
    "message_windows": [[1_000_000, 1]],
    "duplicate_window_s": "0",
    "reference_price_max_age_s": "86400",
    "buying_power_max_age_s": "86400",
    "instruments": {
        one["symbol"]: {
            "max_order_quantity": "100000",
            "max_order_notional": "1000000000",
            "max_long": "1000000",
            "max_short": "1000000",
            "collar_percent": "20",
            "initial_margin": "12000",
        }
        for one in demo.INSTRUMENTS
    },
}

# Quick to doubt and to look again, so that what faults hid is found within seconds.
RHYTHM: Final = {"interval_s": 3.0, "suspicion_s": 0.3, "unanswered_s_min": 1.0, "settle_s": 4.0}


class Floor:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.venue_port = free_port()
        self.kills = 0
        self.http: aiohttp.ClientSession
        self._gateway: subprocess.Popen[bytes] | None = None
        self._venue: subprocess.Popen[bytes] | None = None
        self._started: Started | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def venue_url(self) -> str:
        return f"http://127.0.0.1:{self.venue_port}"

    @property
    def client_secret(self) -> str:
        assert self._started is not None
        return self._started.client_secret

    @property
    def gateway_pid(self) -> int:
        assert self._gateway is not None
        return self._gateway.pid

    # The processes

    def write(
        self, *, tapes: list[dict[str, Any]], venue: Mapping[str, Any], gateway: Mapping[str, Any]
    ) -> None:
        """Write both files of settings; `venue` and `gateway` are laid over the demo's own."""
        secrets = self.folder / "secrets"
        secrets.mkdir(parents=True)
        (secrets / "venue-key").write_text("floor-key", encoding="utf-8")
        (secrets / "venue-secret").write_text("floor-secret", encoding="utf-8")
        plain = demo.venue_plain(
            self.folder, port=self.venue_port, key="floor-key", secret="floor-secret", recorded=[], speed=1.0
        )
        plain["accounts"][0]["cash"] = CASH
        plain |= {"tapes": tapes, "admin_token": ADMIN_TOKEN, **venue}
        (self.folder / "venue.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
        plain = demo.gateway_plain(self.folder, port=self.port, venue_url=self.venue_url)
        plain["accounts"][ACCOUNT]["limits"] = LIMITS
        plain["reconciliation"] = RHYTHM
        plain |= gateway
        (self.folder / "gateway.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")

    async def start_venue(self) -> None:
        self._venue, _ = await self._launch("venue")

    async def start(self) -> None:
        """Start the gateway and wait until it answers; what it lacks yet, /readyz says."""
        self._gateway, told = await self._launch("gateway")
        self._started = msgspec.json.decode(told, type=Started)

    async def until_ready(self, timeout_s: float = START_S_MAX) -> None:
        """Wait until every account takes orders."""
        said: object = None
        give_up_at = time.monotonic() + timeout_s
        while time.monotonic() < give_up_at:
            try:
                async with self.http.get(f"{self.base_url}/readyz") as answer:
                    said = await answer.json()
                    if answer.status == 200:
                        return
            except aiohttp.ClientError as fault:
                said = fault
            await PACE.sleep(POLL_S)
        raise AssertionError(f"the gateway is not ready after {timeout_s} s: {said}\n{self.log('gateway')}")

    def kill(self) -> None:
        """kill -9, in the middle of whatever the gateway is doing."""
        assert self._gateway is not None
        self._gateway.send_signal(signal.SIGKILL)
        self._gateway.wait(STOP_S_MAX)
        self.kills += 1

    async def stop(self) -> None:
        """Stop both in order, as a person would; nothing is left running."""
        for process in (self._gateway, self._venue):
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self, role: str, lines: int = 15) -> str:
        """The last lines that a process wrote."""
        path = self.folder / f"{role}.log"
        said = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return "\n".join(said.splitlines()[-lines:])

    async def _launch(self, role: str) -> tuple[subprocess.Popen[bytes], bytes]:
        ready = self.folder / f"{role}.ready"
        ready.unlink(missing_ok=True)
        process = self._spawn(role, ready)
        give_up_at = time.monotonic() + START_S_MAX
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > give_up_at:
                process.kill()
                raise AssertionError(f"the {role} did not start:\n{self.log(role)}")
            await PACE.sleep(POLL_S)
        return process, ready.read_bytes()

    def _spawn(self, role: str, ready: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.e2e.child", role]
        command += [str(self.folder / f"{role}.yaml"), str(ready)]
        with (self.folder / f"{role}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    # The venue's own face

    async def admin(self, method: str, path: str, body: object = None) -> bytes:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        data = None if body is None else msgspec.json.encode(body)
        url = f"{self.venue_url}/_admin/{path}"
        async with self.http.request(method, url, data=data, headers=headers) as answer:
            content = await answer.read()
            assert answer.status < 300, f"{method} {path}: {answer.status} {content!r}"
            return content

    async def ledger(self) -> AccountLedger:
        """What the venue itself holds true of the account."""
        return msgspec.json.decode(
            await self.admin("GET", f"ledger/{demo.VENUE_ACCOUNT}"), type=AccountLedger
        )

    async def add_fault(self, fault: Fault) -> FaultState:
        return msgspec.json.decode(await self.admin("POST", "faults", fault), type=FaultState)

    async def faults(self) -> list[FaultState]:
        return msgspec.json.decode(await self.admin("GET", "faults"), type=list[FaultState])

    async def end_faults(self) -> None:
        await self.admin("DELETE", "faults")

    async def tape(self, **command: object) -> None:
        await self.admin("POST", "tape", command)

    # The journal

    async def verify(self) -> Report:
        """The chain of every account, as `ordergate journal verify` proves it."""
        assert self._started is not None
        return await verify(self._started.dsn)


@asynccontextmanager
async def floor(
    folder: Path,
    *,
    tapes: list[dict[str, Any]] | None = None,
    venue: Mapping[str, Any] | None = None,
    gateway: Mapping[str, Any] | None = None,
) -> AsyncIterator[Floor]:
    """Both processes for as long as the block lasts, ready to trade."""
    it = Floor(folder)
    it.write(tapes=SYNTHETIC if tapes is None else tapes, venue=venue or {}, gateway=gateway or {})
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as it.http:
        try:
            await it.start_venue()
            await it.start()
            await it.until_ready()
            yield it
        finally:
            await it.stop()


def synthetic(symbol: str, price: str, *, seed: int, rate_hz: float = 20.0) -> dict[str, Any]:
    return {"type": "synthetic", "symbol": symbol, "price": price, "seed": seed, "rate_hz": rate_hz}


SYNTHETIC: Final = [
    synthetic("ESH4", "4800.00", seed=1),
    synthetic("AAPL", "190.00", seed=2),
    synthetic("MSFT", "370.00", seed=3),
    synthetic("BTC/USD", "43000.00", seed=4),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def repeatable(test: str) -> Iterator[int]:
    """The test's seed: the environment's to repeat a run, else always the same; named in every failure."""
    given = os.environ.get("ORDERGATE_SEED")
    seed = sum(test.encode()) if given is None else int(given)
    try:
        yield seed
    except BaseException as error:
        error.add_note(f"repeat it with ORDERGATE_SEED={seed}")
        raise
