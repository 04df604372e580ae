"""Stops at every level and in every grade: what may leave, what is canceled, and who may lift them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from ordergate.brokers.paper import fates
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Grade, KillEngaged, Level, Trip
from ordergate.engine.answering.answers import GroupAnswer, KillView
from ordergate.engine.stopping import kill_desk
from tests.engine.killing import doubled, engage, flattened_by_two, hold, placed, working
from tests.engine.stage import ACCOUNT, ES, RISK, TRADER, Stage
from tests.engine.test_reconciliation import elsewhere

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
        answer = await doubled(stage, order)
        assert [no.control for no in answer.failed] == ["R01"]


async def test_an_order_that_waited_for_a_connection_is_asked_about_again() -> None:
    async with Stage() as stage:
        stage.connected.clear()
        order = (await placed(stage)).order_id
        await stage.clock.move(0.5)
        await engage(stage, Level.GLOBAL, "", Grade.BLOCK_NEW)
        stage.connected.set()
        await stage.until(lambda: stage.status(order) == "rejected")
        assert stage.placed_at_exchange() == 0


async def test_a_replacement_that_waited_for_a_connection_is_asked_about_again() -> None:
    async with Stage() as stage:
        order = await working(stage)
        stage.connected.clear()
        await doubled(stage, order)
        await stage.clock.move(0.5)
        await engage(stage, Level.GLOBAL, "", Grade.BLOCK_NEW)
        stage.connected.set()
        await stage.until(lambda: stage.listener.frames_of("replace_rejected"))
        assert [one.terms.quantity for one in stage.exchange.orders()] == [Decimal(1)]


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


async def test_what_two_persons_want_closed_is_closed_though_an_older_flatten_looks_younger() -> None:
    """A clock that was an hour ahead then, and is right by now."""
    async with Stage() as stage:
        stage.clock.wrong_by = timedelta(hours=1)
        stage.price(stage.last_price)
        older = await stage.node.groups.flatten(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        assert isinstance(older, GroupAnswer), older
        await stage.until(lambda: not stage.lane.books.groups.active)
        stage.clock.wrong_by = timedelta(0)
        stage.price(stage.last_price)
        await stage.clock.move(10)
        await hold(stage, 5)

        await flattened_by_two(stage)

        await stage.until(lambda: stage.held(ES) == 0)


async def test_it_is_closed_once_though_the_clock_is_set_back_meanwhile() -> None:
    async with Stage() as stage:
        await hold(stage, 5)
        await flattened_by_two(stage)
        stage.clock.wrong_by = timedelta(hours=-1)
        stage.price(stage.last_price)
        await stage.until(lambda: stage.held(ES) == 0)
        await stage.clock.move(30)
        assert len([one for one in stage.lane.books.groups.all() if one.terms.kind == "flatten"]) == 1


async def test_nobody_cancels_by_himself_what_two_persons_want_closed() -> None:
    turned_away: list[str] = ["no"]

    def fate(call: fates.Call) -> fates.Fate:
        away = call is fates.Call.PLACE and turned_away and stage_is_held
        return fates.NotSent() if away else fates.DELIVERED

    stage_is_held = False
    async with Stage(fate=fate) as stage:
        await hold(stage, 5)
        stage_is_held = True
        await flattened_by_two(stage)
        await stage.until(lambda: bool(stage.lane.books.groups.active))
        (group,) = stage.lane.books.groups.active

        refused = await stage.node.groups.cancel(TRADER, group, key=stage.key(), correlation="test")

        assert isinstance(refused, Refusal)
        assert refused.code is Code.ACTION_NOT_ALLOWED
        turned_away.clear()
        await stage.until(lambda: stage.held(ES) == 0, within_s=120)


async def test_what_is_still_to_be_closed_is_anybodys_to_cancel_once_the_stop_is_released() -> None:
    async with Stage(
        fate=lambda call: fates.NotSent() if call is fates.Call.PLACE else fates.DELIVERED
    ) as stage:
        by_hand = stage.exchange.submit("by-hand-1", elsewhere(quantity=2))
        assert isinstance(by_hand, PaperOrder)
        stage.exchange.fill(by_hand.id, Decimal(2), Decimal(4700))
        await stage.until(lambda: stage.held(ES) == 2)
        await flattened_by_two(stage)
        await stage.until(lambda: bool(stage.lane.books.groups.active))
        (group,) = stage.lane.books.groups.active
        await stage.gate.release_kill(RISK, reason="over", correlation="test")

        answer = await stage.node.groups.cancel(TRADER, group, key=stage.key(), correlation="test")

        assert isinstance(answer, GroupAnswer), answer


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


async def test_what_tripped_is_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that fails stops each of its instruments; people stop what they want all the same."""
    monkeypatch.setattr(kill_desk, "KILLS_MAX", 2)
    async with Stage() as stage:
        for number in range(5):
            place = (Level.INSTRUMENT, f"S{number}")
            stage.node.trips.engage(place, Trip.STALE_MARKET_DATA, Grade.BLOCK_NEW, "silent")
        await engage(stage, Level.STRATEGY, "trend", Grade.REDUCE_ONLY)
        await engage(stage, Level.ACCOUNT, ACCOUNT, Grade.REDUCE_ONLY)
        await engage(stage, Level.ACCOUNT, ACCOUNT, Grade.CANCEL_ALL)
        refused = await stage.gate.engage_kill(
            TRADER, grade=Grade.BLOCK_NEW, reason="r", correlation="c", level=Level.USER, target="trader"
        )
        assert isinstance(refused, Refusal)
        assert refused.code is Code.TOO_LARGE
