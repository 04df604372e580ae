"""A dry run says what the journal's orders would have got, and leaves everything as it was."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from ordergate.core.faults import JournalUnavailable
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.limits import config_hash
from ordergate.core.risk.rules import Mode, Reach, Rule
from ordergate.engine.limits.rehearsal import Rehearsed
from tests.engine.limit_people import ANNA, OWN, STRANGER, edited, rule, setting
from tests.engine.stage import ACCOUNT, Stage


async def rehearsed(stage: Stage, *rules: Rule, **more: Any) -> Rehearsed:
    asked = {"prune": False, "orders": 100, "shadows": False, **more}
    found = await stage.node.limits.dry_run(ANNA, ACCOUNT, rules, **asked)
    assert isinstance(found, Rehearsed), found
    return found


def at_most(quantity: int, **more: Any) -> Rule:
    return rule({"instruments": {"ESH4": {"max_order_quantity": str(quantity)}}}, **more)


async def test_orders_that_a_tighter_rule_would_refuse_are_named_with_the_control() -> None:
    async with Stage() as stage:
        small, large = await stage.accepted(quantity=2), await stage.accepted(quantity=7)
        before, head = config_hash(stage.seat.limits), stage.lane.head
        found = await rehearsed(stage, at_most(5))
        assert (found.orders, found.would_refuse, found.would_accept) == (2, 1, 0)
        (one,) = found.differences
        assert (one.order_id, one.recorded, one.quantity) == (large, "accepted", Decimal(7))
        assert [(no.control, no.limit, no.value) for no in one.newly] == [("R06", "5", "7")]
        assert small != large
        assert (config_hash(stage.seat.limits), stage.lane.head) == (before, head)
        assert (await rehearsed(stage)).differences == ()


async def test_orders_that_a_looser_rule_would_accept_are_named() -> None:
    async with Stage() as stage:
        await edited(stage, setting(at_most(5)))
        await stage.accepted(quantity=1)
        await stage.place(quantity=7)
        found = await rehearsed(stage, at_most(9))
        assert (found.would_refuse, found.would_accept) == (0, 1)
        assert found.differences[0].recorded == "denied"
        assert found.differences[0].no_longer == ("R06",)


async def test_what_was_held_and_open_at_the_time_counts() -> None:
    async with Stage() as stage:
        filled = await stage.accepted(quantity=3, limit="4810")
        await stage.until(lambda: stage.status(filled) == "filled")
        await stage.accepted(quantity=3, limit="4700")
        limit = rule({"instruments": {"ESH4": {"max_long": "5"}}})
        found = await rehearsed(stage, limit)
        assert [[no.control for no in one.newly] for one in found.differences] == [["R11"]]
        sold = await stage.accepted(side=Side.SELL, quantity=3, limit="4900")
        assert sold not in {one.order_id for one in (await rehearsed(stage, limit)).differences}


async def test_only_the_last_orders_are_judged() -> None:
    async with Stage() as stage:
        for _ in range(4):
            await stage.accepted(quantity=7)
        found = await rehearsed(stage, at_most(5), orders=3)
        assert (found.orders, found.would_refuse) == (3, 3)


async def test_messages_are_counted_under_the_rules_that_are_tried() -> None:
    async with Stage() as stage:
        for _ in range(4):
            await stage.accepted()
        found = await rehearsed(stage, rule({"message_windows": [[2, 60]]}))
        assert [[no.control for no in one.newly] for one in found.differences] == [["R15"], ["R15"]]


async def test_a_rule_in_shadow_can_be_calibrated() -> None:
    async with Stage() as stage:
        await stage.accepted(quantity=7)
        shadow = at_most(5, mode=Mode.SHADOW)
        await edited(stage, setting(shadow))
        assert (await rehearsed(stage)).differences == ()
        assert (await rehearsed(stage, shadows=True)).would_refuse == 1


async def test_a_rule_on_a_user_is_tried_on_what_the_user_asked() -> None:
    async with Stage() as stage:
        await stage.accepted(quantity=7)
        for user, refused in (("trader", 1), ("anna", 0)):
            found = await rehearsed(stage, at_most(5, name="user", scope=Reach.USER, of=user))
            assert found.would_refuse == refused


async def test_taking_the_accounts_own_rule_away_would_refuse_everything() -> None:
    async with Stage() as stage:
        await stage.accepted()
        own = rule({"max_open_orders": 5}, name=OWN, scope=Reach.ACCOUNT, of=ACCOUNT)
        found = await rehearsed(stage, own)
        assert "R02" in {no.control for no in found.differences[0].newly}


async def test_what_cannot_be_read_or_seen_is_refused() -> None:
    async with Stage() as stage:
        asked = {"prune": False, "orders": 1, "shadows": False}
        desk = stage.node.limits
        hidden = await desk.dry_run(STRANGER, ACCOUNT, [], **asked)  # type: ignore[arg-type]  # by the dict
        assert isinstance(hidden, Refusal)
        assert hidden.code is Code.NOT_FOUND
        wrong = await desk.dry_run(ANNA, ACCOUNT, [rule({"nothing": 1})], **asked)  # type: ignore[arg-type]  # by the dict
        assert isinstance(wrong, Refusal)
        assert wrong.code is Code.INVALID


async def test_there_is_one_at_a_time_and_a_journal_that_fails_is_said() -> None:
    async with Stage() as stage:
        await stage.accepted()
        desk = stage.node.limits
        asked = {"prune": False, "orders": 1, "shadows": False}
        desk._rehearsal._busy = True
        busy = await desk.dry_run(ANNA, ACCOUNT, [], **asked)  # type: ignore[arg-type]  # by the dict
        assert isinstance(busy, Refusal)
        assert busy.code is Code.UNAVAILABLE
        desk._rehearsal._busy = False

        def fail(*_: object, **__: object) -> None:
            raise JournalUnavailable("it is away")

        real, stage.journal.read = stage.journal.read, fail  # type: ignore[method-assign, assignment]  # it fails once
        lost = await desk.dry_run(ANNA, ACCOUNT, [], **asked)  # type: ignore[arg-type]  # by the dict
        stage.journal.read = real  # type: ignore[method-assign]  # as it was
        assert isinstance(lost, Refusal)
        assert lost.code is Code.UNAVAILABLE
        await asyncio.sleep(0)
        assert (await rehearsed(stage)).orders == 1
