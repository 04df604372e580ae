"""An order that has ended with us and works at the broker is canceled there, on a person's word."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ordergate.brokers.paper import fates
from ordergate.core.accounts.breaks import Action
from ordergate.core.ids import OrderId
from ordergate.core.orders import reports as r
from ordergate.engine.answering.answers import BreakAnswer
from ordergate.ports.broker import DedupClass, News
from tests.engine.settling import code, held_breaks, natures, only_break, resolve, shown
from tests.engine.stage import TRADER, Stage
from tests.engine.test_closing_orders import CLASSES, PLACED, Placed, ask_for_more, own

REASON = "it must not trade"


async def split(stage: Stage, placed: Placed = own) -> tuple[OrderId, str, str]:
    """Ended with us and open there: our order, the broker's, and the break."""
    order, theirs = await placed(stage)
    held = stage.lane.books.order(order)
    assert held is not None
    name = theirs if stage.broker.capabilities.dedup is DedupClass.C else held.known_as(held.version)
    stage.broker.stream._say(
        News(r.CanceledReport(cl_ord_id=name, version=held.version, broker_order_id=theirs))
    )
    await stage.until(lambda: stage.status(order) == "canceled")
    await stage.until(lambda: natures(stage) == ["order_status"])
    return order, theirs, only_break(stage).id


def said(stage: Stage, break_id: str) -> list[tuple[str, str, str]]:
    """What was done about it: by whom, and in which words."""
    steps: list[dict[str, Any]] = shown(stage, break_id)["history"]
    return [(step["what"], step["actor"], step["note"]) for step in steps[1:]]


@PLACED
@CLASSES
async def test_the_broker_is_asked_to_cancel_it_and_the_break_ends_when_it_is_gone(
    dedup: DedupClass, placed: Placed
) -> None:
    async with Stage(dedup=dedup) as stage:
        _, theirs, broken = await split(stage, placed)
        assert only_break(stage).allowed_actions == (Action.CANCEL_ORDER, Action.DISMISS)
        answer = await resolve(stage, broken, Action.CANCEL_ORDER, reason=REASON)
        assert isinstance(answer, BreakAnswer)
        assert msgspec.json.decode(answer.body)["state"] == "open"
        await stage.until(lambda: held_breaks(stage) == [])
        at_exchange = stage.exchange.order(theirs)
        assert at_exchange is not None
        assert at_exchange.status == "canceled"
        assert said(stage, broken) == [
            ("cancel_asked", TRADER.subject, f"{theirs}: {REASON}"),
            ("cancel_answered", "broker", "took it"),
            ("healed", "reconciler", "order-gone: the broker's list of open orders has it no more"),
        ]


@pytest.mark.parametrize("dedup", [DedupClass.A, DedupClass.B])
async def test_a_replacement_that_shows_up_after_its_order_was_closed_is_canceled(dedup: DedupClass) -> None:
    def fate(call: fates.Call) -> fates.Fate:
        return fates.LostAnswer() if call is fates.Call.REPLACE else fates.Delivered()

    async with Stage(dedup=dedup, fate=fate) as stage:
        order, first = await own(stage)
        stage.hidden.add(first)
        stage.broker.stream.copies = lambda _: 0
        await ask_for_more(stage, order)
        (_, second) = stage.exchange.orders()
        stage.hidden.add(second.id)
        await stage.until(lambda: natures(stage) == ["order_status"])
        assert isinstance(await resolve(stage, only_break(stage).id, Action.CLOSE_ORDER), BreakAnswer)
        stage.hidden.clear()
        await stage.until(lambda: natures(stage) == ["order_status"])
        assert isinstance(await resolve(stage, only_break(stage).id, Action.CANCEL_ORDER), BreakAnswer)
        await stage.until(lambda: held_breaks(stage) == [])
        assert at_the_broker(stage, second.id) == "canceled"


