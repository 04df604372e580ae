"""Stops at every level and in every grade: what may leave, what is canceled, who may lift them, and doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest

from ordergate.brokers.paper import fates
from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Grade, KillEngaged, Level
from ordergate.engine.answers import Answer, KillView
from ordergate.engine.units import control_entry
from ordergate.ports.journal import Unit
from tests.engine.stage import ACCOUNT, ES, RISK, TRADER, Stage, let_run

CONTROL = AccountId("P-CONTROL")

# A place that the order of `placed` falls under, and one beside it.
HIT = {
    Level.STRATEGY: "trend",
    Level.USER: "trader",
    Level.ACCOUNT: "P-TEST",
    Level.INSTRUMENT: "ESH4",
    Level.BROKER: "paper-login",
    Level.TENANT: "default",
    Level.ENVIRONMENT: "paper",
    Level.GLOBAL: "",
}
MISSED = {Level.STRATEGY: "carry", Level.USER: "another"}


async def placed(stage: Stage, side: Side = Side.BUY, quantity: int = 1, limit: str = "4700") -> Answer:
    terms = Terms(
        account=ACCOUNT,
        symbol=ES,
        side=side,
        type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        limit_price=Decimal(limit),
        time_in_force=TimeInForce.GTC,
        strategy="trend",
    )
    answer = await stage.gate.place(TRADER, terms, key=stage.key(), correlation="test")
    assert isinstance(answer, Answer), answer
    return answer


async def engage(stage: Stage, level: Level, target: str, grade: Grade) -> KillView:
    view = await stage.gate.engage_kill(
        TRADER, grade=grade, reason="drill", correlation="test", level=level, target=target
    )
    assert isinstance(view, KillView), view
    return view


async def working(stage: Stage) -> OrderId:
    order = (await placed(stage)).order_id
    await stage.until(lambda: stage.status(order) == "working")
    return order


async def hold(stage: Stage, quantity: int) -> None:
    """A long position of so many."""
    bought = await stage.accepted(limit=None, quantity=quantity)
    await stage.until(lambda: stage.status(bought) == "filled")


@pytest.mark.parametrize("grade", [Grade.REDUCE_ONLY, Grade.BLOCK_NEW, Grade.CANCEL_ALL], ids=str)
@pytest.mark.parametrize("level", [level for level in Level if level is not Level.ORDER], ids=str)
async def test_a_stop_of_a_level_stops_what_opens_and_cancels_as_its_grade_says(
    level: Level, grade: Grade
) -> None:
    async with Stage() as stage:
        await hold(stage, 3)
        order = await working(stage)
        view = await engage(stage, level, HIT[level], grade)
        assert (view.engaged, view.level, view.target) == (True, level, HIT[level] or None)
        opening = await placed(stage, limit="4701")
        assert [no.control for no in opening.failed] == ["R01"]
        assert opening.failed[0].inputs["level"] == level
        closing = await placed(stage, Side.SELL, limit="4900")
        assert bool(closing.failed) is (grade is not Grade.REDUCE_ONLY)
        if grade is Grade.CANCEL_ALL:
            await stage.until(lambda: stage.status(order) == "canceled")
        else:
            await stage.clock.move(5)
            assert stage.status(order) == "working"
            await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
            await stage.until(lambda: stage.status(order) == "canceled")


@pytest.mark.parametrize("level", list(MISSED), ids=str)
async def test_a_stop_beside_an_order_leaves_it_alone(level: Level) -> None:
    async with Stage() as stage:
        order = await working(stage)
        await engage(stage, level, MISSED[level], Grade.CANCEL_ALL)
        assert not (await placed(stage, limit="4701")).failed
        await stage.clock.move(5)
        assert stage.status(order) == "working"


async def test_a_stop_of_one_order_cancels_it_and_no_other() -> None:
    async with Stage() as stage:
        one, other = await working(stage), await working(stage)
        await engage(stage, Level.ORDER, one, Grade.CANCEL_ALL)
        await stage.until(lambda: stage.status(one) == "canceled")
        assert stage.status(other) == "working"
        assert not (await placed(stage, limit="4701")).failed


async def test_a_stop_of_one_order_keeps_it_from_being_changed() -> None:
    async with Stage() as stage:
        order = await working(stage)
        await engage(stage, Level.ORDER, order, Grade.BLOCK_NEW)
        answer = await stage.gate.replace(
            TRADER,
            order,
            quantity=Decimal(2),
            limit_price=None,
            stop_price=None,
            key=stage.key(),
            correlation="test",
        )
        assert isinstance(answer, Answer)
        assert [no.control for no in answer.failed] == ["R01"]


async def test_reduce_only_never_turns_a_position_over() -> None:
    async with Stage() as stage:
        await hold(stage, 3)
        await engage(stage, Level.GLOBAL, "", Grade.REDUCE_ONLY)
        assert not (await placed(stage, Side.SELL, 2, "4900")).failed
        assert (await placed(stage, Side.SELL, 2, "4901")).failed
        assert not (await placed(stage, Side.SELL, 1, "4901")).failed


async def test_the_hardest_of_several_stops_decides() -> None:
    async with Stage() as stage:
        await hold(stage, 1)
        await engage(stage, Level.GLOBAL, "", Grade.REDUCE_ONLY)
        await engage(stage, Level.STRATEGY, "trend", Grade.BLOCK_NEW)
        denied = await placed(stage, Side.SELL, 1, "4900")
        assert denied.failed[0].inputs == {"level": "strategy", "target": "trend", "grade": "block_new"}
        view = stage.gate.kill_state()
        assert [(one.level, one.grade) for one in view.stops] == [
            ("global", "reduce_only"),
            ("strategy", "block_new"),
        ]


async def test_engaging_again_never_loosens() -> None:
    async with Stage() as stage:
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        view = await engage(stage, Level.GLOBAL, "", Grade.REDUCE_ONLY)
        assert view.grade == "cancel_all"


@pytest.mark.parametrize(
    ("level", "target"),
    [
        ("account", "P-TSET"),
        ("instrument", "ESM9"),
        ("broker", "elsewhere"),
        ("tenant", "other"),
        ("environment", "live"),
        ("order", "P-1"),
        ("strategy", ""),
        ("global", "everything"),
    ],
)
async def test_a_misspelt_target_is_refused_and_not_taken_for_safety(level: str, target: str) -> None:
    async with Stage() as stage:
        no = await stage.gate.engage_kill(
            TRADER, grade="block_new", reason="drill", correlation="test", level=level, target=target
        )
        assert isinstance(no, Refusal)
        assert (no.code, list(no.fields)) == (Code.INVALID, ["target"])


async def test_another_person_releases_with_a_reason() -> None:
    async with Stage() as stage:
        await engage(stage, Level.ACCOUNT, "P-TEST", Grade.BLOCK_NEW)
        same = await stage.gate.release_kill(
            TRADER, reason="over", correlation="test", level="account", target="P-TEST"
        )
        assert isinstance(same, Refusal)
        assert same.code is Code.SAME_PERSON
        view = await stage.gate.release_kill(
            RISK, reason="over", correlation="test", level="account", target="P-TEST"
        )
        assert isinstance(view, KillView)
        assert not view.engaged
        assert not (await placed(stage)).failed


async def test_a_restart_finds_every_stop_again_and_sweeps_on() -> None:
    async with Stage() as stage:
        order = await working(stage)
        event = KillEngaged(
            at=stage.clock.now(),
            level=Level.STRATEGY,
            target="trend",
            grade=Grade.CANCEL_ALL,
            actor="risk",
            reason="drill",
        )
        await stage.node.kill_switch.engage(event, "test")
        await stage.restart()
        assert (await placed(stage)).failed
        await stage.until(lambda: stage.status(order) == "canceled")
        await stage.until(lambda: stage.gate.kill_state().stops[0].orders_left == 0)


async def test_what_was_swept_is_written_down() -> None:
    async with Stage() as stage:
        for _ in range(3):
            await working(stage)
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await stage.until(lambda: kinds(stage).count("kill_swept") == 1)
        swept = next(one for one in control(stage) if one["kind"] == "kill_swept")
        assert swept["cancels"] == 3


async def test_what_cannot_be_canceled_is_asked_again_and_named() -> None:
    refusing = False

    def fate(call: fates.Call) -> fates.Fate:
        if refusing and call is fates.Call.CANCEL:
            return fates.TurnedAway("not now")
        return fates.Delivered()

    async with Stage(fate=fate) as stage:
        order = await working(stage)
        refusing = True
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await stage.until(lambda: bool(stage.gate.kill_state().stops[0].failing))
        left = stage.gate.kill_state().stops[0].failing[0]
        assert (left.order_id, left.account_id) == (order, ACCOUNT)
        assert left.cancels_asked > 1
        refusing = False
        await stage.until(lambda: stage.status(order) == "canceled")
        assert stage.gate.kill_state().stops[0].failing == ()


async def test_a_flatten_takes_two_persons_and_closes_what_is_held() -> None:
    async with Stage() as stage:
        await hold(stage, 3)
        order = await working(stage)
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        asked = await stage.gate.flatten_kill(TRADER, reason="get out", correlation="test")
        assert isinstance(asked, KillView)
        assert asked.stops[0].flatten_asked_by == "trader"
        again = await stage.gate.flatten_kill(TRADER, reason="get out", correlation="test")
        assert isinstance(again, Refusal)
        assert again.code is Code.SAME_PERSON
        assert stage.held(ES) == 3
        view = await stage.gate.flatten_kill(RISK, reason="yes", correlation="test")
        assert isinstance(view, KillView)
        assert view.grade == "flatten"
        await stage.until(lambda: stage.held(ES) == 0)
        assert stage.status(order) == "canceled"
        assert (await placed(stage, Side.SELL)).failed  # nothing but the flatten's own orders leaves


async def test_a_flatten_is_carried_on_after_a_crash_and_done_once() -> None:
    async with Stage() as stage:
        await hold(stage, 2)
        await engage(stage, Level.ACCOUNT, "P-TEST", Grade.CANCEL_ALL)
        for who in (TRADER, RISK):
            await stage.gate.flatten_kill(
                who, reason="get out", correlation="test", level="account", target="P-TEST"
            )
            await stage.restart()
        await stage.until(lambda: stage.held(ES) == 0)
        await stage.restart()
        await stage.clock.move(5)
        assert len([one for one in stage.lane.books.groups.all() if one.terms.kind == "flatten"]) == 1


async def test_only_a_stop_that_cancels_can_be_flattened() -> None:
    async with Stage() as stage:
        for level, target, grade in (
            (Level.GLOBAL, "", Grade.BLOCK_NEW),
            (Level.STRATEGY, "trend", Grade.CANCEL_ALL),
        ):
            await engage(stage, level, target, grade)
            no = await stage.gate.flatten_kill(
                RISK, reason="out", correlation="test", level=level, target=target
            )
            assert isinstance(no, Refusal)
            assert no.code is Code.ACTION_NOT_ALLOWED


async def test_an_order_that_is_durable_and_not_sent_is_dropped_when_a_stop_of_its_strategy_comes() -> None:
    async with Stage() as stage:
        stage.journal.hold()
        placing = asyncio.ensure_future(placed(stage))
        await let_run()
        event = KillEngaged(
            at=stage.clock.now(),
            level=Level.STRATEGY,
            target="trend",
            grade=Grade.BLOCK_NEW,
            actor="risk",
            reason="drill",
        )
        engaging = asyncio.ensure_future(stage.node.kill_desk.stop(event, "test"))
        await let_run()
        stage.journal.release()
        answer, _ = await asyncio.gather(placing, engaging)
        await stage.until(lambda: stage.status(answer.order_id) == "rejected")
        assert stage.placed_at_exchange() == 0


async def test_a_node_that_cannot_hear_the_control_stream_for_three_seconds_fails_closed() -> None:
    async with Stage() as stage:
        stage.journal.unreadable = True
        await stage.clock.move(2.5)
        assert not (await placed(stage)).failed
        for _ in range(8):
            await stage.clock.move(0.5)
        denied = await placed(stage, limit="4701")
        assert [no.control for no in denied.failed] == ["R01"]
        assert "has not been heard" in denied.failed[0].detail
        assert "kill-switch" in stage.gate.readiness()
        stage.journal.unreadable = False
        await stage.until(lambda: not stage.gate.readiness())
        assert not (await placed(stage, limit="4702")).failed


async def test_what_another_node_engages_and_releases_holds_here_within_a_second() -> None:
    async with Stage() as stage:
        order = await working(stage)
        taken = await stage.journal.take(CONTROL)
        engaged = KillEngaged(
            at=stage.clock.now(), grade=Grade.CANCEL_ALL, actor="another node", reason="theirs"
        )
        entry = control_entry(engaged, CONTROL, taken.head + 1, "elsewhere")
        await stage.journal.append(
            Unit(account=CONTROL, epoch=taken.epoch, expected=taken.head, entries=(entry,))
        )
        await stage.clock.move(1)
        assert (await placed(stage)).failed
        await stage.until(lambda: stage.status(order) == "canceled")
        view = await stage.gate.release_kill(RISK, reason="over", correlation="test")  # takes it back
        assert isinstance(view, KillView)
        assert not view.engaged


async def test_a_stop_that_could_not_be_written_holds_and_is_written_later() -> None:
    async with Stage() as stage:
        stage.journal.hold()
        engaging = asyncio.ensure_future(
            stage.gate.engage_kill(TRADER, grade="block_new", reason="drill", correlation="test")
        )
        await let_run()
        stage.journal.cut(written=False)
        await let_run()
        stage.journal.cut(written=False)
        stage.journal.release()
        answer = await engaging
        assert isinstance(answer, Refusal)
        assert stage.gate.kill_state().engaged
        assert not stage.gate.kill_state().stops[0].durable
        await stage.until(lambda: stage.gate.kill_state().stops[0].durable)
        await stage.restart()
        assert stage.gate.kill_state().engaged


def control(stage: Stage) -> list[dict[str, object]]:
    """What the control stream says."""
    books = stage.journal.books.get(CONTROL)
    entries = [] if books is None else books.events
    return [msgspec.to_builtins(entry.event) for entry, _ in entries]


def kinds(stage: Stage) -> list[object]:
    return [one["kind"] for one in control(stage)]


async def test_a_stop_is_never_written_behind_its_own_release() -> None:
    async with Stage() as stage:
        stage.journal.hold()
        engaging = asyncio.ensure_future(engage_anyhow(stage))
        await let_run()
        stage.journal.cut(written=False)
        await let_run()
        stage.journal.cut(written=False)
        await engaging  # in force, and not written
        releasing = asyncio.ensure_future(stage.gate.release_kill(RISK, reason="over", correlation="test"))
        await let_run()
        await stage.clock.move(0.5)  # it is to be written now, and waits for the release
        stage.journal.release()
        await releasing
        await stage.clock.move(2)
        assert not stage.gate.kill_state().engaged
        await stage.restart()
        assert not stage.gate.kill_state().engaged


async def engage_anyhow(stage: Stage) -> object:
    return await stage.gate.engage_kill(TRADER, grade="block_new", reason="drill", correlation="test")


async def test_one_cancel_for_everything_comes_first_where_the_broker_takes_one() -> None:
    calls: list[fates.Call] = []

    def fate(call: fates.Call) -> fates.Fate:
        calls.append(call)
        return fates.Delivered()

    async with Stage(fate=fate, cancels_all=True) as stage:
        orders = [await working(stage) for _ in range(5)]
        await engage(stage, Level.ACCOUNT, "P-TEST", Grade.CANCEL_ALL)
        await stage.until(lambda: all(stage.status(order) == "canceled" for order in orders))
        assert calls.count(fates.Call.CANCEL) == 1
        await stage.until(lambda: "kill_swept" in kinds(stage))


async def test_what_one_cancel_for_everything_does_not_reach_is_canceled_one_by_one() -> None:
    async def refused(stage: Stage) -> None:
        order = await working(stage)
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await stage.until(lambda: stage.status(order) == "canceled")

    answers: list[fates.Fate] = [fates.TurnedAway("not today"), fates.LostCall(), fates.NotSent()]
    for answer in answers:
        first = iter([answer])

        def fate(call: fates.Call, first: Iterator[fates.Fate] = first) -> fates.Fate:
            return next(first, fates.Delivered()) if call is fates.Call.CANCEL else fates.Delivered()

        async with Stage(fate=fate, cancels_all=True) as stage:
            await refused(stage)


async def test_a_stop_of_less_than_the_account_never_cancels_everything() -> None:
    async with Stage(cancels_all=True) as stage:
        order, other = await working(stage), await stage.accepted(limit="4600")
        await stage.until(lambda: stage.status(other) == "working")
        await engage(stage, Level.STRATEGY, "trend", Grade.CANCEL_ALL)
        await stage.until(lambda: stage.status(order) == "canceled")
        await stage.clock.move(5)
        assert stage.status(other) == "working"
