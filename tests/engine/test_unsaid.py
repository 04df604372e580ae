"""What left is said once, with the first event that has room for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ordergate.core.ids import Env, OrderId, order_id
from ordergate.core.orders import events as e
from ordergate.engine.accounts import unsaid
from tests.engine.stage import START

ORDER, OTHER = (order_id(Env.PAPER, at_ms=1, entropy=number) for number in (1, 2))


def sent(asked: e.Asked, version: int | None = None, order: OrderId = ORDER) -> e.OrderSent:
    return e.OrderSent(
        order_id=order, at=START, sent_at=START, committed_at=START, asked=asked, version=version
    )


CANCEL, REPLACE = sent(e.Asked.CANCEL), sent(e.Asked.REPLACE, 2)
CANCELED = e.OrderCanceled(order_id=ORDER, at=START, evidence="told")
REJECTED = e.CancelRejected(order_id=ORDER, at=START, reason="late")
REPLACED = e.OrderReplaced(order_id=ORDER, at=START, version=2, broker_order_id="b")
EARLIER = e.OrderReplaced(order_id=ORDER, at=START, version=1, broker_order_id="b")
REFUSED = e.ReplaceRejected(order_id=ORDER, at=START, version=2, reason="late")
EXPIRED = e.OrderExpired(order_id=ORDER, at=START, evidence="told")


@pytest.mark.parametrize(
    ("left", "event"),
    [(CANCEL, CANCELED), (CANCEL, REJECTED), (REPLACE, REPLACED), (REPLACE, REFUSED)],
    ids=lambda one: type(one).__name__,
)
def test_the_event_that_answers_says_it_in_itself(left: e.OrderSent, event: e.AnyOrderEvent) -> None:
    waiting = unsaid.Unsaid()
    assert waiting.keep(left)
    (said,) = waiting.said_with([event])
    assert (said.sent_at, said.committed_at) == (START, START)  # type: ignore[union-attr]  # they have both
    assert waiting.said_with([event]) == [event]


@pytest.mark.parametrize(
    ("left", "event"),
    [(CANCEL, EXPIRED), (CANCEL, REPLACED), (REPLACE, CANCELED), (REPLACE, EARLIER)],
    ids=lambda one: type(one).__name__,
)
def test_before_any_other_it_is_an_event(left: e.OrderSent, event: e.AnyOrderEvent) -> None:
    waiting = unsaid.Unsaid()
    waiting.keep(left)
    assert waiting.said_with([event]) == [left, event]


def test_an_event_of_another_order_says_nothing_of_it() -> None:
    waiting = unsaid.Unsaid()
    waiting.keep(sent(e.Asked.CANCEL, order=OTHER))
    assert waiting.said_with([CANCELED]) == [CANCELED]
    assert len(waiting) == 1


def test_what_waits_too_long_is_said_once_and_alone() -> None:
    waiting = unsaid.Unsaid()
    waiting.keep(CANCEL)
    assert waiting.overdue(START - timedelta(seconds=1)) == []
    assert waiting.said_with(waiting.overdue(START)) == [CANCEL]
    assert waiting.overdue(START) == []


def test_there_is_room_for_one_of_each_order_and_for_no_more_than_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = unsaid.Unsaid()
    assert waiting.keep(CANCEL)
    assert not waiting.keep(REPLACE)
    assert waiting.said_with([REPLACE]) == [CANCEL, REPLACE]
    monkeypatch.setattr(unsaid, "UNSAID_MAX", 1)
    assert waiting.keep(CANCEL)
    assert not waiting.keep(sent(e.Asked.CANCEL, order=OTHER))
