"""Dead man's switches: a client that goes away has its orders canceled, and only what it said."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ordergate.core.access import Principal
from ordergate.core.ids import AccountId, OrderId, cl_ord_id
from ordergate.core.orders import reports as r
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import DeadManExpired, Remaining
from ordergate.engine.answering.answers import Answer, DeadManView
from ordergate.engine.stopping.dead_man import SESSIONS_MAX
from ordergate.ports.broker import Outcome, Rejected
from tests.engine.groups import at_exchange, bracket, has_ended, placed
from tests.engine.killing import control
from tests.engine.stage import ACCOUNT, ES, RISK, TRADER, Stage, let_run

KINDS = ("dead_man_armed", "dead_man_disarmed", "dead_man_expired")


async def arm(stage: Stage, gtc: Remaining = Remaining.CANCEL, timeout_s: int = 60) -> DeadManView:
    view = await stage.node.dead_man.arm(TRADER, "main", timeout_s=timeout_s, gtc=gtc, correlation="test")
    assert isinstance(view, DeadManView), view
    return view


async def working(
    stage: Stage, tif: TimeInForce = TimeInForce.GTC, who: Principal = TRADER, limit: str = "4700"
) -> OrderId:
    terms = Terms(
        account=ACCOUNT,
        symbol=ES,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(1),
        limit_price=Decimal(limit),
        time_in_force=tif,
    )
    answer = await stage.gate.place(who, terms, key=stage.key(), correlation="test")
    assert isinstance(answer, Answer), answer
    await stage.until(lambda: stage.status(answer.order_id) == "working")
    return answer.order_id


async def passes(stage: Stage, seconds: float) -> None:
    for _ in range(int(seconds * 4)):
        await stage.clock.move(0.25)


def written(stage: Stage) -> list[str]:
    books = stage.journal.books.get(AccountId("P-CONTROL"))
    found = [] if books is None else [msgspec.to_builtins(entry.event)["kind"] for entry, _ in books.events]
    return [kind for kind in found if kind in KINDS]


async def test_what_is_not_refreshed_in_time_is_canceled_and_nobody_elses() -> None:
    async with Stage() as stage:
        order, other = await working(stage), await working(stage, who=RISK, limit="4600")
        view = await arm(stage)
        assert (view.state, view.timeout_s, view.refresh_s) == ("armed", 60, 20)
        await passes(stage, 55)
        assert stage.status(order) == "working"
        await stage.until(lambda: stage.status(order) == "canceled", within_s=10)
        await stage.until(lambda: written(stage) == ["dead_man_armed", "dead_man_expired"])
        assert stage.status(other) == "working"
        await stage.until(lambda: stage.node.dead_man.of(TRADER) == ())


async def test_refreshing_keeps_everything_and_is_not_written_down() -> None:
    async with Stage() as stage:
        order = await working(stage)
        await arm(stage)
        for _ in range(10):
            await passes(stage, 20)
            assert (await arm(stage)).expires_in_s == 60
        assert stage.status(order) == "working"
        assert written(stage) == ["dead_man_armed"]


@pytest.mark.parametrize("gtc", list(Remaining), ids=str)
async def test_the_client_says_what_becomes_of_orders_that_outlive_the_day(gtc: Remaining) -> None:
    async with Stage() as stage:
        day, lasting = await working(stage, TimeInForce.DAY), await working(stage)
        await arm(stage, gtc, timeout_s=5)
        await stage.until(lambda: stage.status(day) == "canceled")
        await passes(stage, 5)
        assert stage.status(lasting) == ("canceled" if gtc is Remaining.CANCEL else "working")


@pytest.mark.parametrize("gtc", list(Remaining), ids=str)
async def test_what_guards_a_position_beyond_the_day_stays_where_such_orders_do(gtc: Remaining) -> None:
    async with Stage() as stage:
        await placed(stage, bracket())
        await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])
        await arm(stage, gtc, timeout_s=5)
        await stage.until(lambda: "dead_man_expired" in written(stage))
        await passes(stage, 5)
        stays = gtc is Remaining.KEEP
        assert at_exchange(stage, Side.SELL) == ([("stop", Decimal(4))] if stays else [])


async def test_of_a_group_that_stays_the_order_for_the_day_goes() -> None:
    async with Stage() as stage:
        asked = bracket(entry="4700")
        entry = msgspec.structs.replace(asked.legs[0], time_in_force=TimeInForce.DAY)
        group_id = await placed(stage, msgspec.structs.replace(asked, legs=(entry, *asked.legs[1:])))
        await stage.until(lambda: bool(at_exchange(stage, Side.BUY)))
        await arm(stage, Remaining.KEEP, timeout_s=5)
        await stage.until(lambda: has_ended(stage, group_id))
        assert not at_exchange(stage, Side.BUY)


async def test_a_disarmed_one_does_nothing() -> None:
    async with Stage() as stage:
        order = await working(stage)
        await arm(stage, timeout_s=5)
        view = await stage.node.dead_man.disarm(TRADER, "main", correlation="test")
        assert isinstance(view, DeadManView)
        assert view.state == "disarmed"
        await passes(stage, 20)
        assert stage.status(order) == "working"
        no = stage.node.dead_man.refresh(TRADER, "main")
        assert isinstance(no, Refusal)
        assert no.code is Code.NOT_FOUND


async def test_a_restart_gives_an_armed_one_its_whole_time_again() -> None:
    async with Stage() as stage:
        order = await working(stage)
        await arm(stage, timeout_s=30)
        await passes(stage, 20)
        await stage.restart()
        await passes(stage, 20)
        assert stage.status(order) == "working"
        await stage.until(lambda: stage.status(order) == "canceled", within_s=15)


async def test_a_crash_between_the_expiry_and_its_cancels_changes_nothing() -> None:
    async with Stage() as stage:
        order = await working(stage)
        await arm(stage, timeout_s=5)
        stage.lane.ready.clear()  # the account cannot be decided on: nothing can be canceled
        await stage.until(lambda: written(stage) == ["dead_man_armed", "dead_man_expired"])
        assert stage.status(order) == "working"
        await stage.restart()
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_a_lost_connection_counts_at_once_and_an_order_placed_after_it_stays() -> None:
    async with Stage() as stage:
        order = await working(stage)
        await arm(stage)
        stage.node.dead_man.gone(TRADER, "main", "its stream was disconnected")
        await stage.clock.move(0.25)
        after = await working(stage, limit="4600")
        await stage.until(lambda: stage.status(order) == "canceled")
        await passes(stage, 5)
        assert stage.status(after) == "working"


async def back_at_once(stage: Stage) -> DeadManView:
    """The client's connection is lost, and it arms again before the expiry is written down."""
    stage.node.dead_man.gone(TRADER, "main", "its stream was disconnected")
    await stage.clock.move(0.05)
    return await arm(stage)


