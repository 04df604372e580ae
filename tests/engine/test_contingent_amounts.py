"""How much a group exits: never more than there is, whoever changes or overfills its orders."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from ordergate.brokers.paper import fates
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.contingent.events import End
from ordergate.core.contingent.terms import GroupId, GroupKind, GroupTerms, LegType, Role
from ordergate.core.ids import cl_ord_id
from ordergate.core.orders import reports as r
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Remaining
from ordergate.engine.answering.answers import Answer
from ordergate.ports.broker import Outcome, Rejected
from tests.engine.groups import (
    at_exchange,
    bracket,
    group,
    has_ended,
    leg,
    move_market,
    oto,
    placed,
    position,
    terms,
    trailing,
)
from tests.engine.stage import ACCOUNT, ES, RISK, TRADER, Stage

Cancel = Callable[[Stage, GroupId], Awaitable[None]]


def open_at(stage: Stage) -> list[PaperOrder]:
    return [one for one in stage.exchange.orders() if one.is_open]


async def replaced(
    stage: Stage, side: Side, *, quantity: Decimal | None = None, stop_price: Decimal | None = None
) -> Answer | Refusal:
    """What comes of replacing the group's open order on that side."""
    order = next(one for one in stage.lane.books.open_orders() if one.terms.side is side)
    return await stage.node.gate.replace(
        TRADER,
        order.id,
        quantity=quantity,
        limit_price=None,
        stop_price=stop_price,
        key=stage.key(),
        correlation="test",
    )


async def test_how_much_an_exit_is_for_is_its_group_to_say_and_its_price_is_not() -> None:
    async with Stage() as stage:
        await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])
        for quantity in (Decimal(3), Decimal(5)):
            refused = await replaced(stage, Side.SELL, quantity=quantity)
            assert isinstance(refused, Refusal)
            assert (refused.code, list(refused.fields)) == (Code.INVALID, ["quantity"])
        moved = await replaced(stage, Side.SELL, stop_price=Decimal(4785))
        assert isinstance(moved, Answer)
        await stage.until(lambda: [one.terms.stop_price for one in open_at(stage)] == [Decimal(4785)])


async def guarded_at(stage: Stage, stop_price: Decimal) -> GroupId:
    """A bracket that is filled, and whose stop a person has moved there."""
    group_id = await placed(stage, bracket())
    await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])
    assert isinstance(await replaced(stage, Side.SELL, stop_price=stop_price), Answer)
    await stage.until(lambda: [one.terms.stop_price for one in open_at(stage)] == [stop_price])
    return group_id


@pytest.mark.parametrize("dies", [False, True])
async def test_a_stop_that_a_person_moved_is_held_there_while_the_profit_rests(*, dies: bool) -> None:
    async with Stage() as stage:
        group_id = await guarded_at(stage, Decimal(4795))
        stage.price(Decimal(4820))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("limit", Decimal(4))])
        body = await stage.node.groups.show(TRADER, group_id)
        assert isinstance(body, bytes)
        assert b'"stop_price":"4795"' in body
        if dies:
            await stage.restart()
        move_market(stage, "4790")
        await stage.until(lambda: has_ended(stage, group_id))
        assert position(stage) == 0


async def test_a_stop_that_is_placed_anew_is_where_a_person_moved_it() -> None:
    async with Stage() as stage:
        await guarded_at(stage, Decimal(4795))
        stage.node._contingent._fixed.update(one.id for one in stage.lane.books.open_orders())
        stage.exchange.fill_beyond(next(stage.exchange.orders()).id, Decimal(1), Decimal(4800))
        await stage.until(lambda: len(open_at(stage)) == 2)
        assert {one.terms.stop_price for one in open_at(stage)} == {Decimal(4795)}


async def test_an_entry_may_be_made_smaller_and_not_larger_than_its_group() -> None:
    async with Stage() as stage:
        await placed(stage, bracket(4, entry="4790"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        refused = await replaced(stage, Side.BUY, quantity=Decimal(5))
        assert isinstance(refused, Refusal)
        assert (refused.code, list(refused.fields)) == (Code.INVALID, ["quantity"])
        assert isinstance(await replaced(stage, Side.BUY, quantity=Decimal(3)), Answer)
        await stage.until(lambda: at_exchange(stage, Side.BUY) == [("limit", Decimal(3))])


async def test_what_a_broker_fills_of_an_entry_beyond_its_quantity_is_guarded_too() -> None:
    async with Stage() as stage:
        await placed(stage, bracket(4, entry="4790"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        entry = next(stage.exchange.orders())
        stage.exchange.fill_beyond(entry.id, Decimal(5), Decimal(4790))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(5))])


async def test_a_fill_after_the_proof_of_a_cancel_is_bought_back() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL))
        stage.price(Decimal(4820))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("limit", Decimal(4))])
        stop, profit = (one for one in stage.exchange.orders() if one.terms.side is Side.SELL)
        stage.exchange.fill_beyond(stop.id, Decimal(4), Decimal(4780))
        stage.exchange.fill(profit.id, Decimal(4), Decimal(4820))
        await stage.until(lambda: Role.EVENING in {one.role for one in group(stage, group_id).released})
        await stage.until(lambda: has_ended(stage, group_id))
        assert position(stage) == stage.held(ES) == 0
        account = stage.lane.books.account
        assert account is not None
        assert f"group_overrun:{group_id}" in account.alarms


