"""Flatten: cancel what is open, close what is held, and stop there."""

from __future__ import annotations

from decimal import Decimal

from ordergate.brokers.paper import fates
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.contingent.events import End
from ordergate.core.contingent.terms import GroupId
from ordergate.core.ids import Symbol
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Level
from ordergate.engine.answering.answers import CancelAllAnswer
from tests.engine.groups import at_exchange, bracket, group, has_ended, placed, position, shown
from tests.engine.killing import flattened_by_two
from tests.engine.stage import ACCOUNT, ES, RISK, TRADER, Stage
from tests.engine.test_reconciliation import elsewhere


async def flattened(stage: Stage, *, symbol: Symbol | None = None, key: str | None = None) -> GroupId:
    answer = await stage.node.groups.flatten(
        TRADER, ACCOUNT, key=key or stage.key(), correlation="test", symbol=symbol
    )
    return GroupId(shown(answer)["id"])


async def hold(stage: Stage, quantity: int = 5) -> None:
    await stage.accepted(side=Side.BUY, quantity=quantity, limit="4800")
    await stage.until(lambda: stage.held(ES) == quantity)


async def test_everything_open_is_canceled_and_what_is_held_is_closed_at_the_market() -> None:
    async with Stage() as stage:
        await hold(stage)
        await stage.accepted(side=Side.BUY, quantity=2, limit="4700")
        await stage.accepted(side=Side.SELL, quantity=1, limit="4900")
        group_id = await flattened(stage)
        await stage.until(lambda: has_ended(stage, group_id))
        assert group(stage, group_id).reason is End.COMPLETED
        assert position(stage) == stage.held(ES) == 0
        assert not at_exchange(stage, Side.BUY)
        assert not at_exchange(stage, Side.SELL)


async def test_the_answer_names_every_order_and_what_became_of_it() -> None:
    async with Stage() as stage:
        await hold(stage)
        resting = await stage.accepted(side=Side.BUY, quantity=2, limit="4700")
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        answer = await stage.node.groups.flatten(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        told = shown(answer)["orders"]
        assert [(one["order_id"], one["result"]) for one in told] == [(resting, "cancel-requested")]
        group_id = GroupId(shown(answer)["id"])
        await stage.until(lambda: has_ended(stage, group_id))
        body = await stage.node.groups.show(TRADER, group_id)
        assert isinstance(body, bytes)
        assert b'"role":"close"' in body


async def test_a_symbol_that_names_nothing_is_not_reported_as_flat() -> None:
    async with Stage() as stage:
        await hold(stage)
        no = await stage.node.groups.flatten(
            TRADER, ACCOUNT, key=stage.key(), correlation="test", symbol=Symbol("ESH")
        )
        assert isinstance(no, Refusal)
        assert no.code is Code.UNKNOWN_INSTRUMENT


async def test_a_cancel_of_all_in_a_symbol_that_names_nothing_is_refused() -> None:
    async with Stage() as stage:
        await stage.accepted()
        no = await stage.gate.cancel_all(
            TRADER, ACCOUNT, key=stage.key(), correlation="test", symbol=Symbol("ESH")
        )
        assert isinstance(no, Refusal)
        assert no.code is Code.UNKNOWN_INSTRUMENT


async def test_what_is_open_in_a_symbol_that_is_listed_no_more_can_be_canceled() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await stage.crash()
        stage.instruments = {}
        await stage.start(ready=False)
        await stage.until(lambda: stage.seat.trouble is None)
        answer = await stage.gate.cancel_all(TRADER, ACCOUNT, key=stage.key(), correlation="test", symbol=ES)
        assert isinstance(answer, CancelAllAnswer)
        assert [result.order_id for result in answer.results] == [order]


async def test_nothing_is_closed_before_the_cancels_are_proven() -> None:
    script = fates.Script()
    async with Stage(fate=script) as stage:
        await hold(stage)
        await stage.accepted(side=Side.SELL, quantity=5, limit="4900")
        await stage.until(lambda: at_exchange(stage, Side.SELL))
        resting = next(one for one in stage.exchange.orders() if one.is_open)
        script.add(fates.Call.CANCEL, *[fates.LostCall()] * 3)
        group_id = await flattened(stage)
        await stage.clock.move(0.5)
        assert not group(stage, group_id).released
        stage.exchange.fill(resting.id, Decimal(5), Decimal(4900))
        await stage.until(lambda: has_ended(stage, group_id))
        assert position(stage) == 0, "the order that would not go away closed the position by itself"
        assert stage.placed_at_exchange() == 2


async def test_a_flatten_of_everything_goes_on_when_an_instrument_is_let_trade_again() -> None:
    async with Stage() as stage:
        await hold(stage)
        stopped = {"level": "instrument", "target": ES, "reason": "test", "correlation": "test"}
        await stage.gate.engage_kill(TRADER, grade="block_new", **stopped)
        group_id = await flattened(stage)
        await stage.clock.move(5)
        assert not group(stage, group_id).released
        await stage.gate.release_kill(RISK, **stopped)
        await stage.until(lambda: has_ended(stage, group_id), within_s=20)
        assert position(stage) == stage.held(ES) == 0


async def test_a_flatten_of_a_bracket_leaves_no_leg_and_no_position() -> None:
    async with Stage() as stage:
        bracketed = await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL))
        group_id = await flattened(stage)
        await stage.until(lambda: has_ended(stage, group_id))
        await stage.until(lambda: has_ended(stage, bracketed))
        assert position(stage) == 0
        assert not at_exchange(stage, Side.SELL)


