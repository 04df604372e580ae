"""What an order that was replaced had filled counts for the one in its place, however often that happened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ordergate.core.ids import cl_ord_id
from ordergate.ports.broker import BrokerUnavailable
from tests.brokers import alpaca_documents as documents
from tests.brokers.alpaca_account import ABSENT, Alpaca, broker_of
from tests.brokers.sockets import ByteServer, Exchange, says
from tests.brokers.world import HandClock, our_order

FIRST_AT = datetime(2024, 3, 1, 14, 30, tzinfo=UTC)


class Chain:
    """An order that was replaced again and again; each version filled one before it was."""

    def __init__(self, versions: int) -> None:
        self.versions: list[documents.Document] = []
        self.lists = True
        for _ in range(versions):
            self.replace()

    def replace(self) -> None:
        number = len(self.versions)
        if self.versions:
            self.versions[-1].update(status="replaced", replaced_by=f"id-{number}")
        at = (FIRST_AT + timedelta(minutes=number)).isoformat()
        name = cl_ord_id(our_order(1), number + 1)
        version = documents.order(name, id=f"id-{number}", qty="100000", filled_qty="1", created_at=at)
        self.versions.append({**version, "replaces": f"id-{number - 1}" if number else None})

    async def answer(self, exchange: Exchange) -> None:
        if "status=open" in exchange.path:
            reply = says(200, [self.versions[-1]])
        elif "status=all" in exchange.path:
            reply = says(200, self._until(exchange.path) if self.lists else [])
        elif exchange.path.startswith("/v2/orders/"):
            reply = says(200, self.versions[int(exchange.path.rpartition("-")[2])])
        else:
            reply = ABSENT
        await reply(exchange)

    def _until(self, path: str) -> list[documents.Document]:
        until = datetime.fromisoformat(path.rpartition("until=")[2])
        seen = [it for it in self.versions if datetime.fromisoformat(it["created_at"]) <= until]
        return seen[::-1][:500]


async def filled(broker: Alpaca) -> Decimal:
    [seen] = await broker.open_orders()
    return seen.cum_qty


@pytest.fixture
async def swift(server: ByteServer, clock: HandClock) -> AsyncIterator[Alpaca]:
    """Without a limit worth mentioning."""
    alpaca = broker_of(server.url, clock, requests_per_minute=100_000)
    yield alpaca
    await alpaca.close()


async def test_an_order_that_was_replaced_very_often_is_counted_whole(
    server: ByteServer, swift: Alpaca
) -> None:
    chain = Chain(2_300)
    server.play(chain.answer)
    assert await filled(swift) == 2_300


async def test_many_that_were_replaced_are_looked_up_in_lists(server: ByteServer, swift: Alpaca) -> None:
    chain = Chain(1_200)
    server.play(chain.answer)
    await filled(swift)
    assert len(server.seen) == 1 + 3 + 3, "the open ones, a few singly, and pages of 500"


async def test_a_list_that_does_not_show_them_is_asked_for_once(server: ByteServer, swift: Alpaca) -> None:
    chain = Chain(20)
    chain.lists = False
    server.play(chain.answer)
    assert await filled(swift) == 20
    assert sum("status=all" in path for path in server.paths()) == 1


async def test_a_new_version_costs_one_question(server: ByteServer, swift: Alpaca) -> None:
    chain = Chain(50)
    server.play(chain.answer)
    await filled(swift)
    chain.replace()
    server.seen.clear()
    assert await filled(swift) == 51
    assert [path.partition("?")[0] for path in server.paths()] == ["GET /v2/orders", "GET /v2/orders/id-49"]


async def test_what_was_learned_before_a_question_failed_is_kept(server: ByteServer, swift: Alpaca) -> None:
    chain = Chain(30)
    chain.lists = False
    told = 0

    async def fails_once(exchange: Exchange) -> None:
        nonlocal told
        told += 1
        await (says(500, {}) if told == 20 else chain.answer)(exchange)

    server.play(fails_once)
    with pytest.raises(BrokerUnavailable):
        await filled(swift)
    assert await filled(swift) == 30
    assert sum(path.startswith("GET /v2/orders/") for path in server.paths()) == 30


async def test_what_may_still_fill_is_asked_about_again(server: ByteServer, swift: Alpaca) -> None:
    """A replacement that is under way: the order before it is not over yet."""
    chain = Chain(2)
    chain.versions[0]["status"] = "pending_replace"
    server.play(chain.answer)
    assert await filled(swift) == 2
    chain.versions[0]["filled_qty"] = "5"
    assert await filled(swift) == 6


async def test_a_chain_that_goes_in_circles_is_no_answer(server: ByteServer, swift: Alpaca) -> None:
    chain = Chain(3)
    chain.versions[0]["replaces"] = "id-2"
    one = chain.versions[2]
    server.play(says(200, one), says(200, chain.versions[1]), says(200, chain.versions[0]), says(200, one))
    with pytest.raises(BrokerUnavailable, match="circles"):
        await swift.find(cl_ord_id(our_order(1), 3))
    assert len(server.seen) == 4


async def test_what_was_filled_before_an_edit_elsewhere_is_another_orders(
    server: ByteServer, swift: Alpaca
) -> None:
    """Ours was edited in the broker's app, and what came of that was adopted, and replaced from here."""
    chain = Chain(3)
    edited, replaced = chain.versions[1:]
    edited.update(client_order_id="by-hand-1")
    replaced.update(client_order_id=cl_ord_id(our_order(2), 2))
    server.play(chain.answer)
    assert await filled(swift) == 2
