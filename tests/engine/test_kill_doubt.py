"""What a node does that cannot write down, or cannot hear, what is stopped."""

from __future__ import annotations

import asyncio

import pytest

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Refusal
from ordergate.core.risk.trading_state import Grade, KillEngaged, KillReleased, Level
from ordergate.engine.accounts.units import control_entry
from ordergate.engine.answering.answers import KillView
from ordergate.ports.journal import Taken, Unit
from tests.engine.killing import CONTROL, engage_anyhow, kinds, placed, working
from tests.engine.stage import RISK, TRADER, Stage, let_run


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
        engaged = KillEngaged(
            at=stage.clock.now(), grade=Grade.CANCEL_ALL, actor="another node", reason="theirs"
        )
        await _elsewhere(stage, engaged)
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


async def test_a_stop_whose_commit_was_lost_and_had_been_made_is_written_once() -> None:
    async with Stage() as stage:
        stage.journal.hold()
        engaging = asyncio.ensure_future(engage_anyhow(stage))
        await let_run()
        stage.journal.cut(written=True)
        stage.journal.release()
        assert isinstance(await engaging, KillView)
        await stage.clock.move(2)
        assert kinds(stage) == ["kill_engaged"]
        assert stage.gate.kill_state().stops[0].durable


async def test_a_stop_that_is_found_to_be_written_later_is_not_written_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither by whoever wrote it, once it can be read, nor over a release that came meanwhile."""
    async with Stage() as stage:
        stage.journal.hold()
        engaging = asyncio.ensure_future(engage_anyhow(stage))
        await let_run()
        with monkeypatch.context() as away:
            away.setattr(stage.journal, "take", _refused)
            stage.journal.cut(written=True)
            stage.journal.release()
            assert isinstance(await engaging, Refusal)
        await stage.until(lambda: stage.gate.kill_state().stops[0].durable)
        assert kinds(stage) == ["kill_engaged"]
        await stage.restart()
        assert stage.gate.kill_state().engaged


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


async def test_of_two_stops_at_one_place_that_could_not_be_written_both_are_written_later() -> None:
    async with Stage() as stage:
        stage.journal.hold()
        for grade in (Grade.CANCEL_ALL, Grade.REDUCE_ONLY):
            event = KillEngaged(at=stage.clock.now(), grade=grade, actor="local:ops", reason="all is down")
            stage.node.kill_switch.hold(event)
        await stage.clock.move(1)
        stage.journal.release()
        await stage.until(lambda: stage.gate.kill_state().stops[0].durable)
        await stage.restart()
        assert stage.gate.kill_state().grade == "cancel_all"


async def test_a_stop_engaged_again_in_the_instant_of_its_release_stays_in_force() -> None:
    async with Stage() as stage:
        stage.journal.hold()
        first = asyncio.ensure_future(engage_anyhow(stage))
        await let_run()
        releasing = asyncio.ensure_future(stage.gate.release_kill(RISK, reason="over", correlation="test"))
        await let_run()
        again = asyncio.ensure_future(engage_anyhow(stage))  # the very same, by the same clock
        await let_run()
        stage.journal.release()
        await asyncio.gather(first, releasing, again)
        assert kinds(stage) == ["kill_engaged", "kill_released", "kill_engaged"]
        assert stage.gate.kill_state().engaged
        assert (await placed(stage)).failed


async def test_a_stop_that_waits_to_be_written_outlives_the_release_that_another_node_wrote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Stage() as stage:
        await engage_anyhow(stage)
        await _elsewhere(stage, KillReleased(at=stage.clock.now(), actor="another node", reason="over"))
        stage.node.kill_switch.hold(_blocking(stage, "ours"))
        with monkeypatch.context() as cut:
            cut.setattr(stage.journal, "take", _refused)
            await stage.clock.move(1)  # the release is heard, and nothing can be written
            assert kinds(stage) == ["kill_engaged", "kill_released"]
            assert (await placed(stage)).failed
        await stage.clock.move(1)
        assert kinds(stage) == ["kill_engaged", "kill_released", "kill_engaged"]
        assert (await placed(stage, limit="4701")).failed


async def test_a_release_is_not_written_against_a_stop_of_another_node_that_was_not_heard_yet() -> None:
    async with Stage() as stage:
        await engage_anyhow(stage)
        await _elsewhere(stage, _blocking(stage, "theirs"))
        view = await stage.gate.release_kill(RISK, reason="over", correlation="test")
        assert isinstance(view, KillView)
        assert (view.engaged, view.reason) == (True, "theirs")
        assert kinds(stage) == ["kill_engaged", "kill_engaged"]


async def _refused(_: AccountId) -> Taken:
    raise JournalUnavailable("refused")


def _blocking(stage: Stage, reason: str) -> KillEngaged:
    return KillEngaged(at=stage.clock.now(), grade=Grade.BLOCK_NEW, actor="risk", reason=reason)


async def _elsewhere(stage: Stage, event: KillEngaged | KillReleased) -> None:
    """Another node writes it down."""
    taken = await stage.journal.take(CONTROL)
    entry = control_entry(event, CONTROL, taken.head + 1, "elsewhere")
    unit = Unit(account=CONTROL, epoch=taken.epoch, expected=taken.head, entries=(entry,))
    await stage.journal.append(unit)
