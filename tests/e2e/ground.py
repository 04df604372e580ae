"""A trading floor whose every secret can be rotated, and a load that says whether an order failed meanwhile.

A database with a role that has a password, a login whose credentials are sealed, a receiver of webhooks that
knows one secret at a time. The load is a careful client: an order that was refused because its token ended is
asked for again, with a new token and the same key.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
from aiohttp import web

from ordergate.core.webhook_signatures import is_signed, secret_of
from ordergate.journal.embedded import EmbeddedPostgres
from tests.e2e.client import Answer, Rest, Stream
from tests.e2e.floor import ACCOUNT, Floor, floor
from tests.e2e.pacing import PACE

RATE_HZ: Final = 100
ASKED_AT_ONCE: Final = 100
FILLED_EVERY: Final = 10
LOGIN_S_MAX: Final = 300.0
SETTLE_S_MAX: Final = 60.0
NEWS_S_MAX: Final = 60.0
ROLE: Final = "rotating"
PASSPHRASE: Final = "a passphrase of before any rotation"
ALERTED: Final[dict[str, Any]] = {
    "symbol": "AAPL",
    "side": "buy",
    "type": "limit",
    "limit_price": "171.00",
    "quantity": "1",
}
SETTLED: Final = {"working", "partially_filled", "filled"}
STORED: Final[dict[str, Any]] = {
    "kind": "alpaca",
    "requests_per_minute": 0,
    "resend_is_safe": True,
    "replace_keeps_fills": True,
    "prices": [{"feed": "v2/iex", "symbols": ["ESH4", "AAPL", "MSFT"]}],
}


class Load:
    """An open loop: an order every ten milliseconds, whether or not the ones before were answered.

    A machine that cannot keep up is asked for no more than `ASKED_AT_ONCE` at a time: an answer that came
    after our own patience would look like an order that failed.
    """

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._under_way: set[asyncio.Task[None]] = set()
        self._logging_in = asyncio.Lock()
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE)
        self.answers: Counter[str] = Counter()
        self.orders: list[str] = []
        self.logins = 0
        self.took_s = 0.0
        self.ms: list[float] = []

    async def run(self, stop: asyncio.Event) -> None:
        began, number = time.monotonic(), 0
        while not stop.is_set():
            task = asyncio.create_task(self._place(number))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            number += 1
            await PACE.sleep(max(0.0, began + number / RATE_HZ - time.monotonic()))
        self.took_s = time.monotonic() - began
        await asyncio.gather(*self._under_way)

    async def _place(self, number: int) -> None:
        order = {
            "account_id": ACCOUNT,
            "symbol": "AAPL",
            "side": "buy",
            "type": "limit",
            "quantity": "1",
            "limit_price": "170.00" if number % FILLED_EVERY else "210.00",
            "time_in_force": "gtc",  # midnight ends those of the day
        }
        began = time.monotonic()
        answer = await self._insisted(order, f"rotation-order-{number:08d}")
        self.ms.append((time.monotonic() - began) * 1_000)
        self.answers[f"{answer.status} {answer.code}".strip()] += 1
        if answer.order:
            self.orders.append(answer.order["id"])

    async def _insisted(self, order: dict[str, str], key: str) -> Answer:
        """Asked again only where it was the token that was refused: then nothing has happened."""
        give_up_at = time.monotonic() + LOGIN_S_MAX
        while True:
            async with self._logging_in:
                token = self._rest.headers
            async with self._asking:
                answer = await self._rest.place(order, key=key)
            if answer.status not in (401, 429) or time.monotonic() > give_up_at:
                return answer
            await self._log_in_instead_of(token)

    async def _log_in_instead_of(self, token: dict[str, str]) -> None:
        async with self._logging_in:
            if self._rest.headers is token:
                await self._rest.log_in()
                self.logins += 1


class Receiver:
    """Whoever is told by webhooks, and believes what is signed with the one secret that they know."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.believed = 0
        self.refused = 0
        self._came = asyncio.Event()

    async def receive(self, request: web.Request) -> web.Response:
        body, headers = await request.read(), request.headers
        at, name = int(headers["webhook-timestamp"]), headers["webhook-id"]
        if is_signed(name, at, body, headers["webhook-signature"], [secret_of(self.secret)]):
            self.believed += 1
        else:
            self.refused += 1
        self._came.set()
        return web.Response(status=204)

    async def more(self, messages: int = 3) -> None:
        """Wait until that many more have come. Raises TimeoutError."""
        wanted = self.believed + self.refused + messages
        async with asyncio.timeout(NEWS_S_MAX):
            while self.believed + self.refused < wanted:
                self._came.clear()
                await self._came.wait()


