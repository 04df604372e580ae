"""OWASP API10: a broker that answers anything at all, all the way through the dispatcher into the books.

None of these answers names our order, or refuses it in the broker's own words. So nothing follows from any:
the order is unknown, nothing is held, filled or sent again, and the next order goes its way. The figures of a
long dose are kept where somebody wants them.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final
from unittest.mock import patch

from ordergate.brokers._shared.lines import HttpLimits
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.core.ids import ClOrdId, OrderId, Paper
from ordergate.core.orders.terms import Terms
from ordergate.ports.broker import Outcome, Veto
from tests.brokers import alpaca_documents as documents
from tests.brokers.alpaca_account import Alpaca, broker_of
from tests.brokers.sockets import Act, ByteServer, Exchange, byte_server, raw, resets, says, then_cuts
from tests.brokers.world import HandClock
from tests.dose import dose
from tests.engine import stage as stages
from tests.engine.stage import Stage
from tests.keeping import keep

AT_ONCE: Final = 100
"""So many orders to one engine: a new one begins with clean books."""
PATIENCE_S: Final = 20.0
NAMES: Final = (*documents.order("x"), "code", "legs", "__proto__", "", "é", "a" * 300)
QUICK: Final = HttpLimits(connect_s=5.0, total_s=5.0)


class Astray(PaperBroker[Paper]):
    """The twin in everything, except that it places over the real adapter, at whoever answers there."""

    there: Alpaca

    async def place(self, cl_ord_id: ClOrdId, terms: Terms, veto: Veto) -> Outcome:
        return await self.there.place(cl_ord_id, terms, veto)


def anything(chance: Random, depth: int = 0) -> Any:
    """Any JSON, of the names that an answer has."""
    kinds = 6 if depth > 3 else 8
    match chance.randrange(kinds):
        case 0:
            return None
        case 1:
            return chance.choice([True, False])
        case 2:
            return chance.choice([0, -1, 1.5, 10**30, -(10**30), 1e308])
        case 3:
            return "".join(chance.choice('ab0-.:eE+"\\\n\0é💥 ') for _ in range(chance.randrange(12)))
        case 4:
            return chance.choice(["NaN", "Infinity", "-1", "1e999", "9" * 400, "2024-13-99T99:99:99Z"])
        case 5:
            return chance.choice(["new", "filled", "canceled", "rejected", "replaced", "accepted"])
        case 6:
            return [anything(chance, depth + 1) for _ in range(chance.randrange(4))]
        case _:
            return {chance.choice(NAMES): anything(chance, depth + 1) for _ in range(chance.randrange(6))}


def unnamed(chance: Random, document: Any) -> Any:
    """The document without what would make it a yes to our order, or a no in the broker's words."""
    if isinstance(document, dict):
        document.pop("client_order_id", None)
        document.pop("message", None)
    return document


def some_json(chance: Random, name: str) -> bytes:
    return json.dumps(unnamed(chance, anything(chance))).encode()


def anothers(chance: Random, name: str) -> bytes:
    """A perfect yes, to another order."""
    other = chance.choice([name[:-1], name + "0", name.swapcase(), "", "P-000000000000000000-1", name + "\0"])
    status = chance.choice(["new", "filled"])
    return json.dumps(documents.order(other, status=status, filled_qty="1")).encode()


def bent(chance: Random, name: str) -> bytes:
    """A yes to ours, of which something that it needs is gone or no text."""
    document = documents.order(name)
    field = chance.choice(["id", "client_order_id", "status", "symbol", "qty"])
    if field in ("id", "client_order_id") and chance.random() < 0.5:
        del document[field]
    else:
        document[field] = chance.choice([7, 1.5, True, [name], {"id": name}])
    return json.dumps(document).encode()


