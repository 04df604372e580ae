"""An order that was placed before its instrument was renamed is this instrument's, whoever asks about it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from ordergate.api.stream.state_hash import StateHash
from ordergate.brokers.paper import fates
from ordergate.core.contingent.events import End
from ordergate.core.contingent.terms import GroupId
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.orders.events import Resolution
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.limits import mapping_of
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.engine.answering.answers import Answer, CancelAllAnswer, GroupAnswer
from ordergate.ports.broker import DedupClass
from ordergate.ports.market_data import Quote
from ordergate.wiring.market_hours import Sessions
from tests.engine.groups import bracket, group, has_ended, placed, shown, trailing
from tests.engine.killing import engage, flattened_by_two
from tests.engine.settling import natures, refused_controls, replaced
from tests.engine.stage import ACCOUNT, ES, INSTRUMENT, LIMITS, TRADER, Stage
from tests.engine.test_dead_man import refused_and_taken
from tests.engine.test_flatten import hold
from tests.engine.test_key_bounds import order
from tests.engine.test_kill_flatten import reasons
from tests.engine.test_quarantine import quarantined, resolved
from tests.engine.test_session_queue import OPENS, SPANS, House
from tests.engine.test_unknown_outcomes import lost

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


async def flattened(stage: Stage, symbol: Symbol | None) -> GroupId:
    answer = await stage.node.groups.flatten(
        TRADER, ACCOUNT, key=stage.key(), correlation="test", symbol=symbol
    )
    return GroupId(shown(answer)["id"])


async def test_it_can_be_replaced() -> None:
    async with Stage(limits=BOTH) as stage:
        order = await resting(stage)
        await renamed(stage)
        await replaced(stage, order, quantity=4)
        await stage.until(lambda: stage.status(order) == "working")
        held = stage.lane.books.order(order)
        assert held is not None
        assert held.terms.quantity == 4


async def test_it_is_released_when_it_was_kept_for_the_next_session() -> None:
    sessions, names = Sessions(SPANS), [ES]
    house = House(limits=BOTH)
    house.hours = lambda symbol, now: sessions.at(now) if symbol in names else None
    async with house:
        order = await house.kept()
        names[:] = [NEW]
        await renamed(house)
        await house.at(OPENS, price=None)
        quote(house)
        await house.until(lambda: house.status(order) == "working", within_s=5)
        (sent,) = house.exchange.orders()
        assert sent.terms.symbol == NEW  # the broker knows no other name by now
        assert house.node._supervisor.down == {}


async def test_a_cancel_of_all_that_is_in_the_symbol_is_of_it_too() -> None:
    async with Stage(limits=BOTH) as stage:
        order = await resting(stage)
        await renamed(stage)
        answer = await stage.gate.cancel_all(TRADER, ACCOUNT, key=stage.key(), correlation="test", symbol=NEW)
        assert isinstance(answer, CancelAllAnswer)
        assert [one.order_id for one in answer.results] == [order]
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
        assert refused_controls(answer) == [("R01", "kill-switch")]


async def test_a_flatten_of_the_symbol_ends_a_group_from_before() -> None:
    async with Stage(limits=BOTH) as stage:
        bracketed = await placed(stage, bracket())
        await renamed(stage)
        await flattened(stage, NEW)
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
        flatten = await flattened(stage, symbol)
        await stage.clock.move(0.5)
        assert not group(stage, flatten).released
        stage.exchange.fill(at_exchange.id, Decimal(2), Decimal(4900))
        await stage.until(lambda: has_ended(stage, flatten))
        assert stage.held(NEW) == 0


async def test_a_trailing_stop_from_before_goes_on_guarding_what_is_held() -> None:
    async with Stage(limits=BOTH) as stage:
        await hold(stage, 4)
        trailed = await placed(stage, trailing())
        await renamed(stage)
        stage.exchange.mark(ES, Decimal(4770))
        quote(stage, Decimal(4770))
        await stage.until(lambda: has_ended(stage, trailed))
        assert stage.held(NEW) == 0


async def test_a_flatten_cancels_it_before_it_closes_what_is_held() -> None:
    async with Stage(limits=BOTH) as stage:
        await hold(stage)
        order = await resting(stage, Side.SELL, "4900")
        await renamed(stage)
        await flattened(stage, NEW)
        await stage.until(lambda: stage.held(NEW) == 0)
        assert stage.status(order) == "canceled"


async def test_a_flatten_that_began_under_the_old_name_ends_under_the_new_one() -> None:
    async with Stage(limits=BOTH) as stage:
        await hold(stage)
        stage.broker.stream.cut()  # nothing is closed while the account is behind its broker
        await flattened(stage, ES)
        await renamed(stage)
        stage.broker.stream.restore()
        await stage.until(lambda: stage.held(NEW) == 0)
        assert natures(stage) == []


async def test_what_fills_late_is_closed_by_a_flatten_that_two_persons_decided_under_the_old_name() -> None:
    async with Stage(limits=BOTH) as stage:
        await refused_and_taken(stage)
        (theirs,) = stage.exchange.orders()
        await hold(stage)
        await flattened_by_two(stage, Level.INSTRUMENT, ES)
        await stage.until(lambda: reasons(stage) == [End.COMPLETED], within_s=5)
        await renamed(stage)
        stage.exchange.fill(theirs.id, Decimal(1), Decimal(4700))
        await stage.until(lambda: reasons(stage) == [End.COMPLETED, End.COMPLETED], within_s=60)
        assert stage.held(NEW) == 0
        await stage.restart()
        quote(stage)
        await stage.clock.move(10)
        assert len(reasons(stage)) == 2


async def test_one_in_question_is_found_among_what_the_broker_shows_under_the_new_name() -> None:
    async with Stage(fate=lost(fates.LostAnswer()), dedup=DedupClass.C, limits=BOTH) as stage:
        order = await quarantined(stage)
        (arrived,) = stage.exchange.orders()
        await renamed(stage)
        stage.seat.suspect("the test")
        await stage.until(lambda: arrived.id in stage.seat.withheld)
        assert stage.listener.kinds.count("order_adopted") == 0
        answer = await resolved(stage, order, Resolution.WORKING, broker_order_id=arrived.id)
        assert isinstance(answer, Answer), answer


async def test_a_state_that_was_hashed_before_is_hashed_after_it_as_it_is_shown() -> None:
    """Whoever joins later has another hash otherwise, for as long as anybody followed from before."""
    async with Stage() as stage:
        await hold(stage, 4)
        before = await stage.views.snapshot(ACCOUNT)
        assert before is not None
        state = StateHash(before.orders, before.positions)
        await renamed(stage)
        await stage.until(lambda: "symbol_renamed" in stage.listener.kinds)
        for seq, frame in zip(stage.listener.seqs, stage.listener.frames, strict=True):
            if seq > before.seq:
                state.note(frame)
        now = await stage.views.snapshot(ACCOUNT)
        assert now is not None
        assert now.seq == stage.listener.seqs[-1]
        assert state.hexdigest() == StateHash(now.orders, now.positions).hexdigest()


@pytest.mark.parametrize("wait_s", [0, 1])
async def test_a_key_that_bought_an_order_under_the_old_name_tells_of_it_and_a_new_one_buys_none(
    wait_s: float,
) -> None:
    """Whoever was told that there is no such instrument would buy it once more under its new name."""
    terms = order()
    async with Stage(limits=BOTH) as stage:
        key = stage.key()
        first = await stage.gate.place(TRADER, terms, key=key, correlation="test")
        assert isinstance(first, Answer)
        await renamed(stage)
        again = await stage.gate.place(TRADER, terms, key=key, correlation="test", wait_s=wait_s)
        assert isinstance(again, Answer)
        assert (again.order_id, again.replayed) == (first.order_id, True)
        other = await stage.gate.place(TRADER, terms, key=stage.key(), correlation="test", wait_s=wait_s)
        assert isinstance(other, Refusal)
        assert other.code is Code.UNKNOWN_INSTRUMENT


async def test_a_key_that_bought_a_group_under_the_old_name_tells_of_it_and_a_new_one_buys_none() -> None:
    async with Stage(limits=BOTH) as stage:
        key = stage.key()
        first = await stage.node.groups.place(TRADER, bracket(), key=key, correlation="test")
        assert isinstance(first, GroupAnswer)
        await renamed(stage)
        again = await stage.node.groups.place(TRADER, bracket(), key=key, correlation="test")
        assert isinstance(again, GroupAnswer)
        assert (again.group_id, again.replayed) == (first.group_id, True)
        other = await stage.node.groups.place(TRADER, bracket(), key=stage.key(), correlation="test")
        assert isinstance(other, Refusal)
        assert other.code is Code.UNKNOWN_INSTRUMENT