class Ground(msgspec.Struct, frozen=True):
    """All of it, while it runs. `passfile` and `address` are of the database's role."""

    it: Floor
    rest: Rest
    load: Load
    receiver: Receiver
    passfile: Path
    address: str

    async def told(self, *words: str) -> Any:
        """What a command says."""
        return msgspec.json.decode(await self.it.command(*words))

    async def failed(self) -> dict[str, str]:
        """Orders that were not taken, or are not at the broker as they should be once their news has come."""
        wrong = {answer: str(count) for answer, count in self.load.answers.items() if answer != "201"}
        return wrong | await unsettled(self.rest, set(self.load.orders))


@asynccontextmanager
async def ground(base: Path) -> AsyncIterator[Ground]:
    """Everything, under load for as long as the block lasts; afterwards the load is over and answered."""
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    receiver = Receiver(secret)
    for name, content in (
        ("hook-now", secret),
        ("hook-before", secret),
        ("alert-now", PASSPHRASE),
        ("pass", "*:*:*:*:before\n"),
    ):
        (base / name).write_text(content, encoding="utf-8")
        (base / name).chmod(0o600)
    async with (
        EmbeddedPostgres(base / "server") as server,
        _receiving(receiver) as hook_url,
    ):
        address = await with_password(server, base / "pass", "before")
        (base / "address").write_text(address, encoding="utf-8")
        broker = dict(STORED)
        endpoint = {
            "name": "desk",
            "url": hook_url,
            "secrets": [{"file": str(base / "hook-now")}, {"file": str(base / "hook-before")}],
            "streams": ["drop_copy"],
        }
        files = [{"file": str(base / name)} for name in ("alert-now", "alert-before")]
        told = {"field": "word", "time": "at", "id": "id", "secrets": files}
        gateway = {
            "brokers": {"venue": broker},
            "database_url": {"file": str(base / "address")},
            "surveillance": [endpoint],
            "hooks": {"trend": {"account": ACCOUNT, "order": ALERTED, "passphrase": told}},
        }

        def plan(it: Floor) -> None:
            broker["url"] = f"http://127.0.0.1:{it.venue_port}"

        async def begin(it: Floor) -> None:
            await it.command("migrate")
            first = pair(it, "floor-key", "floor-secret")
            await it.command("credentials", "begin", "venue", "--from", first)

        async with floor(base / "floor", plan=plan, before=begin, gateway=gateway) as it:
            rest = await logged_in(it)
            load, stop = Load(rest), asyncio.Event()
            loading = asyncio.create_task(load.run(stop))
            try:
                made = Ground(it, rest, load, receiver, base / "pass", address)
                yield made
                stop.set()
                await loading
                failed = await made.failed()
                assert failed == {}, f"failed orders: {failed}"
            finally:
                stop.set()
                loading.cancel()
                await asyncio.gather(loading, return_exceptions=True)


async def logged_in(it: Floor) -> Rest:
    """A client of its own, once there is a price to judge its orders by."""
    rest = Rest(it)
    await rest.log_in()
    stream = Stream(it, rest)
    await stream.watch_quotes(["AAPL"])
    await stream.close()
    return rest


@asynccontextmanager
async def _receiving(receiver: Receiver) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/hook", receiver.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        await runner.cleanup()


async def with_password(server: EmbeddedPostgres, passfile: Path, password: str) -> str:
    """The address of a database for a role that is let in by its password alone."""
    dsn = await server.database("ordergate_paper")
    rules = server.folder / "pgdata" / "pg_hba.conf"
    kept = rules.read_text(encoding="utf-8")
    rules.write_text(f"local all {ROLE} scram-sha-256\n{kept}", encoding="utf-8")
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"create role {ROLE} superuser login password '{password}'")
        await connection.execute("select pg_reload_conf()")
    finally:
        await connection.close()
    scheme, _, rest = dsn.partition("://")
    place = rest.rpartition("@")[2]
    joint = "&" if "?" in place else "?"
    return f"{scheme}://{ROLE}@{place}{joint}passfile={passfile}"


def pair(it: Floor, key: str, secret: str) -> str:
    file = it.folder / "secrets" / f"{key}.json"
    file.write_text(json.dumps({"key_id": key, "secret_key": secret}), encoding="utf-8")
    return str(file)


async def unsettled(rest: Rest, ids: set[str]) -> dict[str, str]:
    """Orders that are not at the broker as they should be, once their news had time to come."""
    give_up_at = time.monotonic() + SETTLE_S_MAX
    while True:
        found = await rest.every(f"/v1/orders?account_id={ACCOUNT}", "orders")
        failed = {
            order["id"]: order["status"]
            for order in found
            if order["id"] in ids and order["status"] not in SETTLED
        }
        missing = ids - {order["id"] for order in found}
        failed |= dict.fromkeys(missing, "missing")
        if not failed or time.monotonic() > give_up_at:
            return failed
        await PACE.sleep(0.2)
