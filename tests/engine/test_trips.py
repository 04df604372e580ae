"""Stops that no person decided: what trips them, what they do, and how they are lifted."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.accounts.events import LossLimitReached
from ordergate.core.ids import OrderId
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Grade, Level, Trip
from ordergate.engine.answering.answers import Answer, KillView, StopView
from ordergate.engine.stopping.trips import TripPolicy
from ordergate.ports.nodes import Node
from tests.engine.stage import ACCOUNT, ES, RISK, TRADER, Stage

REFUSED = fates.TurnedAway("the broker has had enough")


async def placed(
    stage: Stage, limit: str = "4700", *, side: Side = Side.BUY, strategy: str | None = "trend"
) -> Answer:
    answer = await stage.gate.place(
        TRADER,
        Terms(
            account=ACCOUNT,
            symbol=ES,
            side=side,
            type=OrderType.LIMIT,
            quantity=Decimal(1),
            limit_price=Decimal(limit),
            time_in_force=TimeInForce.GTC,
            strategy=strategy,
        ),
        key=stage.key(),
        correlation="test",
    )
    assert isinstance(answer, Answer), answer
    return answer


async def rejected(stage: Stage) -> OrderId:
    order = (await placed(stage)).order_id
    await stage.until(lambda: stage.status(order) == "rejected")
    return order


async def passes(stage: Stage, seconds: float) -> None:
    for _ in range(int(seconds * 4)):
        await stage.clock.move(0.25)


async def filled(stage: Stage, strategy: str | None = "trend") -> None:
    order = (await placed(stage, "4900", strategy=strategy)).order_id
    await stage.until(lambda: stage.status(order) == "filled")


def stops(stage: Stage) -> list[StopView]:
    return list(stage.gate.kill_state().stops)


async def changed(stage: Stage, order: OrderId, price: int) -> None:
    answer = await stage.gate.replace(
        TRADER,
        order,
        quantity=None,
        limit_price=Decimal(price),
        stop_price=None,
        key=stage.key(),
        correlation="test",
    )
    assert isinstance(answer, Answer), answer


class Answering:
    """A broker that refuses, while told to, what it is asked."""

    def __init__(self, *calls: fates.Call, fate: fates.Fate = REFUSED) -> None:
        self.refuses = True
        self._calls = calls or (fates.Call.PLACE,)
        self._fate = fate

    def __call__(self, call: fates.Call) -> fates.Fate:
        return self._fate if self.refuses and call in self._calls else fates.Delivered()


EXECUTIONS = TripPolicy(executions=3, executions_window_s=60)
NODES = TripPolicy(nodes_every_s=5)
OURS = Node(name="a", build="1", config="x")
ERRORS = TripPolicy(errors=3, errors_window_s=60, errors_pause_s=10, errors_probation_s=20)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"errors": 10_001}, "not be over 10000"),
        ({"executions": 10_001}, "not be over 10000"),
        ({"errors_window_s": 3_601}, "3600 seconds"),
        ({"errors_probation_s": 3_601}, "3600 seconds"),
        ({"executions_window_s": 3_601}, "3600 seconds"),
    ],
    ids=str,
)
def test_a_policy_looks_no_further_back_than_a_restart_does(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        TripPolicy(**wrong)
    TripPolicy(**{name: value - 1 for name, value in wrong.items()})


async def test_too_many_errors_let_the_account_only_reduce_and_say_how_that_ends() -> None:
    broker = Answering()
    async with Stage(fate=broker, trips=ERRORS) as stage:
        for _ in range(2):
            await rejected(stage)
        assert stops(stage) == []
        await rejected(stage)
        (stop,) = stops(stage)
        assert (stop.level, stop.target, stop.grade) == ("account", ACCOUNT, "reduce_only")
        assert (stop.actor, stop.trip, stop.lift) == ("gateway", "error-rate", Trip.ERROR_RATE.lift)
        assert "3 errors within 60 s" in stop.reason
        assert [no.control for no in (await placed(stage)).failed] == ["R01"]
        await stage.until(lambda: stops(stage)[0].durable)
        exposition = stage.metrics.exposition().decode()
        assert 'ordergate_trips_total{trip="error-rate"} 1.0' in exposition


async def test_a_breaker_half_opens_and_one_more_error_stops_again_for_twice_as_long() -> None:
    broker = Answering()
    async with Stage(fate=broker, trips=ERRORS) as stage:
        for _ in range(3):
            await rejected(stage)
        await passes(stage, 12)
        assert stops(stage) == []
        await rejected(stage)
        assert "one error on probation" in stops(stage)[0].reason
        await passes(stage, 12)
        assert len(stops(stage)) == 1
        await passes(stage, 10)
        assert stops(stage) == []
        broker.refuses = False
        await passes(stage, 25)
        broker.refuses = True
        await rejected(stage)
        assert stops(stage) == []  # the probation was kept: counting begins anew


async def test_without_a_probation_a_person_lifts_the_breaker() -> None:
    broker = Answering()
    policy = TripPolicy(errors=1, errors_pause_s=5, errors_probation_s=0)
    async with Stage(fate=broker, trips=policy) as stage:
        await rejected(stage)
        await passes(stage, 30)
        assert len(stops(stage)) == 1
        view = await stage.gate.release_kill(
            TRADER, reason="the broker is well", correlation="test", level="account", target=ACCOUNT
        )
        assert isinstance(view, KillView)
        assert not view.engaged


async def test_a_rejected_replacement_is_an_error_as_a_rejected_order_is() -> None:
    broker = Answering(fates.Call.REPLACE)
    async with Stage(fate=broker, trips=ERRORS) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        for price in (4701, 4702, 4703):
            assert stops(stage) == []
            await changed(stage, order, price)
            await stage.until(lambda: stage.status(order) == "working")
        (stop,) = stops(stage)
        assert (stop.trip, "the last replacement rejected" in stop.reason) == ("error-rate", True)


async def test_what_never_left_is_no_error() -> None:
    unsent = Answering(fates.Call.PLACE, fates.Call.REPLACE, fate=fates.NotSent("no route"))
    async with Stage(fate=unsent, trips=TripPolicy(errors=1)) as stage:
        unsent.refuses = False
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        unsent.refuses = True
        await changed(stage, order, 4701)
        await stage.until(lambda: stage.status(order) == "working")
        await rejected(stage)
        assert stops(stage) == []


async def test_executions_of_orders_that_name_no_strategy_are_throttled_by_their_account() -> None:
    async with Stage(trips=EXECUTIONS) as stage:
        await filled(stage)  # of a strategy
        for _ in range(2):
            await filled(stage, None)
        assert stops(stage) == []
        await filled(stage, None)
        (stop,) = stops(stage)
        assert (stop.level, stop.target, stop.grade) == ("account", ACCOUNT, "block_new")
        assert (stop.trip, "no strategy" in stop.reason) == ("repeated-execution", True)
        own = await stage.gate.release_kill(
            TRADER, reason="all is well", correlation="test", level="account", target=ACCOUNT
        )
        assert isinstance(own, Refusal)
        assert own.code is Code.SAME_PERSON


async def test_what_a_flatten_closes_is_not_throttled() -> None:
    async with Stage(trips=TripPolicy(executions=2)) as stage:
        await filled(stage)
        await stage.node.groups.flatten(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.held(ES) == 0)
        await filled(stage, None)
        assert stops(stage) == []


async def test_a_breaker_goes_on_after_a_restart() -> None:
    broker = Answering()
    async with Stage(fate=broker, trips=ERRORS) as stage:
        for _ in range(3):
            await rejected(stage)
        await stage.until(lambda: stops(stage)[0].durable)
        await stage.restart()
        assert len(stops(stage)) == 1
        await passes(stage, 12)
        assert stops(stage) == []


async def test_a_strategy_that_executes_again_and_again_waits_for_another_person_than_its_own() -> None:
    policy = TripPolicy(executions=3, executions_window_s=60)
    async with Stage(trips=policy) as stage:
        for _ in range(3):
            await filled(stage)
        (stop,) = stops(stage)
        assert (stop.level, stop.target, stop.grade) == ("strategy", "trend", "block_new")
        assert (await placed(stage)).failed
        await stage.accepted(limit="4600")  # of no strategy
        await passes(stage, 120)
        assert len(stops(stage)) == 1
        own = await stage.gate.release_kill(
            TRADER, reason="all is well", correlation="test", level="strategy", target="trend"
        )
        assert isinstance(own, Refusal)
        assert own.code is Code.SAME_PERSON
        view = await stage.gate.release_kill(
            RISK, reason="looked at", correlation="test", level="strategy", target="trend"
        )
        assert isinstance(view, KillView)
        assert not view.engaged


async def test_old_prices_of_what_is_at_stake_stop_openings_until_new_ones_come() -> None:
    async with Stage(trips=TripPolicy(stale_prices_s=30)) as stage:
        await passes(stage, 40)
        assert stops(stage) == []  # nothing is at stake
        stage.price(Decimal(4800))
        await placed(stage)
        await passes(stage, 40)
        (stop,) = stops(stage)
        assert (stop.level, stop.target, stop.trip) == ("instrument", ES, "stale-market-data")
        stage.price(Decimal(4801))
        await passes(stage, 2)
        assert stops(stage) == []


async def test_an_account_behind_its_broker_is_stopped_until_it_has_caught_up() -> None:
    async with Stage(trips=TripPolicy(stale_stream_s=5)) as stage:
        stage.broker.stream.cut("maintenance")
        await passes(stage, 4)
        assert stops(stage) == []
        await passes(stage, 4)
        (stop,) = stops(stage)
        assert (stop.level, stop.target, stop.trip) == ("account", ACCOUNT, "stream-stale")
        stage.broker.stream.restore()
        await stage.until(lambda: stage.seat.freshness.stale_since is None)
        await passes(stage, 2)
        assert stops(stage) == []


class Clockwork:
    """A time keeper that says what it is told to."""

    def __init__(self, offset: float | None) -> None:
        self.offset = offset

    async def offset_ms(self) -> float | None:
        return self.offset


@pytest.mark.parametrize(
    ("offset", "stopped"),
    [(0.0, False), (-20.1, False), (50.0, False), (50.1, True), (-51.0, True), (None, True)],
)
async def test_a_clock_over_fifty_milliseconds_off_stops_openings(
    offset: float | None, stopped: bool
) -> None:
    policy = TripPolicy(clock_every_s=10, clock_stops=True, clock_unknown_stops=True)
    keeper = Clockwork(offset)
    async with Stage(trips=policy, offset=keeper) as stage:
        await passes(stage, 3)
        assert [one.trip for one in stops(stage)] == (["clock-offset"] if stopped else [])
        keeper.offset = 1.0
        await passes(stage, 12)
        assert stops(stage) == []


async def test_where_the_clock_stops_nothing_it_only_warns() -> None:
    async with Stage(trips=TripPolicy(clock_every_s=10), offset=Clockwork(80.0)) as stage:
        await passes(stage, 3)
        assert stops(stage) == []
        assert "ordergate_clock_offset_seconds 0.08" in stage.metrics.exposition().decode()


async def test_an_unknown_clock_is_said_once_and_again_after_it_was_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    keeper = Clockwork(None)
    async with Stage(trips=TripPolicy(clock_every_s=10), offset=keeper) as stage:
        await passes(stage, 60)
        assert capsys.readouterr().err.count("clock.unknown") == 1
        keeper.offset = 1.0
        await passes(stage, 12)
        keeper.offset = None
        await passes(stage, 60)
        assert capsys.readouterr().err.count("clock.unknown") == 1


class Neighbours:
    """What the nodes of one database say of themselves."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes = list(nodes)

    async def announce(self, node: Node) -> None:
        self.nodes = [one for one in self.nodes if one.name != node.name] + [node]

    async def seen(self, within_s: float) -> Sequence[Node]:
        return self.nodes


