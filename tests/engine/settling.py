"""What these tests look at when two sets of books differ, and how a person settles it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from ordergate.core.accounts.breaks import Action, Break
from ordergate.core.ids import OrderId, cl_ord_id
from ordergate.core.orders import reports as r
from ordergate.core.refusals import Refusal
from ordergate.engine.answering.answers import Answer, BreakAnswer
from ordergate.ports.broker import News
from tests.engine.stage import ES, TRADER, Stage


def held_breaks(stage: Stage) -> list[Break]:
    """The open and the dismissed ones."""
    account = stage.lane.books.account
    assert account is not None
    return list(account.breaks.values())


def natures(stage: Stage) -> list[str]:
    return sorted(item.nature for item in held_breaks(stage) if item.is_open)


def only_break(stage: Stage) -> Break:
    (item,) = held_breaks(stage)
    return item


def shown(stage: Stage, break_id: str) -> dict[str, Any]:
    """The break as its read table has it."""
    rows = [books.breaks for books in stage.journal.books.values()]
    body = next(rows[break_id].body for rows in rows if break_id in rows)
    found: dict[str, Any] = msgspec.json.decode(body)
    return found


async def resolve(
    stage: Stage,
    break_id: str,
    action: Action,
    *,
    reason: str = "looked at both sides",
    key: str | None = None,
) -> BreakAnswer | Refusal:
    return await stage.node.breaks.resolve(
        TRADER, break_id, action=action, reason=reason, key=key or stage.key(), correlation="test"
    )


def code(answer: object) -> str:
    """The refusal's code; anything else is a defect of the test."""
    assert isinstance(answer, Refusal), answer
    return answer.code


def refused_controls(answer: Answer | Refusal) -> list[tuple[str, str]]:
    assert isinstance(answer, Answer), answer
    return [(failed.control, failed.reason) for failed in answer.failed]


async def working(stage: Stage, quantity: int = 1) -> tuple[OrderId, str]:
    """An order at the broker: our id and the broker's."""
    order = await stage.accepted(quantity=quantity)
    await stage.until(lambda: stage.status(order) == "working")
    return order, list(stage.exchange.orders())[-1].id


def drift(stage: Stage, quantity: int) -> None:
    """The broker's position moves by itself; nothing is told."""
    stage.exchange.ledger.book(ES, Decimal(quantity), Decimal(4800))


def canceled_news(order: OrderId, broker_order_id: str) -> News:
    """What the stream says of an order that somebody canceled."""
    told_as = cl_ord_id(order, 1)
    return News(r.CanceledReport(cl_ord_id=told_as, version=1, broker_order_id=broker_order_id))


async def replaced(stage: Stage, order: OrderId, *, quantity: int) -> None:
    answer = await stage.gate.replace(
        TRADER,
        order,
        quantity=Decimal(quantity),
        limit_price=None,
        stop_price=None,
        key=stage.key(),
        correlation="test",
    )
    assert isinstance(answer, Answer), answer
