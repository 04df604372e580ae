"""A trading floor for tests: `ordergate venue` and `ordergate serve` over one folder, apart.

`async with floor(folder) as it:` starts both and waits until orders are taken. The gateway keeps
its port and its data over `kill()` and `start()`, as a service manager would restart it; the venue
goes on through all of it, with faults and steps of its tapes on request.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import yaml

from ordergate.core.access import OF_ACCESS, Scope
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.venue.faces.admin import AccountLedger
from ordergate.venue.faults import Fault, FaultState
from ordergate.wiring import demo
from ordergate.wiring.serving import kept_port
from tests.dose import dose
from tests.e2e.pacing import PACE

ADMIN_TOKEN: Final = "a-token-for-tests-only"
CLIENT_ID: Final = "trader"
ACCOUNT: Final = str(demo.ACCOUNT)
CASH: Final = "100000000"
START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 20.0
COMMAND_S_MAX: Final = dose(60, 600)  # a long dose leaves a long journal to verify
LOGIN_EVERY_S: Final = 0.75
POLL_S: Final = 0.02

LIMITS: Final[dict[str, Any]] = {
    "version": 1,
    "enabled": True,
    "max_open_orders": 100_000,
    "max_open_notional": "100000000000",
    "message_windows": [[1_000_000, 1]],
    "order_types": ["market", "limit", "stop", "stop_limit"],
    "sides": ["buy", "sell"],
    "times_in_force": ["day", "gtc", "ioc", "fok"],
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
NO_TRIPS: Final = {
    "errors": 0,
    "executions": 0,
    "stale_prices_s": 0,
    "stale_stream_s": 0,
    "nodes_every_s": 0,
}
"""Floors are hurt on purpose, again and again: a gateway that stopped for it would show nothing."""
RHYTHM: Final = {"interval_s": 3.0, "suspicion_s": 0.3, "unanswered_s_min": 1.0, "settle_s": 4.0}


class Floor:
    """`door` and `venue_door` are the ports by which clients reach the gateway and it the venue, where
    something stands between; `environment` and `program` are what the gateway is started with.

    Its ports are its own until it is stopped: while a gateway is away no other test is given them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept = ExitStack()
        self.port = self.door = self.own_port()
        self.venue_port = self.venue_door = self.own_port()
        self.environment: dict[str, str] = {}
        self.program = [sys.executable, "-m", "ordergate"]
        self.kills = 0
        self.client_secret = ""
        self.http: aiohttp.ClientSession
        self._gateway: subprocess.Popen[bytes] | None = None
        self._venue: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Where clients are told to come."""
        return f"http://127.0.0.1:{self.door}"

    @property
    def venue_url(self) -> str:
        return f"http://127.0.0.1:{self.venue_port}"

    def own_port(self) -> int:
        """One more port that nobody else is given, whether or not somebody listens on it."""
        return self._kept.enter_context(kept_port())

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
        venue_url = f"http://127.0.0.1:{self.venue_door}"
        plain = demo.gateway_plain(self.folder, port=self.port, venue_url=venue_url)
        plain["public_url"] = self.base_url
        plain["accounts"][ACCOUNT]["limits"] = LIMITS
        plain["reconciliation"] = RHYTHM
        plain["trips"] = NO_TRIPS
        plain |= gateway
        (self.folder / "gateway.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")

    async def start_venue(self) -> None:
        self._venue = self._spawn("venue", "venue")
        await self._ready("venue", self._venue)

    async def start(self) -> None:
        """Start the gateway and wait until it answers; what it lacks yet, /readyz says."""
        self._gateway = self._spawn("gateway", "serve")
        await self._ready("gateway", self._gateway)

    def start_to_die(self) -> None:
        """Start a gateway that is told to die on its way; `until_dead` waits for that."""
        self._gateway = self._spawn("gateway", "serve")

    async def until_dead(self, timeout_s: float = START_S_MAX) -> None:
        """Wait until the gateway has killed itself where it was told to."""
        code = await self.until_ended(timeout_s)
        assert code == -signal.SIGKILL, f"the gateway ended with {code}:\n{self.log('gateway')}"
        self.kills += 1

    async def until_ended(self, timeout_s: float = START_S_MAX) -> int:
        """Wait until the gateway has ended by itself; its exit code."""
        assert self._gateway is not None
        return await asyncio.to_thread(self._gateway.wait, timeout_s)

    async def is_ready(self) -> bool:
        async with self.http.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
            return answer.status == 200

    async def until_ready(self, timeout_s: float = START_S_MAX) -> None:
        """Wait until every account takes orders."""
        said: object = None
        give_up_at = time.monotonic() + timeout_s
        while time.monotonic() < give_up_at:
            try:
                async with self.http.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
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

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP or SIGCONT, for a gateway that does nothing for a while."""
        assert self._gateway is not None
        self._gateway.send_signal(number)

    def is_asleep(self) -> bool:
        """Whether the gateway's process is stopped, by us or by itself."""
        assert self._gateway is not None
        about = Path(f"/proc/{self._gateway.pid}/stat").read_text(encoding="ascii", errors="replace")
        return about.rpartition(")")[2].split()[0] == "T"

    async def stop(self) -> None:
        """Stop both in order, as a person would; nothing is left running."""
        for process in (self._gateway, self._venue):
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if (self.folder / "postgres" / "pgdata" / "postmaster.pid").exists():
            # The gateway was killed and never started again: its database server is still there.
            async with EmbeddedPostgres(self.folder / "postgres"):
                pass
        self._kept.close()

    def log(self, role: str, lines: int = 15) -> str:
        """The last lines that a process wrote."""
        path = self.folder / f"{role}.log"
        said = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return "\n".join(said.splitlines()[-lines:])

    async def command(self, *words: str) -> bytes:
        """A command of the command line over the gateway's settings; what it printed."""
        config = str(self.folder / "gateway.yaml")
        asked = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ordergate", *words, "--config", config, "--json",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            said, complained = await asyncio.wait_for(asked.communicate(), COMMAND_S_MAX)
        finally:
            if asked.returncode is None:
                asked.kill()
                await asked.wait()
        assert asked.returncode == 0, f"{words}: exit {asked.returncode}: {said!r} {complained!r}"
        return said

    async def register(self) -> None:
        """Make the client known; the running gateway hears of it within seconds."""
        scopes = (word for scope in sorted(set(Scope) - OF_ACCESS) for word in ("--scope", scope.value))
        words = ("clients", "add", CLIENT_ID, "--account", ACCOUNT, *scopes)
        told = msgspec.json.decode(await self.command(*words))
        self.client_secret = told["client_secret"]

    async def token(self) -> str:
        """A fresh access token by client credentials, as soon as the gateway knows the client."""
        headers = {"Authorization": aiohttp.encode_basic_auth(CLIENT_ID, self.client_secret)}
        grant = {"grant_type": "client_credentials"}
        give_up_at = time.monotonic() + START_S_MAX
        while True:
            async with self.http.post(f"{self.base_url}/oauth/token", data=grant, headers=headers) as answer:
                told = await answer.json()
            if answer.status == 200:
                return str(told["access_token"])
            assert time.monotonic() < give_up_at, f"no token: {answer.status} {told}"
            await PACE.sleep(LOGIN_EVERY_S)

    async def _ready(self, role: str, process: subprocess.Popen[bytes]) -> None:
        give_up_at = time.monotonic() + START_S_MAX
        while not self._ready_file(role).exists():
            if process.poll() is not None or time.monotonic() > give_up_at:
                process.kill()
                raise AssertionError(f"the {role} did not start:\n{self.log(role)}")
            await PACE.sleep(POLL_S)

    def _spawn(self, role: str, command: str) -> subprocess.Popen[bytes]:
        ready = self._ready_file(role)
        ready.unlink(missing_ok=True)
        words = [*self.program, command]
        words += ["--config", str(self.folder / f"{role}.yaml"), "--ready-file", str(ready)]
        environment = {**os.environ, **(self.environment if role == "gateway" else {})}
        with (self.folder / f"{role}.log").open("ab") as log:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment,
            )

    def _ready_file(self, role: str) -> Path:
        return self.folder / f"{role}.ready"

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

    async def prove_journal(self) -> int:
        """How many events the account has, once every seal holds and every row is what they amount to."""
        events = 0
        for proof in ("verify", "replay"):
            told = msgspec.json.decode(await self.command("journal", proof))
            assert told["clean"], told
            events = {one["account"]: one["events"] for one in told["accounts"]}[ACCOUNT]
        return events


@asynccontextmanager
async def floor(
    folder: Path,
    *,
    tapes: list[dict[str, Any]] | None = None,
    venue: Mapping[str, Any] | None = None,
    gateway: Mapping[str, Any] | None = None,
    plan: Callable[[Floor], None] | None = None,
    before: Callable[[Floor], Awaitable[None]] | None = None,
) -> AsyncIterator[Floor]:
    """Both processes for as long as the block lasts, ready to trade.

    `plan` may set the floor's doors, environment and program; `before` comes between the two starts.
    """
    it = Floor(folder)
    if plan is not None:
        plan(it)
    it.write(tapes=SYNTHETIC if tapes is None else tapes, venue=venue or {}, gateway=gateway or {})
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as it.http:
        try:
            await it.start_venue()
            if before is not None:
                await before(it)
            await it.start()
            await it.register()
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