@pytest.mark.parametrize(("build", "config"), [("2", "x"), ("1", "y")])
async def test_nodes_that_differ_stop_openings_until_they_agree(build: str, config: str) -> None:
    nodes = Neighbours()
    async with Stage(trips=NODES, nodes=nodes, ourselves=OURS) as stage:
        nodes.nodes.append(Node(name="b", build=build, config=config))
        await passes(stage, 7)
        (stop,) = stops(stage)
        assert (stop.level, stop.target, stop.trip) == ("environment", "paper", "config-mismatch")
        nodes.nodes.clear()
        await passes(stage, 7)
        assert stops(stage) == []


async def test_a_node_is_not_ready_before_it_has_seen_that_all_agree() -> None:
    nodes = Neighbours(Node(name="b", build="2", config="x"))
    stage = Stage(trips=NODES, nodes=nodes, ourselves=OURS)
    await stage.start(ready=False)
    try:
        assert "not been looked at" in stage.gate.readiness()["nodes"]
        await passes(stage, 7)
        assert stage.gate.readiness() == {"nodes": stops(stage)[0].reason}
        nodes.nodes.clear()
        await stage.until(lambda: not stage.gate.readiness())
    finally:
        await stage.crash()


async def test_a_node_that_differed_and_has_ended_stops_nothing() -> None:
    nodes = Neighbours(Node(name="b", build="2", config="y", ended=True))
    async with Stage(trips=NODES, nodes=nodes, ourselves=OURS) as stage:
        await passes(stage, 7)
        assert stops(stage) == []
        assert (await placed(stage)).failed == ()


