"""An order that was placed before its instrument was renamed is this instrument's, whoever asks about it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from ordergate.brokers.paper import fates
from ordergate.core.contingent.terms import GroupId
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.risk.limits import mapping_of
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.engine.answering.answers import Answer
from ordergate.ports.market_data import Quote
from ordergate.wiring.market_hours import Sessions
from tests.engine.groups import bracket, group, has_ended, placed, shown
from tests.engine.killing import engage
from tests.engine.stage import ACCOUNT, ES, INSTRUMENT, LIMITS, TRADER, Stage
from tests.engine.test_flatten import hold
from tests.engine.test_session_queue import OPENS, SPANS, House

NEW = Symbol("ESM4")
QUARTER = Decimal("0.25")
_INSTRUMENTS = mapping_of(LIMITS)["instruments"]
assert isinstance(_INSTRUMENTS, dict)
BOTH = {"instruments": dict.fromkeys((ES, NEW), _INSTRUMENTS[ES])}


async def renamed(stage: Stage) -> None:
    """From now on the instrument has another name; the broker goes on with the one that it had."""
    await stage.crash()
    stage.instruments = {NEW: msgspec.structs.replace(INSTRUMENT, symbol=NEW, aliases=(ES,))}
    stage.exchange.ledger._instruments = {ES: INSTRUMENT, **stage.instruments}
    stage.exchange.mark(NEW, Decimal(4800))
    await stage.start(ready=False)
    quote(stage)
    await stage.until(lambda: not stage.gate.readiness())


def quote(stage: Stage, price: Decimal = Decimal(4800)) -> None:
    bid, ask, size, at = price - QUARTER, price + QUARTER, Decimal(10), stage.clock.now()
    stage.node.prices.take(Quote(symbol=NEW, bid=bid, bid_size=size, ask=ask, ask_size=size, at=at))


async def resting(stage: Stage, side: Side = Side.BUY, limit: str = "4700") -> OrderId:
    order = await stage.accepted(side=side, quantity=2, limit=limit)
    await stage.until(lambda: stage.status(order) == "working")
    return order


async def test_it_can_be_replaced() -> None:
    async with Stage(limits=BOTH) as stage:
        order = await resting(stage)
        await renamed(stage)
        answer = await stage.gate.replace(
            TRADER,
            order,
            quantity=Decimal(1),
            limit_price=None,
            stop_price=None,
            key=stage.key(),
            correlation="test",
        )
        assert isinstance(answer, Answer), answer
        assert not answer.failed


async def test_it_is_released_when_it_was_kept_for_the_next_session() -> None:
    house = House(limits=BOTH)
    house.hours = lambda _, now: Sessions(SPANS).at(now)
    async with house:
        order = await house.kept()
        await renamed(house)
        await house.at(OPENS, price=None)
        quote(house)
        await house.until(lambda: house.status(order) == "working", within_s=5)


async def test_a_cancel_of_all_that_is_in_the_symbol_is_of_it_too() -> None:
    async with Stage(limits=BOTH) as stage:
        order = await resting(stage)
        await renamed(stage)
        await stage.gate.cancel_all(TRADER, ACCOUNT, key=stage.key(), correlation="test", symbol=NEW)
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_a_stop_of_the_instrument_cancels_it() -> None:
    async with Stage(limits=BOTH) as stage:
        order = await resting(stage)
        await renamed(stage)
        await engage(stage, Level.INSTRUMENT, NEW, Grade.CANCEL_ALL)
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_a_stop_from_before_holds_for_what_comes_under_the_new_name() -> None:
    async with Stage(limits=BOTH) as stage:
        await engage(stage, Level.INSTRUMENT, ES, Grade.BLOCK_NEW)
        await renamed(stage)
        terms = Terms(
            account=ACCOUNT,
            symbol=NEW,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal(1),
            limit_price=Decimal(4700),
            time_in_force=TimeInForce.DAY,
        )
        answer = await stage.gate.place(TRADER, terms, key=stage.key(), correlation="test")
        assert isinstance(answer, Answer)
        assert [failed.control for failed in answer.failed] == ["R01"]


async def test_a_flatten_of_the_symbol_ends_a_group_from_before() -> None:
    async with Stage(limits=BOTH) as stage:
        bracketed = await placed(stage, bracket())
        await renamed(stage)
        await stage.node.groups.flatten(TRADER, ACCOUNT, key=stage.key(), correlation="test", symbol=NEW)
        assert group(stage, bracketed).cancel_requested


async def test_a_group_from_before_goes_on_by_the_new_names_price() -> None:
    async with Stage(limits=BOTH) as stage:
        bracketed = await placed(stage, bracket())
        await stage.until(lambda: stage.held(ES) == 4)
        await renamed(stage)
        quote(stage, Decimal(4825))
        await stage.until(lambda: group(stage, bracketed).triggered, within_s=5)


@pytest.mark.parametrize("symbol", [NEW, None])
async def test_nothing_is_closed_before_its_cancel_is_proven(symbol: Symbol | None) -> None:
    """It could fill beside the order that closes, and turn the position over."""
    script = fates.Script()
    async with Stage(limits=BOTH, fate=script) as stage:
        await hold(stage)
        await resting(stage, Side.SELL, "4900")
        await renamed(stage)
        script.add(fates.Call.CANCEL, *[fates.LostCall()] * 3)
        at_exchange = next(one for one in stage.exchange.orders() if one.is_open)
        answer = await stage.node.groups.flatten(
            TRADER, ACCOUNT, key=stage.key(), correlation="test", symbol=symbol
        )
        await stage.clock.move(0.5)
        assert not group(stage, GroupId(shown(answer)["id"])).released
        stage.exchange.fill(at_exchange.id, Decimal(2), Decimal(4900))
        await stage.until(lambda: has_ended(stage, GroupId(shown(answer)["id"])))
        assert stage.held(NEW) == 0
