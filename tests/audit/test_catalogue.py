"""Every control is counted by what it leaves in the journal, refusals apart from notes in shadow."""

from __future__ import annotations

from decimal import Decimal

from ordergate.audit.catalogue import CATALOGUE, UNSEEN, Fired
from ordergate.core.risk.limits import ADJUSTABLE
from ordergate.engine.stopping.trips import TripPolicy
from tests.audit.days import tally_of
from tests.engine import test_dead_man as dead_man
from tests.engine import test_egress as egress
from tests.engine import test_overrides as overrides
from tests.engine import test_trips as trips
from tests.engine.groups import bracket
from tests.engine.killing import hold
from tests.engine.stage import TRADER, Stage


def fired(stage: Stage) -> Fired:
    return tally_of(stage).fired


def test_the_whole_catalogue_is_listed_and_what_leaves_no_event_says_so() -> None:
    assert [one.id for one in CATALOGUE] == [f"R{number:02}" for number in range(1, 31)]
    assert all("leaves no event" in one.acts for one in CATALOGUE if one.id in UNSEEN)


async def test_a_note_in_shadow_is_no_refusal() -> None:
    async with Stage(limits={"shadow": ["R06"]}) as stage:
        await stage.accepted(quantity=101)
        assert (fired(stage).refused["R06"], fired(stage).noted["R06"]) == (0, 1)
        assert fired(stage).noted_reasons == {"R06 order-quantity": 1}


async def test_a_denial_counts_what_refused_and_what_would_have() -> None:
    async with Stage(limits={"shadow": ["R06"]}) as stage:
        await stage.place(quantity=10_001)
        told = fired(stage)
        assert told.refused["R11"] == told.noted["R06"] == 1
        assert told.refused["R06"] == 0


async def test_a_group_that_risk_refuses_counts() -> None:
    async with Stage() as stage:
        await stage.node.groups.place(TRADER, bracket(101), key=stage.key(), correlation="test")
        assert fired(stage).refused["R06"] == 1


async def test_a_replacement_that_is_refused_counts_at_its_control_and_as_such() -> None:
    async with Stage() as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await stage.gate.replace(
            TRADER, order, quantity=Decimal(101), limit_price=Decimal(4700), stop_price=None,
            key=stage.key(), correlation="test",
        )  # fmt: skip
        assert (fired(stage).refused["R06"], fired(stage).acted["R24"]) == (1, 1)


async def test_what_was_lifted_counts_apart() -> None:
    async with Stage(limits={"soft": sorted(ADJUSTABLE)}) as stage:
        await overrides.granted(stage, "R06")
        await overrides.placed(stage)
        told = fired(stage)
        assert (told.lifted["R06"], told.acted["R23"], told.refused["R06"]) == (1, 1, 0)


async def test_an_order_that_was_kept_back_counts_once_for_its_break_and_its_end() -> None:
    async with Stage() as stage:
        stage.listener.on(
            "order_accepted", lambda: egress.change_terms(stage, egress.newest(stage), quantity=Decimal(9))
        )
        await stage.place()
        await stage.until(lambda: egress.natures(stage) == ["egress"])
        await stage.until(lambda: stage.listener.frames_of("order_rejected"))
        assert fired(stage).acted["R20"] == 1


async def test_the_error_rate_breaker_counts_where_it_trips() -> None:
    async with Stage(fate=trips.Answering(), trips=trips.ERRORS) as stage:
        for _ in range(3):
            await trips.rejected(stage)
        await stage.until(lambda: trips.stops(stage)[0].durable)
        assert fired(stage).acted["R26"] == 1
        assert tally_of(stage).counts["stops by the trip error-rate"] == 1


async def test_a_strategy_that_executes_too_often_counts_where_it_is_stopped() -> None:
    async with Stage(trips=TripPolicy(executions=1)) as stage:
        await trips.filled(stage)
        await stage.until(lambda: trips.stops(stage) and trips.stops(stage)[0].durable)
        assert fired(stage).acted["R17"] == 1


async def test_a_switch_that_runs_out_counts() -> None:
    async with Stage() as stage:
        await dead_man.arm(stage)
        await dead_man.passes(stage, 70)
        await stage.until(lambda: "dead_man_expired" in dead_man.written(stage))
        assert fired(stage).acted["R30"] == 1


async def test_a_loss_limit_counts_when_it_is_reached_and_when_it_refuses() -> None:
    limits = {"losses": {"max_daily_loss": "1000"}, "trading_day": {"zone": "UTC", "ends_at": "22:00"}}
    async with Stage(limits=limits) as stage:
        await hold(stage, 2)
        stage.price(Decimal(4790))
        await stage.place()
        await stage.until(lambda: "loss_limit_reached" in stage.listener.kinds)
        assert (fired(stage).refused["R18"], fired(stage).acted["R18"]) == (1, 1)


async def test_a_replacement_that_is_not_what_was_approved_counts_as_kept_back() -> None:
    async with Stage() as stage:
        await egress.replaced_otherwise(stage)
        assert fired(stage).acted["R20"] == 1


async def test_a_stream_that_is_stale_counts_where_it_stops_the_account() -> None:
    async with Stage(trips=TripPolicy(stale_stream_s=5)) as stage:
        stage.broker.stream.cut("maintenance")
        await stage.until(lambda: trips.stops(stage) and trips.stops(stage)[0].durable)
        assert fired(stage).acted["R25"] == 1
