"""Breaks as a person settles them: by which action, by whom, and once; never what opens them."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec
import pytest

from ordergate.core.accounts.breaks import Action, Severity, State
from ordergate.engine.accounts.lanes import WHYS_MAX
from ordergate.engine.answering.answers import BreakAnswer, RunAsked
from tests.engine.settling import (
    code,
    drift,
    held_breaks,
    natures,
    only_break,
    refused_controls,
    resolve,
    shown,
    working,
)
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage


async def test_a_person_may_declare_a_denied_order_gone_and_it_ends_with_that_evidence() -> None:
    async with Stage() as stage:
        order, theirs = await working(stage)
        stage.hidden.add(theirs)
        await stage.until(lambda: natures(stage) == ["order_status"])
        item = only_break(stage)
        answer = await resolve(stage, item.id, Action.CLOSE_ORDER, reason="their desk confirmed by phone")
        assert isinstance(answer, BreakAnswer)
        assert stage.status(order) == "canceled"
        assert natures(stage) == []
        told = shown(stage, item.id)
        assert (told["state"], told["action"]) == ("resolved", "close_order")
        assert told["history"][-1]["actor"] == TRADER.subject


async def test_an_order_that_is_there_after_all_is_not_declared_gone() -> None:
    async with Stage() as stage:
        order, theirs = await working(stage)
        stage.hidden.add(theirs)
        await stage.until(lambda: natures(stage) == ["order_status"])
        item = only_break(stage)
        stage.hidden.clear()
        assert code(await resolve(stage, item.id, Action.CLOSE_ORDER)) == "break-changed"
        assert stage.status(order) == "working"


async def test_the_right_account_again_is_for_a_person_to_confirm() -> None:
    async with Stage() as stage:
        stage.broker.account_number = "SOMEBODY-ELSE"
        await stage.until(lambda: natures(stage) == ["environment"])
        item = only_break(stage)
        assert code(await resolve(stage, item.id, Action.CONFIRM)) == "break-changed"
        stage.broker.account_number = "PAPER-1"
        runs = stage.seat.runs.count
        await stage.until(lambda: stage.seat.runs.count >= runs + 3)
        assert natures(stage) == ["environment"]  # no rule heals it
        assert isinstance(await resolve(stage, item.id, Action.CONFIRM), BreakAnswer)
        assert natures(stage) == []
        await stage.until(lambda: not stage.gate.readiness())
        assert refused_controls(await stage.place()) == []


async def test_adopting_takes_the_brokers_position_into_the_books() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        item = only_break(stage)
        answer = await resolve(stage, item.id, Action.ADOPT, reason="assigned overnight")
        assert isinstance(answer, BreakAnswer)
        assert stage.held(ES) == 2
        assert stage.listener.kinds[-2:] == ["position_adjusted", "break_resolved"]
        runs = stage.seat.runs.count
        await stage.until(lambda: stage.seat.runs.count >= runs + 2)
        assert natures(stage) == []
        assert refused_controls(await stage.place()) == []


async def test_adopting_takes_the_brokers_cash_into_the_books() -> None:
    async with Stage() as stage:
        stage.exchange.ledger.cash -= Decimal("7.25")
        await stage.until(lambda: natures(stage) == ["cash"])
        item = only_break(stage)
        assert item.severity is Severity.WARNING
        assert refused_controls(await stage.place()) == []  # a warning stops nothing
        assert isinstance(await resolve(stage, item.id, Action.ADOPT, reason="a fee"), BreakAnswer)
        account = stage.lane.books.account
        assert account is not None
        assert account.cash == stage.exchange.ledger.cash


async def test_a_figure_that_moved_since_it_was_shown_is_not_adopted() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        item = only_break(stage)
        drift(stage, 1)
        assert code(await resolve(stage, item.id, Action.ADOPT)) == "break-changed"
        assert stage.held(ES) == 0


async def test_a_dismissed_difference_blocks_nothing_and_opens_again_when_it_is_another_one() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        item = only_break(stage)
        assert isinstance(await resolve(stage, item.id, Action.DISMISS), BreakAnswer)
        runs = stage.seat.runs.count
        await stage.until(lambda: stage.seat.runs.count >= runs + 2)
        assert natures(stage) == []
        assert refused_controls(await stage.place()) == []
        drift(stage, 1)
        await stage.until(lambda: natures(stage) == ["position"])
        assert only_break(stage).id == item.id
        assert refused_controls(await stage.place()) == [("R25", "open-break")]
        drift(stage, -3)
        await stage.until(lambda: held_breaks(stage) == [])


async def test_a_dismissed_difference_that_goes_away_is_healed_and_forgotten() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        item = only_break(stage)
        await resolve(stage, item.id, Action.DISMISS)
        drift(stage, -2)
        await stage.until(lambda: held_breaks(stage) == [])
        assert shown(stage, item.id)["state"] == "healed"


@pytest.mark.parametrize("action", [Action.CLOSE_ORDER, Action.CONFIRM])
async def test_an_action_of_another_nature_is_refused(action: Action) -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        assert code(await resolve(stage, only_break(stage).id, action)) == "action-not-allowed"


async def test_an_assigned_break_has_an_owner_and_stays_open() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        item = only_break(stage)
        for owner in ("anna", "ben"):
            answer = await stage.node.breaks.assign(
                TRADER, item.id, owner=owner, note="please look", key=stage.key(), correlation="test"
            )
            assert isinstance(answer, BreakAnswer)
        now = only_break(stage)
        assert (now.state, now.owner, now.is_open) == (State.ASSIGNED, "ben", True)
        assert [step.note for step in now.history[1:]] == ["to anna: please look", "to ben: please look"]
        assert refused_controls(await stage.place()) == [("R25", "open-break")]


async def test_the_same_key_settles_a_break_once_and_answers_the_same_again() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        item, key = only_break(stage), stage.key()
        first = await resolve(stage, item.id, Action.ADOPT, key=key)
        again = await resolve(stage, item.id, Action.ADOPT, key=key)
        assert isinstance(first, BreakAnswer)
        assert isinstance(again, BreakAnswer)
        assert (first.replayed, again.replayed) == (False, True)
        assert first.body == again.body
        assert stage.held(ES) == 2
        other = await resolve(stage, item.id, Action.ADOPT, key=key, reason="another reason")
        assert code(other) == "idempotency-key-reused"
        assert code(await resolve(stage, item.id, Action.ADOPT)) == "break-settled"
        await stage.restart()
        after = await resolve(stage, item.id, Action.ADOPT, key=key)
        assert isinstance(after, BreakAnswer)
        assert after.replayed


async def test_nobody_settles_what_is_not_theirs_to_see_or_to_change() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        item = only_break(stage)
        for principal, answer in (
            (msgspec.structs.replace(TRADER, accounts=frozenset()), "not-found"),
            (msgspec.structs.replace(TRADER, scopes=frozenset()), "forbidden"),
        ):
            refused = await stage.node.breaks.resolve(
                principal, item.id, action=Action.ADOPT, reason="r", key=stage.key(), correlation="test"
            )
            assert code(refused) == answer
            asked = await stage.node.breaks.ask_run(principal, ACCOUNT, correlation="test")
            assert code(asked) == answer
        assert code(await resolve(stage, "brk-000000000000-00000000", Action.ADOPT)) == "not-found"


async def test_who_asks_for_a_run_is_answered_however_many_reasons_there_are_for_it() -> None:
    async with Stage() as stage:
        for reason in range(WHYS_MAX):
            stage.seat.suspect(f"reason {reason}")
        asking = asyncio.ensure_future(
            stage.node.breaks.ask_run(TRADER, ACCOUNT, correlation="test", wait_s=1000)
        )
        await stage.until(asking.done)
        asked = asking.result()
        assert isinstance(asked, RunAsked)
        assert asked.run is not None
        assert asked.run.result == "completed"
