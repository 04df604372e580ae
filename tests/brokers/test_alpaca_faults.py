"""The adapter against a venue that fails on purpose: nothing lost, nothing twice, nothing guessed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import pytest

from ordergate.brokers._shared.lines import HttpLimits
from ordergate.brokers._shared.socket import Patience
from ordergate.brokers.alpaca.client import AlpacaSettings
from ordergate.core.orders import reports as r
from ordergate.core.orders.terms import Side
from ordergate.ports.broker import (
    Acknowledged,
    BrokerUnavailable,
    NotFound,
    Outcome,
    Rejected,
    StreamDown,
    StreamUp,
    Unknown,
    Unsent,
    no_veto,
)
from ordergate.venue.faults import Fault, RequestKind
from tests.brokers.conformance import asked, listening, placed
from tests.brokers.venue_floor import TUNED, VenueFloor, venue_floor
from tests.brokers.world import our_id, terms

# Every answer that does come has this time as well, and a busy machine may need much of it.
QUICK = HttpLimits(connect_s=2.0, total_s=2.0)
WATCHFUL = Patience(retry_first_s=0.1, retry_s_max=0.1, silence_s=0.2, probe_answer_s=2.0)
HELD_S = 60.0
"""Of what is held: our own time is over first."""


@pytest.fixture
async def floor() -> AsyncIterator[VenueFloor]:
    async with venue_floor(msgspec.structs.replace(TUNED, http=QUICK, patience=WATCHFUL)) as floor:
        yield floor


def strike(floor: VenueFloor, fault: Fault) -> None:
    floor.venue.faults.add(fault)


@pytest.mark.parametrize(
    ("kind", "outcome", "arrives"),
    [
        ("timeout_before", Unknown, False),
        ("timeout_after", Unknown, True),
        ("error_before", Unknown, False),
        ("error_after", Unknown, True),
        ("truncated", Unknown, True),
        ("malformed", Unknown, True),
        ("no_id", Unknown, True),
        ("rate_limited", Unsent, False),
        ("not_found", Rejected, False),
    ],
)
async def test_every_fault_of_a_placement_is_told_for_what_it_is(
    floor: VenueFloor, kind: RequestKind, outcome: type[Outcome], arrives: bool
) -> None:
    """The venue, asked afterwards, is the judge: a definite outcome is true, an unknown one is resolved."""
    strike(floor, Fault(kind=kind, scope="place", count=1, seconds=HELD_S, retry_after=0))
    told = await floor.broker.place(our_id(1), terms(), no_veto)
    assert isinstance(told, outcome), told
    seen = await floor.broker.find(our_id(1))
    assert isinstance(seen, NotFound) is not arrives


@pytest.mark.parametrize("kind", ["timeout_after", "error_after", "truncated", "malformed", "no_id"])
async def test_asking_again_after_a_lost_answer_finds_the_first_order(
    floor: VenueFloor, kind: RequestKind
) -> None:
    strike(floor, Fault(kind=kind, scope="place", count=1, seconds=HELD_S))
    assert isinstance(await floor.broker.place(our_id(1), terms(), no_veto), Unknown)
    again = await floor.broker.place(our_id(1), terms(), no_veto)
    assert isinstance(again, Acknowledged)
    assert [it.broker_order_id for it in await floor.broker.open_orders()] == [again.broker_order_id]


@pytest.mark.parametrize("kind", ["timeout_after", "error_after"])
async def test_a_cancel_whose_answer_is_lost_is_unknown(floor: VenueFloor, kind: RequestKind) -> None:
    broker_order_id = await placed(floor.broker)
    strike(floor, Fault(kind=kind, scope="cancel", count=1, seconds=HELD_S))
    assert isinstance(await floor.broker.cancel(our_id(1), broker_order_id), Unknown)
    assert await floor.broker.open_orders() == []


@pytest.mark.parametrize("kind", ["timeout_after", "error_after", "truncated", "no_id"])
async def test_a_replacement_whose_answer_is_lost_is_found_by_asking_again(
    floor: VenueFloor, kind: RequestKind
) -> None:
    broker_order_id = await placed(floor.broker)
    strike(floor, Fault(kind=kind, scope="replace", count=1, seconds=HELD_S))
    change = asked(2, 10, "9.00")
    assert isinstance(
        await floor.broker.replace(broker_order_id, our_id(1, 2), terms(), change, no_veto), Unknown
    )
    seen = await floor.broker.find(our_id(1, 2))
    assert not isinstance(seen, NotFound)
    assert seen.terms.limit_price == Decimal(9)


@pytest.mark.parametrize("kind", ["timeout_before", "error_before", "truncated", "malformed"])
async def test_a_query_without_an_answer_is_no_fact(floor: VenueFloor, kind: RequestKind) -> None:
    await placed(floor.broker)
    strike(floor, Fault(kind=kind, scope="query", count=1, seconds=HELD_S))
    with pytest.raises(BrokerUnavailable):
        await floor.broker.find(our_id(1))
    assert not isinstance(await floor.broker.find(our_id(1)), NotFound)


async def test_fills_missed_by_a_broken_stream_are_in_the_history(floor: VenueFloor) -> None:
    """The frame of the second fill is lost with the line; the cursor brings it back."""
    async with listening(floor.broker) as ear:
        await placed(floor.broker)
        await floor.trade(Side.SELL, Decimal(4), Decimal(10))
        await ear.until_reports(r.AcknowledgedReport, r.ExecutedReport)
        cursor = [it.cursor async for it in floor.broker.executions(after=None)][-1]
        strike(floor, Fault(kind="disconnect", scope="stream", count=1))
        await floor.trade(Side.SELL, Decimal(6), Decimal(10))
        await ear.until(lambda heard: heard[-1] == StreamUp() and len(heard) > 1)
        assert [type(it) for it in ear.heard[-2:]] == [StreamDown, StreamUp]
        missed = [it.report async for it in floor.broker.executions(after=cursor)]
    assert [it.quantity for it in missed if isinstance(it, r.ExecutedReport)] == [Decimal(6)]


async def test_a_stream_that_answers_pings_and_says_nothing_is_replaced(floor: VenueFloor) -> None:
    async with listening(floor.broker) as ear:
        strike(floor, Fault(kind="silent", scope="stream", count=1))
        await placed(floor.broker)
        await ear.until(lambda heard: heard[-1] == StreamUp() and len(heard) > 1)
        await floor.trade(Side.SELL, Decimal(10), Decimal(10))
        await ear.until(lambda _: any(isinstance(it, r.ExecutedReport) for it in ear.reports()))
    assert StreamDown in [type(it) for it in ear.heard]


async def test_a_doubled_frame_is_the_same_execution_twice(floor: VenueFloor) -> None:
    async with listening(floor.broker) as ear:
        await placed(floor.broker)
        await ear.until_reports(r.AcknowledgedReport)
        strike(floor, Fault(kind="duplicate", scope="stream", count=1))
        await floor.trade(Side.SELL, Decimal(10), Decimal(10))
        told = await ear.until_reports(r.AcknowledgedReport, r.ExecutedReport, r.ExecutedReport)
    assert told[1] == told[2]


@pytest.mark.parametrize("ours", [200, 1_000_000])
async def test_the_venue_s_own_limit_leaves_room_for_cancels(ours: int) -> None:
    """Its window holds 200 a minute; the last fifth of it is for cancels."""
    async with venue_floor(AlpacaSettings(requests_per_minute=ours), rate_limit=200) as floor:
        broker_order_id = await placed(floor.broker)
        outcomes: list[Outcome] = []
        for number in range(2, 250):
            outcomes.append(await floor.broker.place(our_id(number), terms(), no_veto))
            if isinstance(outcomes[-1], Unsent):
                break
        assert isinstance(outcomes[-1], Unsent)
        assert 155 <= len(outcomes) <= 165
        assert await floor.broker.cancel(our_id(1), broker_order_id) == Acknowledged(broker_order_id)
