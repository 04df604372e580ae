"""An instrument is renamed: what was asked under its old name goes on, and is reached by the new one."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ordergate.brokers.paper import fates
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.orders.events import Resolution
from ordergate.core.refusals import Refusal
from ordergate.core.risk.limits import mapping_of
from ordergate.core.risk.view import MarketHours
from ordergate.engine.answering.answers import Answer
from ordergate.ports.broker import DedupClass
from ordergate.ports.market_data import Quote
from ordergate.wiring.market_hours import Sessions
from tests.engine.settling import code, working
from tests.engine.stage import ES, INSTRUMENT, LIMITS, TRADER, Stage
from tests.engine.test_quarantine import quarantined, resolved
from tests.engine.test_session_queue import OPENS, SPANS, House
from tests.engine.test_unknown_outcomes import lost

NEW = Symbol("ESX4")
_EACH: Any = mapping_of(LIMITS)["instruments"]
BOTH = {"instruments": {ES: _EACH[ES], NEW: _EACH[ES]}}
"""The same limits under either name."""


async def renamed(stage: Stage, *aliases: Symbol) -> None:
    """The gateway comes back with the instrument under its new name."""
    await stage.crash()
    stage.exchange.ledger._instruments = {
        ES: INSTRUMENT,
        NEW: msgspec.structs.replace(INSTRUMENT, symbol=NEW),
    }
    stage.exchange.mark(NEW, Decimal(4800))
    stage.instruments = {NEW: msgspec.structs.replace(INSTRUMENT, symbol=NEW, aliases=aliases)}
    await stage.start()
    price(stage)


def price(stage: Stage, last: Decimal = Decimal(4800)) -> None:
    """The market's price, which is told under the new name alone."""
    bid, ask, size = last - Decimal("0.25"), last + Decimal("0.25"), Decimal(10)
    quote = Quote(symbol=NEW, bid=bid, bid_size=size, ask=ask, ask_size=size, at=stage.clock.now())
    stage.node.prices.take(quote)


async def ask_for_more(stage: Stage, order: OrderId) -> Answer | Refusal:
    return await stage.gate.replace(
        TRADER,
        order,
        quantity=Decimal(4),
        limit_price=None,
        stop_price=None,
        key=stage.key(),
        correlation="test",
    )


async def test_an_order_under_the_old_name_is_replaced() -> None:
    async with Stage(limits=BOTH) as stage:
        order, _ = await working(stage, quantity=3)
        await renamed(stage, ES)
        answer = await ask_for_more(stage, order)
        assert isinstance(answer, Answer), answer
        assert not answer.failed, answer.failed
        await stage.until(lambda: stage.status(order) == "working")
        held = stage.lane.books.order(order)
        assert held is not None
        assert held.terms.quantity == 4


async def test_an_order_that_is_kept_under_the_old_name_leaves_when_its_market_opens() -> None:
    async with House(limits=BOTH) as house:
        order = await house.kept()
        sessions = Sessions(SPANS)

        def hours(symbol: Symbol, now: datetime) -> MarketHours | None:
            return sessions.at(now) if symbol == NEW else None

        house.hours = hours
        await renamed(house, ES)
        await house.at(OPENS)
        price(house)
        await house.until(lambda: house.status(order) == "working")
        (sent,) = house.exchange.orders()
        assert sent.terms.symbol == NEW  # the broker knows no other name by now
        assert house.node._supervisor.down == {}


async def test_what_is_listed_no_more_is_refused_another_quantity_and_stops_no_queue() -> None:
    async with House(limits=BOTH) as house:
        order = await house.kept()
        await renamed(house)
        assert code(await ask_for_more(house, order)) == "unknown-instrument"
        await house.at(OPENS)
        await house.until(lambda: house.status(order) == "expired")  # nobody knows its session any more
        assert house.node._supervisor.down == {}


async def test_an_order_in_question_is_found_among_what_the_broker_shows_under_the_new_name() -> None:
    async with Stage(fate=lost(fates.LostAnswer()), dedup=DedupClass.C, limits=BOTH) as stage:
        order = await quarantined(stage)
        (arrived,) = stage.exchange.orders()
        await renamed(stage, ES)
        stage.seat.suspect("the test")
        await stage.until(lambda: arrived.id in stage.seat.withheld)
        assert stage.listener.kinds.count("order_adopted") == 0
        answer = await resolved(stage, order, Resolution.WORKING, broker_order_id=arrived.id)
        assert isinstance(answer, Answer), answer
