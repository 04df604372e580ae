"""Limits change while the gateway runs: tighter at once, looser with a second person, and never twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from ordergate.core import approvals
from ordergate.core.approvals import State
from ordergate.core.faults import JournalUnavailable
from ordergate.core.orders import events as e
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.limits import config_hash, limits_of, mapping_of
from ordergate.core.risk.policy import Edit
from ordergate.core.risk.rules import Mode, Reach
from ordergate.engine.answering.answers import Answer
from ordergate.engine.limits.desk import Edited
from tests.engine.limit_people import ANNA, BEN, OWN, READER, STRANGER, edit, edited, rule, setting
from tests.engine.stage import ACCOUNT, START, Stage, let_run


async def denied_by(stage: Stage, **order: int) -> list[str]:
    answer = await stage.place(**order)  # type: ignore[arg-type]  # quantities only
    assert isinstance(answer, Answer), answer
    return [failed.control for failed in answer.failed]


async def hashes(stage: Stage) -> list[str]:
    """The hash that each decision on a new order carries, in order."""
    found = []
    async for stored in stage.journal.read(ACCOUNT, after=0):
        if isinstance(stored.event, e.OrderAccepted | e.OrderDenied):
            found.append(stored.event.config_hash)
    return found


async def test_what_tightens_is_in_force_when_it_is_answered_and_in_every_decision_after() -> None:
    async with Stage() as stage:
        before = config_hash(stage.seat.limits)
        assert await denied_by(stage, quantity=5) == []
        done = await edited(stage, setting(rule({"instruments": {"ESH4": {"max_order_quantity": "4"}}})))
        assert done.change is None
        assert [one.version for one in done.rules] == [1]
        assert await denied_by(stage, quantity=5) == ["R06"]
        assert await hashes(stage) == [before, config_hash(stage.seat.limits)]
        assert config_hash(stage.seat.limits) != before


async def test_what_loosens_waits_for_another_person() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 1})))
        asked = await edited(stage, Edit("firm", 1))
        assert asked.removed == ()
        assert asked.change is not None
        assert asked.change.state is State.PENDING
        assert asked.change.proposed.summary == (f"{ACCOUNT} max_open_orders",)
        await stage.accepted()
        assert await denied_by(stage, quantity=1) == ["R14"]

        own = await stage.node.limits.approve(ANNA, asked.change.id, reason="mine", correlation="t")
        assert isinstance(own, Refusal)
        assert own.code is Code.SAME_PERSON
        approved = await stage.node.limits.approve(BEN, asked.change.id, reason="looked", correlation="t")
        assert not isinstance(approved, Refusal)
        assert approved.state is State.APPROVED
        assert await denied_by(stage, quantity=2) == []


async def test_to_loosen_both_have_logged_in_lately_and_to_tighten_nobody_need() -> None:
    async with Stage() as stage:
        anna, ben = (msgspec.structs.replace(one, auth_time=None) for one in (ANNA, BEN))
        await edited(stage, setting(rule({"max_open_orders": 1})), by=anna)
        no = await edit(stage, Edit("firm", 1), by=anna)
        assert isinstance(no, Refusal)
        assert no.code is Code.STEP_UP_REQUIRED
        assert stage.node.limits.changes(anna, only_pending=False) == []

        asked = await edited(stage, Edit("firm", 1))
        assert asked.change is not None
        late = await stage.node.limits.approve(ben, asked.change.id, reason="r", correlation="t")
        assert isinstance(late, Refusal)
        assert late.code is Code.STEP_UP_REQUIRED
        rejected = await stage.node.limits.reject(ben, asked.change.id, reason="r", correlation="t")
        assert not isinstance(rejected, Refusal)


async def test_of_one_person_only_so_many_changes_wait_and_what_tightens_is_made_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(approvals, "PENDING_OF_ONE_MAX", 2)
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 3})))
        for _ in range(2):
            assert (await edited(stage, Edit("firm", 1))).change is not None
        no = await edit(stage, Edit("firm", 1))
        assert isinstance(no, Refusal)
        assert no.code is Code.UNAVAILABLE
        assert len(stage.node.limits.changes(ANNA, only_pending=True)) == 2

        await edited(stage, setting(rule({"max_open_orders": 1}), 1))
        await stage.accepted()
        assert await denied_by(stage, quantity=1) == ["R14"]
        assert not isinstance(await edit(stage, Edit("firm", 2), by=BEN), Refusal)


async def test_the_same_person_under_another_client_is_no_second_person() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 1})))
        asked = await edited(stage, Edit("firm", 1))
        assert asked.change is not None
        for alias in (
            msgspec.structs.replace(ANNA, client_id="other"),
            msgspec.structs.replace(ANNA, subject="other"),
        ):
            no = await stage.node.limits.approve(alias, asked.change.id, reason="r", correlation="t")
            assert isinstance(no, Refusal)
            assert no.code is Code.SAME_PERSON


async def test_a_change_is_settled_once() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 1})))
        asked = await edited(stage, Edit("firm", 1))
        assert asked.change is not None
        rejected = await stage.node.limits.reject(ANNA, asked.change.id, reason="no", correlation="t")
        assert not isinstance(rejected, Refusal)
        assert rejected.state is State.REJECTED
        for settle in (stage.node.limits.approve, stage.node.limits.reject):
            no = await settle(BEN, asked.change.id, reason="r", correlation="t")
            assert isinstance(no, Refusal)
            assert no.code is Code.CHANGE_SETTLED
        assert "firm" in stage.node.limits.book.policy.rules


async def test_what_nobody_approves_in_a_day_expires() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 1})))
        asked = await edited(stage, Edit("firm", 1))
        assert asked.change is not None
        await stage.clock.move(86_400)
        no = await stage.node.limits.approve(BEN, asked.change.id, reason="late", correlation="t")
        assert isinstance(no, Refusal)
        assert no.code is Code.CHANGE_SETTLED
        desk = stage.node.limits
        await stage.until(lambda: desk.book.changes[asked.change.id].state is State.EXPIRED)  # type: ignore[union-attr]  # seen above


async def test_an_edit_made_from_an_older_version_is_refused_and_so_is_its_approval() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 5})))
        asked = await edited(stage, setting(rule({"max_open_orders": 9}), 1))
        assert asked.change is not None
        await edited(stage, setting(rule({"max_open_orders": 3}), 1))
        for expected in (0, 1, 3):
            no = await edit(stage, setting(rule({"max_open_orders": 2}), expected))
            assert isinstance(no, Refusal)
            assert no.code is Code.CHANGE_OUTDATED
        late = await stage.node.limits.approve(BEN, asked.change.id, reason="r", correlation="t")
        assert isinstance(late, Refusal)
        assert late.code is Code.CHANGE_OUTDATED


async def test_a_version_never_comes_twice_even_of_a_rule_that_was_removed() -> None:
    async with Stage() as stage:
        shadow = rule({"max_open_orders": 1}, mode=Mode.SHADOW)
        await edited(stage, setting(shadow))
        assert (await edited(stage, Edit("firm", 1))).removed == ("firm",)
        again = await edited(stage, setting(shadow))
        assert [one.version for one in again.rules] == [2]


async def test_of_one_change_what_tightens_is_made_and_the_rest_waits() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 5})))
        done = await edited(
            stage,
            setting(rule({"max_open_orders": 50}), 1),
            setting(rule({"max_open_notional": "5"}, name="less")),
        )
        assert [one.id for one in done.rules] == ["less"]
        assert done.change is not None
        assert [one["rule_id"] for one in done.change.proposed.content["edits"]] == ["firm"]


async def test_limits_survive_a_restart_and_the_file_does_not_undo_them() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 1})))
        asked = await edited(stage, Edit("firm", 1))
        assert asked.change is not None
        before = config_hash(stage.seat.limits)
        await stage.restart()
        assert config_hash(stage.seat.limits) == before
        approved = await stage.node.limits.approve(BEN, asked.change.id, reason="r", correlation="t")
        assert not isinstance(approved, Refusal)
        assert stage.seat.limits == stage._limits


async def test_a_changed_file_tightens_at_once_and_loosens_with_a_person() -> None:
    async with Stage() as stage:
        stage._limits = limits_of({**mapping_of(stage._limits), "version": 2, "max_open_orders": 7})
        await stage.restart()
        assert stage.seat.limits == stage._limits
        stage._limits = limits_of({**mapping_of(stage._limits), "version": 3, "max_open_orders": 70})
        await stage.restart()
        assert stage.seat.limits is not None
        assert stage.seat.limits.max_open_orders == 7
        stage._limits = limits_of({**mapping_of(stage._limits), "version": 4, "max_open_orders": 71})
        await stage.restart()
        waiting, older = stage.node.limits.changes(BEN, only_pending=False)
        assert (waiting.state, older.state) == (State.PENDING, State.REJECTED)
        approved = await stage.node.limits.approve(BEN, waiting.id, reason="r", correlation="t")
        assert not isinstance(approved, Refusal)
        assert stage.seat.limits is not None
        assert stage.seat.limits.max_open_orders == 71
        await stage.restart()
        assert [one.state for one in stage.node.limits.changes(BEN, only_pending=True)] == []


async def test_until_the_limits_are_read_nothing_is_accepted_and_cancels_pass() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        stage.node.limits.book.opened = False
        stage.seat.limited_by(None, stage.clock.now())
        stage.seat.narrower = None
        assert await denied_by(stage, quantity=1)
        assert stage.gate.readiness() == {"limits": "the limits have not been read yet"}
        no = await edit(stage, setting(rule({"max_open_orders": 1})))
        assert isinstance(no, Refusal)
        assert no.code is Code.NOT_READY
        await stage.gate.cancel(ANNA, order, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_a_rule_begins_and_ends_by_itself_within_a_second() -> None:
    async with Stage() as stage:
        begins, ends = START + timedelta(seconds=300), START + timedelta(seconds=400)
        dated = rule({"max_open_orders": 0}, effective_from=begins, effective_to=ends)
        done = await edited(stage, setting(dated))
        assert done.change is None
        assert await denied_by(stage, quantity=1) == []
        await stage.until(lambda: stage.clock.now() >= begins + timedelta(seconds=1), within_s=400)
        assert await denied_by(stage, quantity=1) == ["R14"]
        await stage.until(lambda: stage.clock.now() >= ends + timedelta(seconds=1))
        assert await denied_by(stage, quantity=1) == []


async def test_a_rule_on_a_user_holds_for_that_user_alone() -> None:
    async with Stage() as stage:
        its = {"instruments": {"ESH4": {"max_order_quantity": "2"}}}
        await edited(stage, setting(rule(its, name="anna", scope=Reach.USER, of="anna")))
        assert await denied_by(stage, quantity=3) == []
        await edited(stage, setting(rule(its, name="trader", scope=Reach.USER, of="trader")))
        assert await denied_by(stage, quantity=3) == ["R06"]


@pytest.mark.parametrize(
    ("by", "code"), [(READER, Code.FORBIDDEN), (STRANGER, Code.FORBIDDEN)], ids=["reader", "stranger"]
)
async def test_only_who_may_trade_every_account_it_holds_for_changes_a_rule(by, code) -> None:  # type: ignore[no-untyped-def]  # by the table
    async with Stage() as stage:
        no = await edit(stage, setting(rule({"max_open_orders": 1})), by=by)
        assert isinstance(no, Refusal)
        assert no.code is code


async def test_what_holds_for_nobody_that_is_visible_is_not_there() -> None:
    async with Stage() as stage:
        assert stage.node.limits.rules(STRANGER) == []
        assert [one.id for one in stage.node.limits.rules(BEN)] == [OWN]
        hidden = stage.node.limits.rule(STRANGER, OWN)
        assert isinstance(hidden, Refusal)
        assert hidden.code is Code.NOT_FOUND
        own = rule({"max_open_orders": 1}, name="x", scope=Reach.ACCOUNT, of=ACCOUNT)
        no = await edit(stage, setting(own), by=STRANGER)
        assert isinstance(no, Refusal)
        assert no.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("scope", "of", "code"),
    [
        (Reach.ACCOUNT, "P-NOBODY", Code.NOT_FOUND),
        (Reach.DESK, "nobody", Code.NOT_FOUND),
        (Reach.TENANT, "nobody", Code.NOT_FOUND),
        (Reach.INSTRUMENT, "XYZ", Code.UNKNOWN_INSTRUMENT),
        (Reach.ASSET_CLASS, "tulips", Code.INVALID),
    ],
)
async def test_a_rule_about_nobody_is_refused(scope: Reach, of: str, code: Code) -> None:
    async with Stage() as stage:
        direct = scope in (Reach.INSTRUMENT, Reach.ASSET_CLASS)
        its = {"max_long": "1"} if direct else {"max_open_orders": 1}
        no = await edit(stage, setting(rule(its, scope=scope, of=of)))
        assert isinstance(no, Refusal)
        assert no.code is code


@pytest.mark.parametrize("written", [True, False])
async def test_a_change_whose_answer_is_lost_is_made_once(written: bool) -> None:
    async with Stage() as stage:
        stage.journal.hold()
        asking = edit(stage, setting(rule({"max_open_orders": 1})))
        task = asyncio.ensure_future(asking)
        await let_run()
        stage.journal.cut(written=written)
        stage.journal.release()
        done = await task
        assert isinstance(done, Edited), "it is told of what it made, and not that another was quicker"
        assert stage.node.limits.book.policy.rules["firm"].version == 1
        assert stage.seat.limits is not None
        assert stage.seat.limits.max_open_orders == 1


async def test_a_journal_that_takes_nothing_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stage() as stage:
        before = config_hash(stage.seat.limits)

        def refuse(unit: object) -> None:
            raise JournalUnavailable("the disk is full")

        monkeypatch.setattr(stage.journal, "append", refuse)
        no = await edit(stage, setting(rule({"max_open_orders": 1})))
        assert isinstance(no, Refusal)
        assert no.code is Code.UNAVAILABLE
        assert config_hash(stage.seat.limits) == before


async def test_what_a_tighter_rule_hides_waits_for_another_person_too() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_open_orders": 1})))
        await edited(stage, setting(rule({"max_open_orders": 5}, name="hidden")))
        raised = await edited(stage, setting(rule({"max_open_orders": 500}, name="hidden"), 1))
        gone = await edited(stage, Edit("hidden", 1))
        for waits in (raised, gone):
            assert waits.change is not None
            assert waits.change.proposed.summary[0].startswith("rule hidden")


async def test_what_would_take_long_to_compare_waits_whole_instead_of_holding_up_orders() -> None:
    async with Stage() as stage:
        dated = [
            rule(
                {"max_open_orders": 5},
                name=f"day-{number}",
                effective_from=START + timedelta(days=number),
                effective_to=START + timedelta(days=number, hours=1),
            )
            for number in range(1, 31)
        ]
        done = await edited(stage, *map(setting, dated))
        assert done.rules == ()
        assert done.change is not None
        assert done.change.proposed.summary == ("30 rules: too much to compare while orders wait",)
        few = await edited(stage, *map(setting, dated[:5]))
        assert (len(few.rules), few.change) == (5, None)
