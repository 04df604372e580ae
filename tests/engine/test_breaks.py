"""Breaks: what opens one, and which rule heals it; what a person does about one is told elsewhere."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import msgspec

from ordergate.api.stream import channels
from ordergate.core.accounts.breaks import Action, Nature, Severity, State
from ordergate.core.ids import Symbol
from tests.engine.settling import (
    canceled_news,
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
from tests.engine.test_reconciliation import elsewhere


async def test_a_position_that_differs_is_a_severe_break_with_both_sides_as_evidence() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        item = only_break(stage)
        assert (item.severity, item.state, item.subject) == (Severity.SEVERE, State.OPEN, ES)
        assert (item.ours, item.theirs) == ("0", "2")
        assert item.allowed_actions == (Action.ADOPT, Action.DISMISS)
        assert refused_controls(await stage.place()) == [("R25", "open-break")]


async def test_a_difference_that_goes_away_is_healed_by_the_agreement_of_the_sides() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        broken = only_break(stage).id
        drift(stage, -2)
        await stage.until(lambda: natures(stage) == [])
        told = shown(stage, broken)
        assert (told["state"], told["rule"], told["action"]) == ("healed", "sides-agree", None)
        assert [step["what"] for step in told["history"]] == ["opened", "healed"]
        assert refused_controls(await stage.place()) == []


async def test_a_break_whose_figures_move_is_noted_with_the_new_evidence() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        drift(stage, 3)
        await stage.until(lambda: only_break(stage).theirs == "5")
        assert [step.what for step in only_break(stage).history] == ["opened", "noted"]


async def test_executions_that_are_missing_heal_their_break_when_they_come() -> None:
    async with Stage() as stage:
        order, theirs = await working(stage, quantity=3)
        stage.broker.stream.copies = lambda report: 0
        execution = stage.exchange.fill(theirs, Decimal(2), Decimal(4700))
        stage.exchange.executions.remove(execution)  # their list lags behind their sums
        await stage.until(lambda: natures(stage) == ["execution_missing", "position"])
        opened = {item.nature.value: item for item in held_breaks(stage)}
        assert opened["execution_missing"].subject == order
        assert opened["execution_missing"].theirs == "2"
        stage.exchange.executions.append(execution)
        await stage.until(lambda: natures(stage) in ([], ["stream"]))
        assert shown(stage, opened["execution_missing"].id)["rule"] == "executions-came"
        assert shown(stage, opened["position"].id)["rule"] == "sides-agree"
        assert stage.held(ES) == 2


async def test_executions_of_which_each_is_a_moment_late_are_not_missing() -> None:
    async with Stage() as stage:
        _, theirs = await working(stage, quantity=100)
        stage.broker.stream.copies = lambda report: 0
        for _ in range(5):
            late = stage.exchange.fill(theirs, Decimal(2), Decimal(4700))
            stage.exchange.executions.remove(late)  # their list lags behind their sums
            stage.seat.suspect("the test")
            await stage.until(partial(_has_run_since, stage, stage.seat.runs.count))
            stage.exchange.executions.append(late)
        opened = [told["detail"]["nature"] for told in stage.listener.frames_of("break_opened")]
        assert "execution_missing" not in opened


async def test_what_the_broker_counted_too_much_and_counts_no_more_is_no_break_after_the_orders_end() -> None:
    async with Stage() as stage:
        order, theirs = await working(stage, quantity=5)
        stage.broker.stream.copies = lambda report: 0
        execution = stage.exchange.fill(theirs, Decimal(2), Decimal(4700))
        stage.exchange.executions.remove(execution)
        await stage.until(lambda: "execution_missing" in natures(stage))
        (missing,) = [item for item in held_breaks(stage) if item.nature is Nature.EXECUTION_MISSING]
        stage.broker.stream.copies = lambda report: 1
        stage.exchange.cancel(theirs)
        stage.broker.stream.copies = lambda report: 0
        stage.exchange.executions.append(execution)
        stage.exchange.bust(execution.exec_id)
        await stage.until(lambda: stage.status(order) == "canceled")
        await stage.until(lambda: natures(stage) in ([], ["stream"]))
        assert shown(stage, missing.id)["rule"] == "counts-agree"


async def test_a_working_order_that_the_broker_keeps_denying_is_a_break_and_stays_working() -> None:
    async with Stage() as stage:
        order, theirs = await working(stage)
        asked_at = stage.clock.now()
        stage.hidden.add(theirs)
        await stage.until(lambda: natures(stage) == ["order_status"])
        item = only_break(stage)
        assert (item.subject, item.ours, item.theirs) == (order, "working", "not_found")
        assert item.allowed_actions == (Action.CLOSE_ORDER, Action.DISMISS)
        assert (item.opened_at - asked_at).total_seconds() > 30  # not before the settle window is over
        assert item.detail.startswith("seen at ")
        assert stage.status(order) == "working"
        stage.hidden.clear()
        await stage.until(lambda: natures(stage) == [])
        assert shown(stage, item.id)["rule"] == "order-shown"


async def test_one_denial_of_a_working_order_is_nothing() -> None:
    async with Stage() as stage:
        order, theirs = await working(stage)
        await stage.clock.move(40)
        await stage.until(lambda: stage.seat.runs.count >= 2)
        stage.hidden.add(theirs)
        await stage.node.breaks.ask_run(TRADER, ACCOUNT, correlation="test")
        runs = stage.seat.runs.count
        await stage.until(lambda: stage.seat.runs.count > runs)
        latest = stage.seat.runs.latest
        assert latest is not None
        assert [(found.nature, found.sure) for found in latest.differences] == [("order_status", False)]
        stage.hidden.clear()
        runs = stage.seat.runs.count
        await stage.until(lambda: stage.seat.runs.count >= runs + 2)
        assert "break_opened" not in stage.listener.kinds
        assert stage.status(order) == "working"


async def test_a_denied_order_that_ends_after_all_heals_its_break() -> None:
    async with Stage() as stage:
        order, theirs = await working(stage)
        stage.hidden.add(theirs)
        await stage.until(lambda: natures(stage) == ["order_status"])
        broken = only_break(stage).id
        assert stage.exchange.cancel(theirs) is None  # the stream tells it
        await stage.until(lambda: natures(stage) == [])
        assert stage.status(order) == "canceled"
        assert shown(stage, broken)["rule"] == "order-ended"


async def test_an_order_that_is_final_with_us_and_open_there_is_a_severe_break_until_it_is_gone() -> None:
    async with Stage() as stage:
        order, theirs = await working(stage)
        stage.broker.stream._say(canceled_news(order, theirs))
        await stage.until(lambda: stage.status(order) == "canceled")
        await stage.until(lambda: natures(stage) == ["order_status"])
        item = only_break(stage)
        assert (item.ours, item.theirs, item.severity) == ("canceled", "working", Severity.SEVERE)
        assert item.allowed_actions == (Action.CANCEL_ORDER, Action.DISMISS)
        stage.exchange.cancel(theirs)
        await stage.until(lambda: natures(stage) == [])
        assert shown(stage, item.id)["rule"] == "order-gone"


async def test_another_account_at_the_broker_is_severe_and_nothing_of_it_is_read() -> None:
    async with Stage() as stage:
        stage.broker.account_number = "SOMEBODY-ELSE"
        foreign = stage.exchange.submit("by-hand-1", elsewhere(quantity=2))
        assert not isinstance(foreign, str)
        stage.broker.stream.cut("changed")
        stage.exchange.fill(foreign.id, Decimal(2), Decimal(4700))
        stage.broker.stream.restore()
        await stage.until(lambda: natures(stage) == ["environment"])
        item = only_break(stage)
        assert (item.ours, item.theirs) == ("paper:PAPER-1", "paper:SOMEBODY-ELSE")
        assert item.allowed_actions == (Action.CONFIRM,)
        latest = stage.seat.runs.latest
        assert latest is not None
        assert (latest.result, latest.executions_read) == ("wrong_account", 0)
        assert stage.held(ES) == 0
        assert refused_controls(await stage.place()) == [("R25", "open-break")]
        assert stage.gate.readiness()  # not reconciled


async def test_an_unlisted_symbol_at_the_broker_is_told_and_stops_nothing() -> None:
    async with Stage() as stage:
        stage.exchange.ledger.book(Symbol("GME"), Decimal(5), Decimal(0))
        await stage.until(lambda: natures(stage) == ["unlisted_symbol"])
        assert only_break(stage).severity is Severity.INFO
        assert refused_controls(await stage.place()) == []


async def test_breaks_and_their_history_outlive_a_restart() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        item = only_break(stage)
        await stage.node.breaks.assign(
            TRADER, item.id, owner="anna", note="", key=stage.key(), correlation="test"
        )
        before = only_break(stage)
        await stage.restart()
        assert only_break(stage) == before
        assert refused_controls(await stage.place()) == [("R25", "open-break")]


async def test_a_fill_of_an_order_that_the_broker_does_not_show_yet_is_read_again_and_not_lost() -> None:
    async with Stage() as stage:
        stage.broker.stream.cut("maintenance")
        foreign = stage.exchange.submit("by-hand-1", elsewhere(quantity=2))
        assert not isinstance(foreign, str)
        stage.hidden.add(foreign.id)  # its fill is listed before the order itself
        stage.exchange.fill(foreign.id, Decimal(2), Decimal(4700))
        stage.broker.stream.restore()
        runs = stage.seat.runs.count
        await stage.until(lambda: stage.seat.runs.count >= runs + 2)
        assert stage.held(ES) == 0
        assert natures(stage) == ["position"]
        stage.hidden.clear()
        await stage.until(lambda: stage.held(ES) == 2)
        await stage.until(lambda: natures(stage) == [])


async def test_an_execution_listed_behind_a_younger_one_after_its_break_was_opened_heals_it() -> None:
    async with Stage() as stage:
        _, theirs = await working(stage, quantity=3)
        stage.broker.stream.copies = lambda report: 0
        foreign = stage.exchange.submit("by-hand-1", elsewhere(quantity=2))
        assert not isinstance(foreign, str)
        late = stage.exchange.fill(foreign.id, Decimal(2), Decimal(4700))  # it is over, and nobody was told
        stage.exchange.fill(theirs, Decimal(1), Decimal(4700))
        stage.exchange.executions.remove(late)
        await stage.until(lambda: stage.held(ES) == 1)
        await stage.until(lambda: natures(stage) == ["position"])
        stage.exchange.executions.insert(0, late)
        await stage.until(lambda: stage.held(ES) == 3, within_s=60)
        await stage.until(lambda: natures(stage) == [], within_s=60)


async def test_an_execution_that_was_taken_back_unseen_is_found_before_it_becomes_a_break() -> None:
    async with Stage() as stage:
        _, theirs = await working(stage, quantity=3)
        execution = stage.exchange.fill(theirs, Decimal(2), Decimal(4700))
        await stage.until(lambda: stage.held(ES) == 2)
        await stage.until(lambda: stage.seat.runs.count >= 4)  # the cursor is behind it
        stage.broker.stream.cut("maintenance")
        stage.exchange.bust(execution.exec_id)
        stage.broker.stream.restore()
        await stage.until(lambda: stage.held(ES) == 0)
        assert "break_opened" not in stage.listener.kinds


async def test_an_account_is_not_opened_by_a_login_that_leads_to_another_one() -> None:
    stage = Stage(expected="paper:PAPER-2")
    await stage.start(ready=False)
    try:
        await stage.until(lambda: stage.seat.runs.count >= 3)
        latest = stage.seat.runs.latest
        assert latest is not None
        assert "not to paper:PAPER-2" in (latest.trouble or "")
        assert stage.lane.books.account is None
        stage.broker.account_number = "PAPER-2"
        await stage.until(lambda: stage.lane.books.account is not None)
    finally:
        await stage.crash()


async def test_clients_of_the_account_channel_are_shown_every_step_with_the_whole_break() -> None:
    async with Stage() as stage:
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        item = only_break(stage)
        await stage.node.breaks.assign(
            TRADER, item.id, owner="anna", note="", key=stage.key(), correlation="test"
        )
        await resolve(stage, item.id, Action.ADOPT)
        frames = await stage.views.frames(ACCOUNT, after=0, upto=1_000, limit=1_000)
        told = [row for row in frames if row.kind.startswith("break_")]
        assert {channels.MASK_OF_KIND[row.kind] for row in told} == {channels.ACCOUNT}
        shown_states = [msgspec.json.decode(row.frame)["break"]["state"] for row in told]
        assert shown_states == ["open", "assigned", "resolved"]


def _has_run_since(stage: Stage, count: int) -> bool:
    return stage.seat.runs.count > count