async def completed(stage: Stage) -> GroupId:
    """A bracket that is over; its entry is the first order at the exchange."""
    group_id = await placed(stage, bracket())
    await stage.until(lambda: at_exchange(stage, Side.SELL))
    move_market(stage, "4779")
    await stage.until(lambda: has_ended(stage, group_id))
    return group_id


@pytest.mark.parametrize("dies", [False, True])
async def test_an_entry_taken_back_under_a_stop_is_evened_out_once_it_is_released(*, dies: bool) -> None:
    async with Stage() as stage:
        group_id = await completed(stage)
        await stage.gate.engage_kill(TRADER, grade="block_new", reason="test", correlation="test")
        stage.exchange.bust("exec-000000000001")
        await stage.until(lambda: stage.held(ES) == -4)
        if dies:
            await stage.restart()
        await stage.clock.move(5)
        assert Role.EVENING not in {one.role for one in group(stage, group_id).released}
        await stage.gate.release_kill(RISK, reason="test", correlation="test")
        await stage.until(lambda: stage.held(ES) == 0)
        assert {one.role for one in group(stage, group_id).released} >= {Role.EVENING}


@pytest.mark.parametrize("asked", [bracket(entry="4790"), oto(entry="4790")], ids=["bracket", "oto"])
async def test_what_an_entry_fills_is_guarded_while_only_reducing_orders_leave(asked: GroupTerms) -> None:
    async with Stage() as stage:
        await placed(stage, asked)
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        await stage.gate.engage_kill(TRADER, grade="reduce_only", reason="test", correlation="test")
        stage.exchange.fill(next(stage.exchange.orders()).id, Decimal(4), Decimal(4790))
        await stage.until(lambda: [left for _, left in at_exchange(stage, Side.SELL)] == [Decimal(4)])


async def test_what_would_open_a_position_waits_while_only_reducing_orders_leave() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, trailing())
        await stage.until(lambda: group(stage, group_id).mark)
        await stage.gate.engage_kill(TRADER, grade="reduce_only", reason="test", correlation="test")
        move_market(stage, "4779")
        for _ in range(300):
            await stage.clock.move(1)
        assert not group(stage, group_id).released
        assert group(stage, group_id).is_active
        await stage.gate.release_kill(RISK, reason="test", correlation="test")
        await stage.until(lambda: stage.held(ES) == -4)


async def ended_unfilled(stage: Stage, asked: GroupTerms) -> tuple[GroupId, str]:
    """A group that is over because its entry was canceled, and what the exchange calls the entry."""
    group_id = await placed(stage, asked)
    await stage.until(lambda: at_exchange(stage, Side.BUY))
    entry = next(stage.exchange.orders())
    stage.exchange.cancel(entry.id)
    await stage.until(lambda: has_ended(stage, group_id))
    assert group(stage, group_id).reason is End.ENTRY_NOT_FILLED
    return group_id, entry.id


@pytest.mark.parametrize("dies", [False, True])
async def test_a_late_fill_of_an_entry_under_a_stop_is_guarded_once_it_is_released(*, dies: bool) -> None:
    async with Stage() as stage:
        _, entry = await ended_unfilled(stage, bracket(4, entry="4790"))
        await stage.gate.engage_kill(TRADER, grade="block_new", reason="test", correlation="test")
        stage.exchange.fill_beyond(entry, Decimal(4), Decimal(4790))
        await stage.until(lambda: stage.held(ES) == 4)
        if dies:
            await stage.restart()
        await stage.clock.move(5)
        assert not at_exchange(stage, Side.SELL)
        await stage.gate.release_kill(RISK, reason="test", correlation="test")
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])


async def cancel_it(stage: Stage, group_id: GroupId) -> None:
    await stage.node.groups.cancel(TRADER, group_id, key=stage.key(), correlation="test")


async def cancel_everything(stage: Stage, _: GroupId) -> None:
    await stage.gate.cancel_all(TRADER, ACCOUNT, symbol=None, key=stage.key(), correlation="test")


async def flatten(stage: Stage, _: GroupId) -> None:
    await stage.node.groups.flatten(TRADER, ACCOUNT, key=stage.key(), correlation="test")