async def test_who_is_back_at_once_and_arms_is_armed() -> None:
    async with Stage() as stage:
        await working(stage)
        await arm(stage)
        assert (await back_at_once(stage)).state == "armed"
        await passes(stage, 2)
        assert [one.state for one in stage.node.dead_man.of(TRADER)] == ["armed"]
        assert isinstance(stage.node.dead_man.refresh(TRADER, "main"), DeadManView)


async def test_an_expiry_is_written_before_what_is_armed_after_it_and_once() -> None:
    async with Stage() as stage:
        await arm(stage)
        await back_at_once(stage)
        assert written(stage) == ["dead_man_armed", "dead_man_expired", "dead_man_armed"]
        await passes(stage, 2)
        assert len(written(stage)) == 3


@pytest.mark.parametrize("restarts", [False, True])
async def test_who_was_back_at_once_and_goes_away_again_has_it_all_canceled(restarts: bool) -> None:
    async with Stage() as stage:
        await arm(stage)
        await back_at_once(stage)
        after = await working(stage)
        if restarts:
            await stage.restart()
        await passes(stage, 50)
        assert stage.status(after) == "working"
        await stage.until(lambda: stage.status(after) == "canceled", within_s=15)


async def test_what_a_client_left_is_canceled_after_a_crash_though_it_was_back_at_once() -> None:
    async with Stage() as stage:
        order = await working(stage)
        await arm(stage)
        stage.lane.ready.clear()  # the account cannot be decided on: nothing can be canceled
        await back_at_once(stage)
        assert stage.status(order) == "working"
        await stage.restart()
        await stage.until(lambda: stage.status(order) == "canceled", within_s=5)
        assert [one.state for one in stage.node.dead_man.of(TRADER)] == ["armed"]