@pytest.mark.parametrize(
    ("fate", "told"),
    [
        (fates.TurnedAway("too late to cancel"), "refused it: too late to cancel"),
        (fates.LostCall(), "did not answer: the call was lost"),
        (fates.NotSent(), "was not asked: no connection"),
    ],
    ids=["refused", "unknown", "unsent"],
)
async def test_what_the_broker_answers_is_written_down_and_the_break_stays(
    fate: fates.Fate, told: str
) -> None:
    async with Stage(fate=lambda call: fate if call is fates.Call.CANCEL else fates.Delivered()) as stage:
        _, _, broken = await split(stage)
        assert isinstance(await resolve(stage, broken, Action.CANCEL_ORDER), BreakAnswer)
        await stage.until(lambda: said(stage, broken)[-1] == ("cancel_answered", "broker", told))
        assert natures(stage) == ["order_status"]


async def test_nothing_is_asked_where_the_broker_holds_it_open_no_more() -> None:
    async with Stage() as stage:
        _, theirs, broken = await split(stage)
        stage.exchange.cancel(theirs)
        assert code(await resolve(stage, broken, Action.CANCEL_ORDER)) == "break-changed"
        assert said(stage, broken) == []


async def test_the_same_key_asks_once_and_another_asks_again() -> None:
    asked: list[fates.Call] = []

    def fate(call: fates.Call) -> fates.Fate:
        asked.append(call)
        return fates.LostCall() if call is fates.Call.CANCEL else fates.Delivered()

    async with Stage(fate=fate) as stage:
        _, _, broken = await split(stage)
        key = stage.key()
        for _ in range(2):
            assert isinstance(await resolve(stage, broken, Action.CANCEL_ORDER, key=key), BreakAnswer)
        assert isinstance(await resolve(stage, broken, Action.CANCEL_ORDER), BreakAnswer)
        await stage.until(lambda: asked.count(fates.Call.CANCEL) == 2)
        await stage.until(lambda: len(said(stage, broken)) == 4)


async def test_an_order_that_the_broker_denies_cannot_be_canceled_there() -> None:
    async with Stage() as stage:
        _, theirs = await own(stage)
        stage.hidden.add(theirs)
        await stage.until(lambda: natures(stage) == ["order_status"])
        refused = await resolve(stage, only_break(stage).id, Action.CANCEL_ORDER)
        assert code(refused) == "action-not-allowed"


async def test_what_fills_before_the_cancel_is_booked() -> None:
    async with Stage() as stage:
        order, theirs, broken = await split(stage)
        stage.exchange.fill(theirs, Decimal(1), Decimal(4700))
        await stage.until(lambda: (held := stage.lane.books.order(order)) and held.cum_qty == 1)
        assert isinstance(await resolve(stage, broken, Action.CANCEL_ORDER), BreakAnswer)
        await stage.until(lambda: held_breaks(stage) == [])


async def test_an_ask_outlives_a_restart_in_the_breaks_history() -> None:
    async with Stage(
        fate=lambda call: fates.LostCall() if call is fates.Call.CANCEL else fates.Delivered()
    ) as stage:
        _, theirs, broken = await split(stage)
        await resolve(stage, broken, Action.CANCEL_ORDER, reason=REASON)
        await stage.until(lambda: len(said(stage, broken)) == 2)
        await stage.restart()
        item = only_break(stage)
        assert [step.what for step in item.history] == ["opened", "cancel_asked", "cancel_answered"]
        assert item.history[1].note == f"{theirs}: {REASON}"


async def test_a_cancel_that_was_answered_as_asked_for_is_asked_after_a_death_before_it_left() -> None:
    async with Stage() as stage:
        _, theirs, broken = await split(stage)

        async def never(*_: Any) -> Any:
            await asyncio.Event().wait()

        stage.broker.cancel = never  # type: ignore[method-assign, assignment]  # as a process that dies
        assert isinstance(await resolve(stage, broken, Action.CANCEL_ORDER), BreakAnswer)

        await stage.restart()

        await stage.until(lambda: at_the_broker(stage, theirs) == "canceled")
        await stage.until(lambda: natures(stage) == [])


def at_the_broker(stage: Stage, order_id: str) -> str:
    found = stage.exchange.order(order_id)
    assert found is not None
    return found.status
