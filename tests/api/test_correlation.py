"""What is logged of a request has the id that its client was told, also what becomes of its order later."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ordergate.api.requests import terms_in
from ordergate.brokers.paper import fates
from ordergate.core.ids import OrderId
from ordergate.core.orders.terms import Terms
from tests.api.asking import a_key, an_order
from tests.api.over_engine import deps_over
from tests.api.served import Served, serving
from tests.api.test_whole_answers import place
from tests.engine.stage import ACCOUNT, ES, Stage

ASKED = "asked-by-the-client"
ORDER = an_order(account_id=ACCOUNT, symbol=ES, limit_price="4700")
BODY = json.dumps(ORDER).encode()


@asynccontextmanager
async def losing() -> AsyncIterator[tuple[Stage, Served]]:
    """The API over an engine whose broker takes no order, and does not say so."""
    broker = Stage(fate=_lost_once(), resend_is_safe=False)
    async with broker as stage, serving(deps_over(stage)) as served:
        yield stage, served


def _lost_once() -> fates.Fates:
    broker = fates.Script()
    broker.add(fates.Call.PLACE, fates.LostCall("timeout"))
    return broker


async def unknown(stage: Stage, order: str) -> None:
    await stage.until(lambda: stage.status(OrderId(order)) == "unknown")


def said(logged: io.StringIO, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    return [line for line in lines if line["event"] == event]


async def test_a_dispatch_that_fails_is_logged_with_the_id_of_its_request(logged: io.StringIO) -> None:
    async with losing() as (stage, served), served.client() as client:
        headers = {**a_key(), "x-correlation-id": ASKED, "connection": "close"}
        answer = await client.post("/v1/orders", json=ORDER, headers=headers)
        await unknown(stage, answer.json()["id"])
    assert [line["correlation_id"] for line in said(logged, "outcome.unknown")] == [ASKED]


async def test_so_is_one_that_came_the_short_way(logged: io.StringIO) -> None:
    async with losing() as (stage, served):
        answer = await served.raw(place("a-key-of-the-short-way", body=BODY) + BODY)
        await unknown(stage, json.loads(answer.partition(b"\r\n\r\n")[2])["id"])
    assert [line["correlation_id"] for line in said(logged, "outcome.unknown")] == ["told-by-the-client"]


async def test_so_is_one_that_came_through_the_stream(logged: io.StringIO) -> None:
    """A command of the stream has an id of its own, which its events have too."""
    async with losing() as (stage, served), served.stream() as talk:
        await talk.send(type="place", id="1", idempotency_key="a-key-of-the-stream", order=ORDER)
        order = (await talk.until("answer"))["order"]["id"]
        await unknown(stage, order)
        (accepted,) = stage.listener.frames_of("order_accepted")
    assert [line["correlation_id"] for line in said(logged, "outcome.unknown")] == [
        accepted["correlation_id"]
    ]


async def test_a_repeat_is_logged_as_its_events_are(logged: io.StringIO) -> None:
    async with Stage(fate=_lost_once(), resend_is_safe=True) as stage:
        await stage.accepted()
        await stage.until(lambda: said(logged, "order.resent"))
        await stage.until(lambda: stage.listener.frames_of("dispatch_started"))
        started = stage.listener.frames_of("dispatch_started")
    assert said(logged, "order.resent")[0]["correlation_id"] == started[0]["correlation_id"]


async def test_news_is_logged_as_its_events_are(logged: io.StringIO) -> None:
    async with Stage() as stage:
        stage.exchange.submit("by-hand", _terms())
        await stage.until(lambda: stage.listener.frames_of("order_adopted"))
        (adopted,) = stage.listener.frames_of("order_adopted")
    assert said(logged, "order.adopted")[0]["correlation_id"] == adopted["correlation_id"]


def _terms() -> Terms:
    terms = terms_in(BODY)
    assert isinstance(terms, Terms)
    return terms