def broken(chance: Random, name: str) -> bytes:
    """No JSON, or one with two readings, too deep or too long."""
    whole = json.dumps(documents.order(name)).encode()
    match chance.randrange(6):
        case 0:
            return whole[: chance.randrange(len(whole))]
        case 1:
            return whole[:-1] + b',"client_order_id":"another"}'
        case 2:
            return b"[" * chance.choice([100, 100_000])
        case 3:
            return chance.randbytes(chance.randrange(1, 200))
        case 4:
            return whole.replace(b'"10"', b"NaN", 1)
        case _:
            return b'{"id":"' + b"x" * 5_000_000 + b'"}'


STATUSES: Final = (200, 200, 200, 200, 201, 202, 204, 207, 400, 403, 422, 500, 503)
REFUSALS: Final = (400, 403, 422)
MEDIA: Final = (*["application/json"] * 6, "text/html", "application/json; charset=utf-16")
LIMITS: Final = ("", "-1", "NaN", "9" * 40)
BODIES: Final[tuple[Callable[[Random, str], bytes], ...]] = (some_json, anothers, bent, broken)
FRAMES: Final = (
    b"",
    b"\0" * 40,
    b"HTTP/9.9 200 OK\r\n\r\n",
    b"HTTP/1.1 999999999999 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 400_000 + b"\r\n\r\n",
)


def act_of(chance: Random, kinds: Counter[str]) -> Act:
    """What the broker does with the next request."""

    async def act(exchange: Exchange) -> None:
        name = exchange.json["client_order_id"]
        if chance.random() < 0.2:
            kinds["framing"] += 1
            wrong = chance.choice([*map(raw, FRAMES), None])
            await (resets if wrong is None else then_cuts(wrong))(exchange)
            return
        status = chance.choice(STATUSES)
        body = some_json if status in REFUSALS else chance.choice(BODIES)
        kinds[body.__name__] += 1
        media, limit = chance.choice(MEDIA), chance.choice(LIMITS)
        answer = says(status, body(chance, name), Content_Type=media, X_RateLimit_Limit=limit)
        await then_cuts(answer)(exchange)

    return act


@asynccontextmanager
async def led_astray(server: ByteServer) -> AsyncIterator[Stage]:
    with patch.object(stages, "PaperBroker", Astray):
        stage = Stage(resend_is_safe=False)
        await stage.start()
    broker = stage.broker
    assert isinstance(broker, Astray)
    broker.there = broker_of(server.url, HandClock(), requests_per_minute=10**9, http=QUICK)
    try:
        yield stage
    finally:
        await broker.there.close()
        await stage.crash()


async def placed(stage: Stage, until: str) -> OrderId:
    """An order, once this was told of it."""
    told = asyncio.Event()
    stage.listener.on(until, told.set)
    order = await stage.accepted()
    async with asyncio.timeout(PATIENCE_S):
        await told.wait()
    return order


async def served(server: ByteServer, count: int) -> None:
    """So many orders at one engine, one after another."""
    async with led_astray(server) as stage:
        orders = [await placed(stage, "outcome_unknown") for _ in range(count)]
        assert {stage.status(order) for order in orders} == {"unknown"}
        assert stage.placed_at_exchange() == 0
        assert not stage.journal.books[stage.account].executions
        assert not stage.journal.books[stage.account].positions
        assert stage.gate.readiness() == {}


async def test_a_true_answer_is_believed_so_that_the_others_mean_something() -> None:
    async def act(exchange: Exchange) -> None:
        await says(200, documents.order(exchange.json["client_order_id"]))(exchange)

    async with byte_server(act) as server, led_astray(server) as stage:
        assert stage.status(await placed(stage, "order_acknowledged")) == "working"


async def test_api10_nothing_follows_from_what_a_hostile_broker_answers() -> None:
    chance, kinds, left = Random(10), Counter[str](), dose(300, 10_000, short=20)
    answers = left
    async with byte_server(act_of(chance, kinds)) as server:
        while left:
            await served(server, min(AT_ONCE, left))
            left -= min(AT_ONCE, left)
        assert len(server.seen) == answers, "each order was sent once, and none again"
    assert set(kinds) == {"framing", *(body.__name__ for body in BODIES)}
    of = dict(sorted(kinds.items()))
    keep("hostile-answers", {"answers": answers, "unknown": answers, "faults": 0, "of": of})