async def test_what_had_expired_and_cannot_be_written_down_arms_nothing() -> None:
    async with Stage() as stage:
        await arm(stage)
        stage.journal.hold()
        stage.node.dead_man.gone(TRADER, "main", "its stream was disconnected")
        back = asyncio.create_task(
            stage.node.dead_man.arm(TRADER, "main", timeout_s=60, gtc=Remaining.CANCEL, correlation="test")
        )
        await let_run()
        stage.journal.cut(written=False)
        await let_run()
        stage.journal.cut(written=False)
        no = await back
        assert isinstance(no, Refusal)
        assert (no.code, written(stage)) == (Code.UNAVAILABLE, ["dead_man_armed"])


@pytest.mark.parametrize(("arming", "then"), [(0, []), (1, ["armed"]), (2, [])])
async def test_an_expiry_ends_its_own_arming_and_one_of_before_they_had_numbers_any(
    arming: int, then: list[str]
) -> None:
    async with Stage() as stage:
        await arm(stage)
        await arm(stage, timeout_s=30)
        expired = DeadManExpired(
            at=stage.clock.now(),
            tenant=TRADER.tenant,
            client=TRADER.client_id,
            session="main",
            user=TRADER.subject,
            why="not refreshed",
            arming=arming,
        )
        await stage.node.kill_switch.note(expired, "test")
        await passes(stage, 1)
        assert [one.state for one in stage.node.dead_man.of(TRADER)] == then


async def test_a_restart_goes_on_counting_armings() -> None:
    async with Stage() as stage:
        await arm(stage)
        await stage.restart()
        await arm(stage, timeout_s=30)
        assert [one.get("arming") for one in control(stage)] == [1, 2]


async def arm_on(stage: Stage, connection: object, timeout_s: int = 60) -> None:
    await stage.node.dead_man.arm(
        TRADER,
        "main",
        timeout_s=timeout_s,
        gtc=Remaining.CANCEL,
        correlation="test",
        connection=connection,
    )


@pytest.mark.parametrize("timeout_s", [60, 30], ids=["as it was armed", "otherwise"])
async def test_an_old_connection_that_is_lost_after_the_client_armed_on_another_changes_nothing(
    timeout_s: int,
) -> None:
    async with Stage() as stage:
        await arm_on(stage, "old")
        await arm_on(stage, "new", timeout_s)
        stage.node.dead_man.gone(TRADER, "main", "it timed out", "old")
        assert [one.state for one in stage.node.dead_man.of(TRADER)] == ["armed"]


async def test_an_old_connection_that_is_lost_after_the_client_refreshed_on_another_changes_nothing() -> None:
    async with Stage() as stage:
        await arm_on(stage, "old")
        stage.node.dead_man.refresh(TRADER, "main", "new")
        stage.node.dead_man.gone(TRADER, "main", "it timed out", "old")
        assert [one.state for one in stage.node.dead_man.of(TRADER)] == ["armed"]


@pytest.mark.parametrize("timeout_s", [60, 30], ids=["as it was armed", "otherwise"])
async def test_a_request_is_no_other_connection(timeout_s: int) -> None:
    async with Stage() as stage:
        await arm_on(stage, "the only one")
        await arm(stage, timeout_s=timeout_s)
        stage.node.dead_man.refresh(TRADER, "main")
        stage.node.dead_man.gone(TRADER, "main", "it was disconnected", "the only one")
        assert stage.node.dead_man.of(TRADER) == ()


async def test_who_may_not_place_orders_needs_no_dead_mans_switch() -> None:
    async with Stage() as stage:
        reader = msgspec.structs.replace(TRADER, scopes=frozenset())
        no = await stage.node.dead_man.arm(
            reader, "main", timeout_s=60, gtc=Remaining.KEEP, correlation="test"
        )
        assert isinstance(no, Refusal)
        assert no.code is Code.FORBIDDEN


async def test_the_result_is_reconciled_with_the_broker() -> None:
    async with Stage() as stage:
        order = await working(stage)
        await arm(stage, timeout_s=5)
        await stage.until(lambda: stage.status(order) == "canceled")
        stage.asked.clear()
        await stage.until(lambda: "open orders" in stage.asked, within_s=5)


