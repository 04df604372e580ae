"""The lives of groups of orders, over the real engine with twins."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from functools import partial

import msgspec

from ordergate.brokers.paper import fates
from ordergate.core.contingent.events import End
from ordergate.core.contingent.tally import SETBACKS_MAX
from ordergate.core.contingent.terms import GroupId, Role
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import GroupAnswer
from tests.engine.groups import (
    at_exchange,
    bracket,
    group,
    has_ended,
    move_market,
    oco,
    oto,
    placed,
    position,
    shown,
    trailing,
)
from tests.engine.stage import ACCOUNT, ES, RISK, TRADER, Stage, let_run


async def test_the_stop_of_a_bracket_lives_for_exactly_what_the_entry_has_filled() -> None:
    async with Stage() as stage:
        await placed(stage, bracket(4, entry="4790"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        entry = next(stage.exchange.orders())
        stage.exchange.fill(entry.id, Decimal(1), Decimal(4790))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(1))])
        stage.exchange.fill(entry.id, Decimal(3), Decimal(4790))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])


async def test_a_bracket_that_reaches_its_profit_swaps_its_stop_for_the_limit_and_ends_flat() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])
        move_market(stage, "4821")
        await stage.until(lambda: has_ended(stage, group_id))
        assert group(stage, group_id).reason is End.COMPLETED
        assert group(stage, group_id).triggered is Role.TAKE_PROFIT
        assert position(stage) == 0
        assert not at_exchange(stage, Side.SELL)


async def test_a_bracket_whose_stop_is_hit_at_the_broker_ends_flat_without_a_word_from_us() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL))
        move_market(stage, "4779")
        await stage.until(lambda: has_ended(stage, group_id))
        assert group(stage, group_id).triggered is None
        assert position(stage) == 0


async def test_profit_is_left_for_the_stop_when_the_market_turns_before_the_limit_has_filled() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL))
        stage.price(Decimal(4820))  # seen here; the exchange does not trade there
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("limit", Decimal(4))])
        profit = next(one for one in stage.exchange.orders() if one.is_open)
        stage.exchange.fill(profit.id, Decimal(1), Decimal(4820))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("limit", Decimal(3))])
        move_market(stage, "4775")
        await stage.until(lambda: has_ended(stage, group_id))
        assert position(stage) == 0


async def test_an_oco_of_which_one_leg_fills_never_has_the_other_at_the_broker() -> None:
    async with Stage() as stage:
        await stage.accepted(side=Side.BUY, quantity=4, limit="4800")
        await stage.until(lambda: stage.held(ES) == 4)
        group_id = await placed(stage, oco())
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])
        move_market(stage, "4779")
        await stage.until(lambda: has_ended(stage, group_id))
        assert position(stage) == 0
        assert stage.placed_at_exchange() == 2


async def test_an_oto_places_its_second_order_once_the_first_has_filled() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, oto())
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop_limit", Decimal(4))])
        move_market(stage, "4775")
        await stage.until(lambda: has_ended(stage, group_id))
        assert position(stage) == 0


async def test_an_entry_that_never_fills_leaves_nothing_behind() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket(entry="4700"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        stage.exchange.expire(next(stage.exchange.orders()).id)
        await stage.until(lambda: has_ended(stage, group_id))
        assert group(stage, group_id).reason is End.ENTRY_NOT_FILLED
        assert stage.placed_at_exchange() == 1


def is_marked(stage: Stage, group_id: GroupId, price: str) -> bool:
    return group(stage, group_id).mark == Decimal(price)


async def test_a_trailing_stop_follows_the_market_up_and_sells_when_it_has_fallen_far_enough() -> None:
    async with Stage() as stage:
        await stage.accepted(side=Side.BUY, quantity=4, limit="4800")
        await stage.until(lambda: stage.held(ES) == 4)
        group_id = await placed(stage, trailing())
        for price in ("4830", "4850"):
            move_market(stage, price)
            await stage.until(partial(is_marked, stage, group_id, price))
        move_market(stage, "4831")
        await stage.clock.move(5)
        assert position(stage) == 4, "it has not fallen by 20 yet"
        move_market(stage, "4830")
        await stage.until(lambda: has_ended(stage, group_id))
        assert position(stage) == 0


async def test_a_trailing_mark_is_journalled_at_most_once_a_second_and_a_restart_does_not_loosen_it() -> None:
    async with Stage() as stage:
        await stage.accepted(side=Side.BUY, quantity=4, limit="4800")
        await stage.until(lambda: stage.held(ES) == 4)
        group_id = await placed(stage, trailing())
        await stage.until(lambda: group(stage, group_id).mark is not None)
        await stage.clock.move(2)
        before = stage.listener.kinds.count("trail_moved")
        for tick in range(40):
            stage.price(Decimal(4810 + tick))
            await stage.clock.move(0.05)
        await stage.until(lambda: group(stage, group_id).mark == Decimal(4849))
        assert stage.listener.kinds.count("trail_moved") - before <= 4
        await stage.restart()
        assert group(stage, group_id).mark == Decimal(4849)
        move_market(stage, "4829")
        await stage.until(lambda: has_ended(stage, group_id))
        assert position(stage) == 0


async def test_a_trailing_stop_loss_guards_a_bracket_whose_profit_rests() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket(trails=True))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("limit", Decimal(4))])
        move_market(stage, "4815")
        await stage.until(lambda: group(stage, group_id).mark == Decimal(4815))
        move_market(stage, "4795")
        await stage.until(lambda: has_ended(stage, group_id))
        assert position(stage) == 0
        assert group(stage, group_id).triggered is Role.STOP_LOSS


async def test_a_canceled_group_takes_back_every_order_and_answers_for_each() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL))
        answer = await stage.node.groups.cancel(TRADER, group_id, key=stage.key(), correlation="test")
        results = {one["role"]: one["result"] for one in shown(answer)["orders"]}
        assert results == {"entry": "filled", "stop_loss": "cancel-requested"}
        await stage.until(lambda: has_ended(stage, group_id))
        assert group(stage, group_id).reason is End.CANCELED
        assert not at_exchange(stage, Side.SELL)
        assert position(stage) == 4, "what the entry bought is not sold by a cancel"


async def test_canceling_one_leg_ends_the_group() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL))
        stop = group(stage, group_id).released[-1].order_id
        await stage.gate.cancel(TRADER, stop, key=stage.key(), correlation="test")
        await stage.until(lambda: has_ended(stage, group_id))
        assert group(stage, group_id).reason is End.LEG_CANCELED
        account = stage.lane.books.account
        assert account is not None
        assert not account.alarms, "it was asked for here"


async def test_cancel_all_ends_groups_that_have_nothing_at_the_broker() -> None:
    async with Stage() as stage:
        await stage.accepted(side=Side.BUY, quantity=4, limit="4800")
        await stage.until(lambda: stage.held(ES) == 4)
        group_id = await placed(stage, trailing())
        await stage.gate.cancel_all(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        await stage.until(lambda: has_ended(stage, group_id))
        move_market(stage, "4700")
        await stage.clock.move(5)
        assert position(stage) == 4


async def test_the_same_key_buys_one_group_whatever_happens_to_the_answer() -> None:
    async with Stage() as stage:
        key = stage.key()
        first = await stage.node.groups.place(TRADER, bracket(), key=key, correlation="test")
        await stage.restart()
        again = await stage.node.groups.place(TRADER, bracket(), key=key, correlation="test")
        assert isinstance(first, GroupAnswer)
        assert isinstance(again, GroupAnswer)
        assert again.group_id == first.group_id
        assert again.replayed
        other = await stage.node.groups.place(TRADER, bracket(2), key=key, correlation="test")
        assert isinstance(other, Refusal)
        assert other.code is Code.IDEMPOTENCY_KEY_REUSED


async def test_a_group_whose_worst_case_is_too_large_is_denied_whole_and_journalled() -> None:
    async with Stage() as stage:
        answer = await stage.node.groups.place(TRADER, bracket(101), key=stage.key(), correlation="test")
        assert isinstance(answer, GroupAnswer)
        assert {(one.control, one.inputs["leg"]) for one in answer.failed} == {
            ("R06", "entry"),
            ("R06", "take_profit"),
            ("R06", "stop_loss"),
        }
        assert stage.placed_at_exchange() == 0
        assert shown(answer)["status"] == "denied"
        assert "group_denied" in stage.listener.kinds


async def test_legs_that_make_no_group_are_refused_with_the_field() -> None:
    async with Stage() as stage:
        asked = bracket()
        no_stop = type(asked)(
            account=asked.account,
            kind=asked.kind,
            symbol=asked.symbol,
            quantity=asked.quantity,
            legs=asked.legs[:2],
        )
        answer = await stage.node.groups.place(TRADER, no_stop, key=stage.key(), correlation="test")
        assert isinstance(answer, Refusal)
        assert answer.code is Code.INVALID
        assert "legs" in answer.fields


async def test_a_kill_switch_holds_exits_back_and_its_release_lets_them_go() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket(entry="4790"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        await stage.gate.engage_kill(TRADER, grade="block_new", reason="test", correlation="test")
        move_market(stage, "4789")
        await stage.until(lambda: stage.held(ES) == 4)
        await stage.clock.move(5)
        assert not at_exchange(stage, Side.SELL)
        await stage.gate.release_kill(RISK, reason="test", correlation="test")
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])
        assert group(stage, group_id).is_active


async def test_a_clock_that_was_an_hour_fast_makes_no_group_wait_for_an_hour() -> None:
    script = fates.Script()
    async with Stage(fate=script) as stage:
        script.add(fates.Call.PLACE, fates.DELIVERED, fates.TurnedAway("no"))
        stage.clock.wrong_by = timedelta(hours=1)
        stage.price(Decimal(4800))
        group_id = await placed(stage, bracket())
        await stage.until(lambda: len(group(stage, group_id).released) == 2)
        stage.clock.wrong_by = timedelta(0)
        stage.price(Decimal(4800))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))], within_s=90)


async def test_exits_refused_after_the_clock_was_set_back_are_tried_with_pauses_and_given_up() -> None:
    script = fates.Script()
    async with Stage(fate=script) as stage:
        script.add(fates.Call.PLACE, fates.DELIVERED, *[fates.TurnedAway("no")] * 100)
        stage.clock.wrong_by = timedelta(hours=1)
        stage.price(Decimal(4800))
        group_id = await placed(stage, bracket())
        await stage.until(lambda: len(group(stage, group_id).released) == 2)
        stage.clock.wrong_by = timedelta(0)
        stage.price(Decimal(4800))
        await stage.until(lambda: has_ended(stage, group_id), within_s=600)
        assert group(stage, group_id).reason is End.LEG_REFUSED
        put_off = 1  # by the window of messages, as the clock goes back
        assert len(group(stage, group_id).released) <= 2 + put_off + SETBACKS_MAX


async def test_a_leg_whose_answer_is_lost_is_not_placed_twice() -> None:
    script = fates.Script()
    script.add(fates.Call.PLACE, fates.DELIVERED, fates.LostAnswer())
    async with Stage(fate=script) as stage:
        await placed(stage, bracket())
        await stage.until(lambda: "outcome_unknown" in stage.listener.kinds)
        await stage.until(lambda: all(one.acknowledged_at for one in stage.lane.books.open_orders()))
        assert at_exchange(stage, Side.SELL) == [("stop", Decimal(4))]
        assert stage.placed_at_exchange() == 2


async def test_a_broker_that_takes_no_exit_beside_an_open_entry_is_asked_until_it_does() -> None:
    script = fates.Script()
    async with Stage(fate=script) as stage:
        group_id = await placed(stage, bracket(entry="4790"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        script.add(fates.Call.PLACE, *[fates.TurnedAway("an order on the other side is open")] * 10)
        entry = next(stage.exchange.orders())
        stage.exchange.fill(entry.id, Decimal(1), Decimal(4790))
        await stage.until(lambda: len(group(stage, group_id).released) > 9, within_s=900)
        assert group(stage, group_id).is_active
        stage.exchange.fill(entry.id, Decimal(3), Decimal(4790))
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])


async def test_an_exit_that_is_refused_again_and_again_ends_the_group_and_says_why() -> None:
    script = fates.Script()
    async with Stage(fate=script) as stage:
        script.add(fates.Call.PLACE, fates.DELIVERED, *[fates.TurnedAway("no")] * 8)
        group_id = await placed(stage, bracket())
        await stage.until(lambda: has_ended(stage, group_id), within_s=600)
        assert group(stage, group_id).reason is End.LEG_REFUSED
        assert len(group(stage, group_id).released) == 1 + 8
        account = stage.lane.books.account
        assert account is not None
        assert f"group_gave_up:{group_id}" in account.alarms


async def test_a_leg_that_only_reduces_leaves_although_every_exposure_limit_is_spent() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket(entry="4790"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        seat = stage.node.lanes.get(ACCOUNT)
        assert seat is not None
        assert seat.limits is not None
        seat.limits = msgspec.structs.replace(seat.limits, max_open_orders=0, max_open_notional=Decimal(1))
        move_market(stage, "4789")
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])
        assert group(stage, group_id).is_active


async def test_long_after_its_end_a_group_is_still_found_by_its_id() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket(entry="4700"))
        answer = await stage.node.groups.cancel(TRADER, group_id, key=stage.key(), correlation="test")
        assert isinstance(answer, GroupAnswer)
        await stage.until(lambda: has_ended(stage, group_id))
        stage.lane.books.groups.forget()
        assert stage.lane.books.groups.get(group_id) is None
        body = await stage.node.groups.show(TRADER, group_id)
        assert isinstance(body, bytes)
        assert b'"reason":"canceled"' in body


async def test_nobody_is_told_of_a_cancel_under_way_that_may_yet_be_lost() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket(entry="4790"))
        await stage.until(lambda: at_exchange(stage, Side.BUY))
        stage.journal.hold()
        first, second = (
            asyncio.create_task(
                stage.node.groups.cancel(TRADER, group_id, key=stage.key(), correlation="test")
            )
            for _ in range(2)
        )
        await let_run()
        assert not second.done()
        stage.journal.cut(written=False)
        stage.journal.release()
        await stage.until(lambda: first.done() and second.done())
        await stage.until(lambda: has_ended(stage, group_id))
        assert not at_exchange(stage, Side.BUY)


async def test_nobody_is_shown_a_group_that_may_yet_be_lost() -> None:
    async with Stage() as stage:
        stage.journal.hold()
        placing = asyncio.create_task(
            stage.node.groups.place(TRADER, bracket(), key=stage.key(), correlation="test")
        )
        await let_run()
        (unwritten,) = stage.lane.books.groups.all()
        listing = asyncio.create_task(
            stage.node.groups.latest(TRADER, [ACCOUNT], active=None, before=None, limit=10)
        )
        showing = asyncio.create_task(stage.node.groups.show(TRADER, unwritten.id))
        await let_run()
        assert not listing.done()
        assert not showing.done()
        stage.journal.cut(written=False)
        stage.journal.release()
        await stage.until(lambda: placing.done() and listing.done() and showing.done())
        for told in (listing.result(), showing.result()):
            assert isinstance(told, Refusal)
            assert told.code is Code.NOT_READY


async def test_a_guard_that_a_full_window_of_messages_keeps_waiting_is_placed_once_there_is_room() -> None:
    async with Stage(limits={"message_windows": [[1, 900]]}) as stage:
        group_id = await placed(stage, bracket())
        await stage.until(lambda: stage.held(ES) == 4)
        for _ in range(600):
            await stage.clock.move(1)
        assert group(stage, group_id).is_active
        account = stage.lane.books.account
        assert account is not None
        assert set(account.alarms) == {f"group_put_off:{group_id}"}
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))], within_s=400)