async def test_the_same_key_flattens_once_also_after_a_restart() -> None:
    async with Stage() as stage:
        await hold(stage)
        key = stage.key()
        first = await flattened(stage, key=key)
        await stage.restart()
        assert await flattened(stage, key=key) == first
        await stage.until(lambda: has_ended(stage, first))
        assert position(stage) == 0
        assert stage.placed_at_exchange() == 2


async def test_a_second_flatten_of_the_same_is_refused_while_the_first_is_under_way() -> None:
    async with Stage(fate=lose_cancels) as stage:
        await hold(stage)
        await stage.accepted(side=Side.BUY, quantity=2, limit="4700")
        await flattened(stage)
        again = await stage.node.groups.flatten(
            TRADER, ACCOUNT, key=stage.key(), correlation="test", symbol=ES
        )
        assert isinstance(again, Refusal)
        assert again.code is Code.ORDER_PENDING


async def test_a_flatten_of_everything_takes_one_of_a_symbol_over() -> None:
    script = fates.Script()
    async with Stage(fate=script) as stage:
        await hold(stage)
        script.add(fates.Call.PLACE, *[fates.TurnedAway("halted")] * 3)
        narrow = await flattened(stage, symbol=ES)
        await stage.until(lambda: len(group(stage, narrow).released) == 1)
        wide = await flattened(stage)
        await stage.until(lambda: has_ended(stage, narrow) and has_ended(stage, wide))
        assert (group(stage, narrow).reason, group(stage, wide).reason) == (End.CANCELED, End.COMPLETED)
        assert position(stage) == stage.held(ES) == 0


async def test_what_two_persons_have_closed_in_a_symbol_is_not_taken_over() -> None:
    script = fates.Script()
    async with Stage(fate=script) as stage:
        await hold(stage)
        script.add(fates.Call.PLACE, *[fates.TurnedAway("halted")] * 3)
        await flattened_by_two(stage, Level.INSTRUMENT, ES)
        await stage.until(lambda: bool(stage.lane.books.groups.active))
        refused = await stage.node.groups.flatten(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        assert isinstance(refused, Refusal)
        assert refused.code is Code.ORDER_PENDING
        await stage.until(lambda: stage.held(ES) == 0)


def lose_cancels(call: fates.Call) -> fates.Fate:
    return fates.LostCall() if call is fates.Call.CANCEL else fates.DELIVERED


async def test_a_closing_order_that_is_refused_is_tried_again_a_few_times_and_then_reported() -> None:
    script = fates.Script()
    async with Stage(fate=script) as stage:
        await hold(stage)
        script.add(fates.Call.PLACE, *[fates.TurnedAway("closed")] * 8)
        group_id = await flattened(stage)
        await stage.until(lambda: has_ended(stage, group_id), within_s=600)
        assert group(stage, group_id).reason is End.LEG_REFUSED
        assert position(stage) == 5


async def test_a_part_of_a_lot_keeps_nobody_in_the_whole_ones() -> None:
    async with Stage() as stage:
        bought = stage.exchange.submit("by-hand", elsewhere(quantity=5))
        assert isinstance(bought, PaperOrder)
        stage.exchange.fill(bought.id, Decimal("4.5"), Decimal(4700))
        stage.exchange.cancel(bought.id)
        await stage.until(lambda: stage.held(ES) == Decimal("4.5"))
        group_id = await flattened(stage)
        await stage.until(lambda: has_ended(stage, group_id), within_s=600)
        assert group(stage, group_id).reason is End.LEG_REFUSED
        assert stage.held(ES) == Decimal("0.5")


async def test_a_flatten_of_nothing_ends_at_once() -> None:
    async with Stage() as stage:
        group_id = await flattened(stage)
        await stage.until(lambda: has_ended(stage, group_id))
        assert group(stage, group_id).reason is End.COMPLETED
        assert stage.placed_at_exchange() == 0
