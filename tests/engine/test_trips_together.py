"""Two trips at one place: the harder is in force at once, and neither ends while the other's cause lasts."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from ordergate.core.risk.tally import Executed
from ordergate.core.risk.trading_state import AnyControlEvent, Grade, KillReleased, Level, Trip
from ordergate.engine.answering.answers import KillView
from ordergate.engine.stopping.trips import TripPolicy
from ordergate.ports.nodes import Node
from tests.engine.stage import ACCOUNT, RISK, TRADER, Stage
from tests.engine.test_trips import OURS, Answering, Clockwork, Neighbours, passes, rejected, stops

PLACE: Final = (Level.ACCOUNT, ACCOUNT)
POLICY: Final = TripPolicy(
    errors=3, errors_window_s=60, errors_pause_s=10, errors_probation_s=20, stale_stream_s=5
)


def trips(stage: Stage) -> list[tuple[str | None, str]]:
    return [(one.trip, one.grade) for one in stops(stage)]


def watched(stage: Stage) -> list[list[str | None]]:
    """What stands, by trip, as soon as anything was released: no order is looked at in between."""
    seen: list[list[str | None]] = []
    switch = stage.node.kill_switch
    told = switch.on_event

    def heard(event: AnyControlEvent) -> None:
        told(event)
        if isinstance(event, KillReleased):
            seen.append([kill.trip for kill in switch.state.kills.values()])

    switch.on_event = heard
    return seen


async def behind(stage: Stage) -> None:
    stage.broker.stream.cut("maintenance")
    await passes(stage, 8)
    assert trips(stage) == [("stream-stale", "reduce_only")]


async def caught_up(stage: Stage) -> None:
    stage.broker.stream.restore()
    await stage.until(lambda: stage.seat.freshness.stale_since is None)


@pytest.mark.parametrize("still", [True, False])
async def test_nodes_that_differ_stop_from_the_moment_that_the_clock_does_not(still: bool) -> None:
    nodes, keeper = Neighbours(), Clockwork(0.0)
    policy = TripPolicy(clock_every_s=1, clock_stops=True, nodes_every_s=10)
    async with Stage(trips=policy, offset=keeper, nodes=nodes, ourselves=OURS) as stage:
        keeper.offset = 90.0
        await passes(stage, 3)
        nodes.nodes.append(Node(name="b", build="2", config="x"))
        await passes(stage, 12)
        assert trips(stage) == [("clock-offset", "reduce_only")]
        if not still:
            nodes.nodes.clear()
            await passes(stage, 12)
        after = watched(stage)
        keeper.offset = 0.0
        await passes(stage, 3)
        assert after == [["config-mismatch"] if still else []]
        assert trips(stage) == ([("config-mismatch", "reduce_only")] if still else [])


async def test_an_account_that_fell_behind_during_a_pause_stays_stopped_when_that_is_over() -> None:
    async with Stage(trips=POLICY, fate=Answering()) as stage:
        for _ in range(3):
            await rejected(stage)
        assert trips(stage) == [("error-rate", "reduce_only")]
        after = watched(stage)
        stage.broker.stream.cut("maintenance")
        await passes(stage, 12)
        assert after == [["stream-stale"]]
        await caught_up(stage)
        await passes(stage, 2)
        assert trips(stage) == []


async def test_too_many_errors_of_an_account_that_is_behind_pause_it_beyond_that() -> None:
    async with Stage(trips=POLICY) as stage:
        await behind(stage)
        stage.node.trips.engage(PLACE, Trip.ERROR_RATE, Grade.REDUCE_ONLY, "3 errors within 60 s")
        assert trips(stage) == [("error-rate", "reduce_only")]
        await caught_up(stage)
        await passes(stage, 4)
        assert trips(stage) == [("error-rate", "reduce_only")]
        await passes(stage, 8)
        assert trips(stage) == []


@pytest.mark.parametrize("still", [True, False])
async def test_a_harder_trip_is_in_force_at_once_and_a_person_who_lifts_it_lifts_no_other(
    still: bool,
) -> None:
    async with Stage(trips=POLICY) as stage:
        await behind(stage)
        stage.node.trips.engage(PLACE, Trip.REPEATED_EXECUTION, Grade.BLOCK_NEW, "3 executions")
        assert trips(stage) == [("repeated-execution", "block_new")]
        if not still:
            await caught_up(stage)
            await passes(stage, 2)
        view = await stage.gate.release_kill(
            RISK, reason="looked at", correlation="test", level="account", target=ACCOUNT
        )
        assert isinstance(view, KillView)
        assert [one.trip for one in view.stops] == (["stream-stale"] if still else [])


async def test_errors_that_a_harder_stop_hid_are_counted_when_it_is_lifted() -> None:
    async with Stage(trips=POLICY, fate=Answering()) as stage:
        for _ in range(2):
            await rejected(stage)
        stage.node.trips.engage(PLACE, Trip.LOSS_LIMIT, Grade.CANCEL_ALL, "1300 lost today, 1000 allowed")
        stage.lane.books.tally.failed(stage.clock.now())  # of one that had left before
        await stage.until(lambda: stops(stage)[0].durable)
        after = watched(stage)
        await stage.gate.release_kill(
            TRADER, reason="understood", correlation="test", level="account", target=ACCOUNT
        )
        assert after == [["error-rate"]]


async def test_what_was_lifted_is_not_stopped_again_by_errors_that_a_clock_dated_ahead() -> None:
    async with Stage(trips=POLICY, fate=Answering()) as stage:
        await passes(stage, 2)
        for _ in range(3):
            stage.lane.books.tally.failed(stage.clock.now() + timedelta(hours=1))
        await rejected(stage)
        assert trips(stage) == [("error-rate", "reduce_only")]
        await stage.until(lambda: stops(stage)[0].durable)
        view = await stage.gate.release_kill(
            TRADER, reason="understood", correlation="test", level="account", target=ACCOUNT
        )
        assert isinstance(view, KillView)
        await passes(stage, 2)
        assert trips(stage) == []


async def test_after_a_restart_nothing_is_lifted_before_all_was_looked_at() -> None:
    nodes, keeper = Neighbours(), Clockwork(0.0)
    policy = TripPolicy(clock_every_s=1, clock_stops=True, nodes_every_s=2)
    async with Stage(trips=policy, offset=keeper, nodes=nodes, ourselves=OURS) as stage:
        keeper.offset = 90.0
        await passes(stage, 3)
        await stage.crash()
        nodes.nodes.append(Node(name="b", build="2", config="x"))
        keeper.offset = 0.0
        await stage.start(ready=False)
        after = watched(stage)
        await passes(stage, 3)
        assert after == [["config-mismatch"]]


async def test_executions_of_a_strategy_that_a_stop_of_it_hid_are_counted_when_that_is_lifted() -> None:
    place = (Level.STRATEGY, "trend")
    async with Stage(trips=TripPolicy(executions=3, executions_window_s=60)) as stage:
        await stage.gate.engage_kill(
            RISK, grade="block_new", reason="a look", correlation="test", level="strategy", target="trend"
        )
        for _ in range(3):
            stage.lane.books.tally.executed(Executed(stage.clock.now(), "trend", "anna"))
        after = watched(stage)
        await stage.gate.release_kill(
            TRADER, reason="looked at", correlation="test", level="strategy", target="trend"
        )
        assert after == [["repeated-execution"]]
        assert stage.node.kill_switch.state.kills[place].concerns == "anna"