async def test_an_order_from_before_the_clock_was_set_right_is_canceled_all_the_same() -> None:
    async with Stage() as stage:
        stage.clock.wrong_by = timedelta(seconds=600)
        stage.price(stage.last_price)
        order = await working(stage)
        await arm(stage)
        stage.clock.wrong_by = timedelta(0)
        stage.price(stage.last_price)
        await passes(stage, 55)
        assert stage.status(order) == "working"
        await stage.until(lambda: stage.status(order) == "canceled", within_s=10)


async def test_an_order_placed_after_it_stays_though_the_clock_was_set_back_meanwhile() -> None:
    async with Stage() as stage:
        order = await working(stage)
        await arm(stage)
        stage.node.dead_man.gone(TRADER, "main", "its stream was disconnected")
        stage.clock.wrong_by = timedelta(seconds=-10)
        stage.price(stage.last_price)
        await (
            stage.place()
        )  # the first by a clock that was set back is one too many, and they are counted anew
        await passes(stage, 2)
        after = await working(stage, limit="4600")
        await stage.until(lambda: stage.status(order) == "canceled")
        await passes(stage, 5)
        assert stage.status(after) == "working"


async def refused_and_taken(stage: Stage) -> OrderId:
    """The broker says no to an order, has it all the same, and its stream is silent of it."""
    place = stage.broker.place

    async def takes_and_refuses(*asked: Any) -> Outcome:
        await place(*asked)
        return Rejected("422 unprocessable")

    stage.broker.stream.copies = lambda _: 0
    stage.broker.place = takes_and_refuses  # type: ignore[method-assign, assignment]  # as the test says
    answer = await stage.place(key=stage.key())
    stage.broker.place = place  # type: ignore[method-assign]  # and again as it does
    assert isinstance(answer, Answer), answer
    await stage.until(lambda: stage.status(answer.order_id) == "rejected", within_s=1)
    stage.broker.stream.copies = lambda _: 1
    return answer.order_id


@pytest.mark.parametrize("later_s", [0, 10], ids=["at once", "when nothing was left to cancel"])
async def test_an_order_that_was_refused_and_taken_all_the_same_goes_with_the_others(later_s: int) -> None:
    async with Stage() as stage:
        await arm(stage, timeout_s=5)
        await passes(stage, 4)
        order = await refused_and_taken(stage)
        (theirs,) = stage.exchange.orders()
        await stage.until(lambda: stage.node.dead_man.of(TRADER) == (), within_s=5)
        await passes(stage, later_s)
        assert stage.status(order) == "rejected"
        news = r.AcknowledgedReport(cl_ord_id=cl_ord_id(order, 1), version=1, broker_order_id=theirs.id)
        await stage.node._ingest._hear(stage.seat, news, None)
        await stage.until(lambda: stage.status(order) == "canceled", within_s=5)
        after = await working(stage)
        await passes(stage, 5)
        assert stage.status(after) == "working"  # it came when the client was back


async def test_asking_for_many_at_once_passes_no_bound() -> None:
    async with Stage() as stage:
        asked = [
            stage.node.dead_man.arm(TRADER, f"s-{n}", timeout_s=60, gtc=Remaining.KEEP, correlation="test")
            for n in range(SESSIONS_MAX + 10)
        ]
        answers = await asyncio.gather(*asked)
        refused = [one for one in answers if isinstance(one, Refusal)]
        assert [one.code for one in refused] == [Code.TOO_LARGE] * 10
        assert len(stage.node.dead_man.of(TRADER)) == SESSIONS_MAX


async def test_what_is_armed_behind_a_disarming_that_is_being_written_stands() -> None:
    """A client that changes its mind says so last, and is told that it is armed."""
    async with Stage() as stage:
        order = await working(stage)
        await arm(stage, timeout_s=5)
        disarming = asyncio.create_task(stage.node.dead_man.disarm(TRADER, "main", correlation="test"))
        await asyncio.sleep(0)
        view = await arm(stage, timeout_s=5)
        assert view.state == "armed"
        await disarming
        assert len(stage.node.dead_man.of(TRADER)) == 1
        await stage.until(lambda: stage.status(order) == "canceled", within_s=10)
        assert written(stage)[:3] == ["dead_man_armed", "dead_man_disarmed", "dead_man_armed"]
