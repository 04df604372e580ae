"""When an order left is kept, whichever way its broker's answer came."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.orders import events as e
from ordergate.engine.answering.answers import Answer
from tests.engine.stage import ACCOUNT, START, Stage, let_run


def kept(stage: Stage, kind: type[Any]) -> list[Any]:
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