async def go_away(stage: Stage, _: GroupId) -> None:
    await stage.node.dead_man.arm(TRADER, "main", timeout_s=5, gtc=Remaining.CANCEL, correlation="test")
    await stage.until(lambda: not stage.node.dead_man.of(TRADER))


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("cancel", [cancel_it, cancel_everything, flatten, go_away])
async def test_what_waits_to_be_guarded_can_be_canceled(cancel: Cancel, *, dies: bool) -> None:
    async with Stage() as stage:
        group_id, entry = await ended_unfilled(stage, bracket(4, entry="4790"))
        await stage.gate.engage_kill(TRADER, grade="block_new", reason="test", correlation="test")
        stage.exchange.fill_beyond(entry, Decimal(4), Decimal(4790))
        await stage.until(lambda: stage.held(ES) == 4)
        if dies:
            await stage.restart()
        await cancel(stage, group_id)
        await stage.gate.release_kill(RISK, reason="test", correlation="test")
        await stage.clock.move(5)
        assert Role.STOP_LOSS not in {one.role for one in group(stage, group_id).released}


async def test_a_late_fill_after_which_the_gateway_dies_at_once_is_guarded_after_the_start() -> None:
    async with Stage() as stage:
        _, entry = await ended_unfilled(stage, bracket(4, entry="4790"))
        stage.listener.on("order_filled", stage.node._contingent.stop)
        stage.exchange.fill_beyond(entry, Decimal(4), Decimal(4790))
        await stage.until(lambda: stage.held(ES) == 4)
        await stage.restart()
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])


async def test_an_exit_that_comes_back_to_life_as_the_gateway_dies_is_canceled_after_the_start() -> None:
    async with Stage() as stage:
        place = stage.broker.place

        async def takes_and_refuses(*asked: Any) -> Outcome:
            stage.broker.stream.copies = lambda _: 0
            await place(*asked)
            stage.broker.stream.copies = lambda _: 1
            stage.broker.place = place  # type: ignore[method-assign]  # once
            return Rejected("422 unprocessable")

        group_id = await placed(stage, bracket(entry="4790"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        stage.broker.place = takes_and_refuses  # type: ignore[method-assign, assignment]  # its stop
        stage.exchange.fill(next(stage.exchange.orders()).id, Decimal(4), Decimal(4790))
        await stage.until(lambda: len(at_exchange(stage, Side.SELL)) == 2)
        refused, stop = (one for one in stage.exchange.orders() if one.terms.side is Side.SELL)
        stage.exchange.fill(stop.id, Decimal(4), Decimal(4780))
        await stage.until(lambda: has_ended(stage, group_id))
        stage.listener.on("order_acknowledged", stage.node._contingent.stop)
        order = group(stage, group_id).released[1].order_id
        news = r.AcknowledgedReport(cl_ord_id=cl_ord_id(order, 1), version=1, broker_order_id=refused.id)
        await stage.node._ingest._hear(stage.seat, news, None)
        await stage.until(lambda: stage.status(order) == "working")
        await stage.restart()
        await stage.until(lambda: stage.status(order) == "canceled")
        assert not at_exchange(stage, Side.SELL)


async def test_a_late_fill_is_guarded_by_a_trailing_stop_too() -> None:
    async with Stage() as stage:
        trails = leg(Role.THEN, Side.SELL, LegType.TRAILING_STOP, trail_amount="20")
        asked = terms(GroupKind.OTO, (bracket(entry="4790").legs[0], trails), 4)
        group_id, entry = await ended_unfilled(stage, asked)
        stage.exchange.fill_beyond(entry, Decimal(4), Decimal(4790))
        await stage.until(lambda: group(stage, group_id).mark == Decimal(4800))
        move_market(stage, "4779")
        await stage.until(lambda: stage.held(ES) == 0)


async def test_a_late_fill_of_an_entry_of_a_canceled_group_stays_held() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket(4, entry="4790"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        await stage.node.groups.cancel(TRADER, group_id, key=stage.key(), correlation="test")
        await stage.until(lambda: has_ended(stage, group_id))
        stage.exchange.fill_beyond(next(stage.exchange.orders()).id, Decimal(4), Decimal(4790))
        await stage.until(lambda: stage.held(ES) == 4)
        await stage.restart()
        await stage.clock.move(5)
        assert not at_exchange(stage, Side.SELL)


async def test_a_surplus_that_nobody_may_undo_is_told_to_a_person_though_the_group_was_canceled() -> None:
    script = fates.Script()
    async with Stage(fate=script) as stage:
        group_id = await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL))
        stop = next(one for one in stage.exchange.orders() if one.terms.side is Side.SELL)
        stage.exchange.fill(stop.id, Decimal(1), Decimal(4780))
        await stage.until(lambda: stage.held(ES) == 3)
        await stage.node.groups.cancel(TRADER, group_id, key=stage.key(), correlation="test")
        await stage.until(lambda: has_ended(stage, group_id))
        assert group(stage, group_id).reason is End.CANCELED
        script.add(fates.Call.PLACE, *[fates.TurnedAway("no")] * 100)

        stage.exchange.bust("exec-000000000001")
        await stage.until(lambda: alarms_of(stage) >= {f"group_gave_up:{group_id}"}, within_s=600)

        assert group(stage, group_id).reason is End.LEG_REFUSED
        assert f"group_overrun:{group_id}" in alarms_of(stage)
        assert stage.held(ES) == -1


def alarms_of(stage: Stage) -> set[str]:
    account = stage.lane.books.account
    assert account is not None
    return set(account.alarms)