async def test_a_trip_leaves_a_persons_stop_alone_and_never_lifts_it() -> None:
    keeper = Clockwork(90.0)
    policy = TripPolicy(clock_every_s=1, clock_stops=True)
    async with Stage(trips=policy, offset=keeper) as stage:
        await stage.gate.engage_kill(
            TRADER, grade="block_new", reason="drill", correlation="test", level="environment", target="paper"
        )
        await passes(stage, 3)
        keeper.offset = 0.0
        await passes(stage, 3)
        (stop,) = stops(stage)
        assert (stop.actor, stop.trip, stop.grade) == ("trader", None, "block_new")


async def test_a_loss_over_its_limit_cancels_what_is_open_and_waits_for_a_person() -> None:
    async with Stage() as stage:
        order = (await placed(stage)).order_id
        await stage.until(lambda: stage.status(order) == "working")
        now = stage.clock.now()
        lock = LossLimitReached(
            account=ACCOUNT, at=now, reason="daily-loss", limit=Decimal(1000), lost=Decimal(1300), until=now
        )
        stage.node.trips.lost_too_much(stage.seat, lock, "1300 lost today, 1000 allowed")
        assert (stops(stage)[0].level, stops(stage)[0].grade) == (Level.ACCOUNT, Grade.CANCEL_ALL)
        await stage.until(lambda: stage.status(order) == "canceled")
        await passes(stage, 60)
        assert len(stops(stage)) == 1


async def test_a_trip_does_not_keep_back_what_two_persons_flatten() -> None:
    place = (Level.ACCOUNT, ACCOUNT)
    async with Stage() as stage:
        desk = stage.node.kill_desk
        await desk.engage(TRADER, place, Grade.CANCEL_ALL, "out", "test")
        for person in (TRADER, RISK):
            await desk.flatten(person, place, "out", "test")
        stage.node.trips.engage(place, Trip.LOSS_LIMIT, Grade.CANCEL_ALL, "1300 lost today, 1000 allowed")
        assert [(one.grade, one.trip) for one in stops(stage)] == [("flatten", None)]
