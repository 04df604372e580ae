"""When an order left is kept, whichever way its broker's answer came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.ids import OrderId
from ordergate.core.orders import events as e
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.engine.answering.answers import Answer
from tests.engine.killing import engage
from tests.engine.stage import ACCOUNT, START, TRADER, Stage, let_run


def kept(stage: Stage, kind: Any) -> list[Any]:
    return [entry.event for entry, _ in stage.journal.books[ACCOUNT].events if isinstance(entry.event, kind)]


async def test_an_acknowledgement_says_when_its_order_was_durable_and_when_it_left() -> None:
    async with Stage() as stage:
        began = stage.clock.now()
        stage.journal.hold()
        placing = asyncio.create_task(stage.place())
        await let_run()
        await stage.clock.move(2)
        stage.journal.release()
        await placing
        await stage.until(lambda: kept(stage, e.OrderAcknowledged))
        (accepted,), (acknowledged,) = kept(stage, e.OrderAccepted), kept(stage, e.OrderAcknowledged)
        assert accepted.at == began
        assert acknowledged.committed_at == began + timedelta(seconds=2)
        assert acknowledged.committed_at <= acknowledged.sent_at <= acknowledged.at
        assert not kept(stage, e.OrderSent)


async def test_where_the_stream_was_quicker_than_the_answer_the_send_is_an_event_of_its_own() -> None:
    async with Stage(latency_s=0.25) as stage:
        order = await stage.accepted()
        await stage.until(lambda: kept(stage, e.OrderSent))
        (sent,), (acknowledged,) = kept(stage, e.OrderSent), kept(stage, e.OrderAcknowledged)
        assert sent.order_id == acknowledged.order_id == order
        assert acknowledged.sent_at is None
        assert sent.committed_at <= sent.sent_at <= acknowledged.at < sent.at
        assert stage.status(order) == "working"


@pytest.mark.parametrize(
    ("fate", "ends"),
    [(fates.TurnedAway("no such account"), e.OrderRejected), (fates.LostAnswer(), e.OutcomeUnknown)],
    ids=["refused", "unanswered"],
)
async def test_what_was_refused_or_not_answered_has_left_as_well(fate: fates.Fate, ends: type[Any]) -> None:
    script = fates.Script()
    script.add(fates.Call.PLACE, fate)
    async with Stage(fate=script) as stage:
        await stage.accepted()
        await stage.until(lambda: kept(stage, ends))
        (sent,), (ended,) = kept(stage, e.OrderSent), kept(stage, ends)
        assert sent.order_id == ended.order_id
        assert START <= sent.committed_at <= sent.sent_at <= ended.at


async def test_what_did_not_leave_was_not_sent() -> None:
    script = fates.Script()
    script.add(fates.Call.PLACE, *[fates.NotSent()] * 6)
    async with Stage(fate=script) as stage:
        answer = await stage.place()
        assert isinstance(answer, Answer)
        await stage.until(lambda: stage.status(answer.order_id) == "rejected")
        assert not kept(stage, e.OrderSent)


async def working(stage: Stage) -> OrderId:
    order = await stage.accepted()
    await stage.until(lambda: stage.status(order) == "working")
    return order


def received_only(_order_id: str) -> str | None:
    """A cancel that is taken, and not done."""
    return None


async def canceled(stage: Stage, order: OrderId) -> None:
    await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")


async def replaced(stage: Stage, order: OrderId) -> None:
    await stage.gate.replace(
        TRADER,
        order,
        quantity=Decimal(2),
        limit_price=Decimal(4700),
        stop_price=None,
        key=stage.key(),
        correlation="test",
    )


Asks = Callable[[Stage, OrderId], Coroutine[None, None, None]]


class Request(NamedTuple):
    """How a test asks for it, and what the journal says of it."""

    ask: Asks
    asked: e.Asked
    call: fates.Call
    requested: type[Any]
    proves: type[Any]
    refused: type[Any]
    version: int | None


REQUESTS: Final = (
    Request(
        canceled, e.Asked.CANCEL, fates.Call.CANCEL,
        e.CancelRequested, e.OrderCanceled, e.CancelRejected, None,
    ),
    Request(
        replaced, e.Asked.REPLACE, fates.Call.REPLACE,
        e.ReplaceRequested, e.OrderReplaced, e.ReplaceRejected, 2,
    ),
)  # fmt: skip
each_request = pytest.mark.parametrize("one", REQUESTS, ids=lambda one: one.asked)


@each_request
async def test_what_proves_a_request_says_when_it_was_durable_and_when_it_left(one: Request) -> None:
    async with Stage() as stage:
        order = await working(stage)
        began = stage.clock.now()
        stage.journal.hold()
        asking = asyncio.create_task(one.ask(stage, order))
        await let_run()
        await stage.clock.move(2)
        stage.journal.release()
        await asking
        await stage.until(lambda: kept(stage, one.proves))
        (request,), (proof,) = kept(stage, one.requested), kept(stage, one.proves)
        assert request.at == began
        assert proof.committed_at == began + timedelta(seconds=2)
        assert proof.committed_at <= proof.sent_at <= proof.at
        assert not kept(stage, e.OrderSent), "the time is an event of its own"


@each_request
async def test_a_refused_request_has_left_as_well(one: Request) -> None:
    script = fates.Script()
    script.add(one.call, fates.TurnedAway("too late"))
    async with Stage(fate=script) as stage:
        order = await working(stage)
        await one.ask(stage, order)
        await stage.until(lambda: kept(stage, one.refused))
        (refused,) = kept(stage, one.refused)
        assert refused.committed_at <= refused.sent_at <= refused.at
        assert not kept(stage, e.OrderSent)


@each_request
async def test_an_unanswered_request_has_left_in_the_same_commit_as_the_doubt(one: Request) -> None:
    script = fates.Script()
    script.add(one.call, fates.LostCall())
    async with Stage(fate=script) as stage:
        order = await working(stage)
        await one.ask(stage, order)
        await stage.until(lambda: kept(stage, e.OutcomeUnknown))
        (sent,) = kept(stage, e.OrderSent)
        assert (sent.order_id, sent.asked, sent.version) == (order, one.asked, one.version)
        kinds = [type(entry.event) for entry, _ in stage.journal.books[ACCOUNT].events]
        assert kinds.index(e.OutcomeUnknown) == kinds.index(e.OrderSent) + 1


@each_request
async def test_a_request_that_did_not_leave_was_not_sent(one: Request) -> None:
    script = fates.Script()
    script.add(one.call, fates.NotSent())
    async with Stage(fate=script) as stage:
        order = await working(stage)
        await one.ask(stage, order)
        ends = e.OutcomeUnknown if one.asked is e.Asked.CANCEL else one.refused
        await stage.until(lambda: kept(stage, ends))
        assert not kept(stage, e.OrderSent)
        assert all(event.sent_at is None for event in kept(stage, one.refused))


@each_request
async def test_where_the_stream_was_quicker_the_request_is_an_event_of_its_own(one: Request) -> None:
    async with Stage(latency_s=0.25) as stage:
        order = await working(stage)
        await stage.until(lambda: kept(stage, e.OrderSent))
        await one.ask(stage, order)
        await stage.until(lambda: len(kept(stage, e.OrderSent)) == 2)
        (proof,), (_, sent) = kept(stage, one.proves), kept(stage, e.OrderSent)
        assert proof.sent_at is None
        assert (sent.order_id, sent.asked, sent.version) == (order, one.asked, one.version)
        assert sent.committed_at <= sent.sent_at <= proof.at < sent.at


@pytest.mark.parametrize("latency_s", [0.0, 0.25], ids=["answer first", "stream first"])
async def test_one_cancel_for_everything_left_for_each_of_its_orders(latency_s: float) -> None:
    async with Stage(cancels_all=True, latency_s=latency_s) as stage:
        orders = [await working(stage) for _ in range(3)]
        await stage.until(lambda: not latency_s or len(kept(stage, e.OrderSent)) == 3)
        began = stage.clock.now()
        await engage(stage, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await stage.until(lambda: all(stage.status(order) == "canceled" for order in orders))
        await stage.until(lambda: len(cancels_sent(stage)) == 3)
        assert sorted(cancels_sent(stage)) == sorted(orders)
        assert {sent >= began for sent in cancels_sent(stage).values()} == {True}


def cancels_sent(stage: Stage) -> dict[OrderId, datetime]:
    alone = [one for one in kept(stage, e.OrderSent) if one.asked is e.Asked.CANCEL]
    return {one.order_id: one.sent_at for one in [*kept(stage, e.OrderCanceled), *alone] if one.sent_at}


async def test_a_cancel_that_nothing_proves_is_said_with_the_next_event_or_soon_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Stage() as stage:
        first, second = await working(stage), await working(stage)
        monkeypatch.setattr(stage.exchange, "cancel", received_only)
        await canceled(stage, first)
        await canceled(stage, second)
        assert not kept(stage, e.OrderSent)
        known_as = str(stage.lane.books.order(first).broker_order_id)  # type: ignore[union-attr]  # it works
        stage.exchange.fill(known_as, Decimal(1), Decimal(4700))
        await let_run()
        kinds = [type(entry.event) for entry, _ in stage.journal.books[ACCOUNT].events]
        assert kinds[-2:] == [e.OrderSent, e.OrderFilled]
        await stage.until(lambda: len(kept(stage, e.OrderSent)) == 2, within_s=3)
        assert [sent.order_id for sent in kept(stage, e.OrderSent)] == [first, second]


async def test_what_stops_in_good_order_says_what_it_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    await stage.start()
    order = await working(stage)
    monkeypatch.setattr(stage.exchange, "cancel", received_only)
    await canceled(stage, order)
    await let_run()
    await stage.node.stop()
    (sent,) = kept(stage, e.OrderSent)
    assert (sent.order_id, sent.asked) == (order, e.Asked.CANCEL)


@pytest.mark.parametrize("refusals", [0, 1], ids=["taken", "refused and taken"])
async def test_an_order_that_is_sent_again_says_when_it_left_each_time(refusals: int) -> None:
    script = fates.Script()
    script.add(fates.Call.PLACE, fates.LostCall(), *[fates.TurnedAway("no such account")] * refusals)
    async with Stage(fate=script) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        left = [one.sent_at for one in kept(stage, e.OrderSent | e.OrderAcknowledged) if one.sent_at]
        begun = [one.at for one in kept(stage, e.DispatchStarted)]
        assert len(left) == 1 + len(begun) == 2 + refusals
        assert all(started <= sent for started, sent in zip(begun, left[1:], strict=True))
        assert left == sorted(left)
