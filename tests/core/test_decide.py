"""Commands are judged against the order as it is; what cannot be is refused with a code."""

from decimal import Decimal

import msgspec
import pytest

from ordergate.core.ids import VERSION_MAX
from ordergate.core.orders import events as e
from ordergate.core.orders.commands import CancelOrder, ReplaceOrder
from ordergate.core.orders.decide import decide_cancel, decide_replace
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, Replacement, evolve
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code, Refusal
from tests.core.examples import (
    NOW,
    accepted,
    acknowledged,
    filled,
    folded,
    ids,
    replace_requested,
    terms,
    working,
)

CANCEL = CancelOrder(order_id=ids(), actor="trader", asked_at=NOW)
CANCEL_REQUESTED = e.CancelRequested(order_id=ids(), at=NOW, actor="trader")
UNKNOWN = e.OutcomeUnknown(order_id=ids(), at=NOW, asked=e.Asked.PLACE, why="timeout")


def replace(quantity: int | None = None, limit: int | None = None, stop: int | None = None) -> ReplaceOrder:
    return ReplaceOrder(
        order_id=ids(),
        quantity=None if quantity is None else Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        stop_price=None if stop is None else Decimal(stop),
        actor="trader",
        asked_at=NOW,
    )


ORDERS = {
    Status.ACCEPTED: folded(accepted()),
    Status.UNKNOWN: folded(accepted(), UNKNOWN),
    Status.WORKING: working(),
    Status.PENDING_CANCEL: folded(accepted(), acknowledged(), CANCEL_REQUESTED),
    Status.PENDING_REPLACE: folded(accepted(), acknowledged(), replace_requested(20)),
    Status.CANCELED: folded(accepted(), e.OrderCanceled(order_id=ids(), at=NOW, evidence="b-1")),
}


@pytest.mark.parametrize(
    "status", [Status.ACCEPTED, Status.UNKNOWN, Status.WORKING, Status.PENDING_REPLACE], ids=str
)
def test_anything_open_can_be_canceled_once(status: Status) -> None:
    order = ORDERS[status]
    event = decide_cancel(order, CANCEL)
    assert isinstance(event, e.CancelRequested)
    again = decide_cancel(evolve(order, event), CANCEL)
    assert isinstance(again, Refusal)
    assert again.code is Code.ORDER_PENDING


@pytest.mark.parametrize("status", ORDERS, ids=str)
def test_an_order_that_is_not_as_it_was_seen_says_so_before_anything_else(status: Status) -> None:
    order = ORDERS[status]
    for seen in (order.revision - 1, order.revision + 1):
        for answer in (
            decide_cancel(order, msgspec.structs.replace(CANCEL, if_revision=seen)),
            decide_replace(order, msgspec.structs.replace(replace(5), if_revision=seen)),
        ):
            assert isinstance(answer, Refusal)
            assert answer.code is Code.CHANGE_OUTDATED
            assert answer.fields == {"revision": str(order.revision)}


@pytest.mark.parametrize("status", ORDERS, ids=str)
def test_an_order_that_is_as_it_was_seen_is_judged_as_ever(status: Status) -> None:
    order = ORDERS[status]
    cancel = msgspec.structs.replace(CANCEL, if_revision=order.revision)
    assert decide_cancel(order, cancel) == decide_cancel(order, CANCEL)
    asked = msgspec.structs.replace(replace(5), if_revision=order.revision)
    assert decide_replace(order, asked) == decide_replace(order, replace(5))


def test_every_event_is_another_revision() -> None:
    order = working()
    assert order.revision == 2
    after = evolve(order, e.OrderSent(order_id=order.id, at=order.updated_at, sent_at=NOW))
    assert after.revision == 3
    assert msgspec.structs.replace(after, revision=2) == order


def test_what_is_final_can_neither_be_canceled_nor_replaced() -> None:
    for answer in (
        decide_cancel(ORDERS[Status.CANCELED], CANCEL),
        decide_replace(ORDERS[Status.CANCELED], replace(5)),
    ):
        assert isinstance(answer, Refusal)
        assert answer.code is Code.ORDER_FINAL


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.ACCEPTED, Code.ORDER_PENDING),
        (Status.UNKNOWN, Code.ORDER_UNKNOWN),
        (Status.PENDING_CANCEL, Code.ORDER_PENDING),
        (Status.PENDING_REPLACE, Code.ORDER_PENDING),
    ],
    ids=str,
)
def test_only_a_working_order_can_be_replaced(status: Status, code: Code) -> None:
    answer = decide_replace(ORDERS[status], replace(20))
    assert isinstance(answer, Refusal)
    assert answer.code is code


def test_a_replacement_keeps_what_it_does_not_change() -> None:
    assert decide_replace(working(terms(quantity=10, limit=100)), replace(limit=101)) == Replacement(
        version=2, quantity=Decimal(10), limit_price=Decimal(101), stop_price=None
    )


def test_a_replacement_that_changes_nothing_is_refused() -> None:
    for command in (replace(), replace(10, 100)):
        answer = decide_replace(working(), command)
        assert isinstance(answer, Refusal)
        assert answer.code is Code.NOTHING_TO_CHANGE


@pytest.mark.parametrize(
    ("asked", "command", "field"),
    [
        (terms(limit=None), replace(limit=100), "limit_price"),
        (terms(limit=100), replace(stop=100), "stop_price"),
        (terms(limit=None, stop=100), replace(limit=90), "limit_price"),
    ],
)
def test_a_price_that_the_type_has_not_is_refused(asked: Terms, command: ReplaceOrder, field: str) -> None:
    answer = decide_replace(working(asked), command)
    assert isinstance(answer, Refusal)
    assert answer.code is Code.INVALID
    assert list(answer.fields) == [field]


@pytest.mark.parametrize(("quantity", "fits"), [(3, False), (4, False), (5, True)])
def test_a_replacement_must_leave_something_to_fill(quantity: int, fits: bool) -> None:
    order = evolve(working(), filled(4))
    answer = decide_replace(order, replace(quantity))
    assert isinstance(answer, Replacement) is fits


def test_a_refused_replacements_version_is_never_used_again() -> None:
    order = folded(
        accepted(),
        acknowledged(),
        replace_requested(20, version=2),
        e.ReplaceRejected(order_id=ids(), at=NOW, version=2, reason="too late"),
    )
    answer = decide_replace(order, replace(30))
    assert isinstance(answer, Replacement)
    assert (order.version, answer.version) == (1, 3)


def test_an_order_whose_cancel_is_unanswered_cannot_be_replaced_even_while_it_works() -> None:
    order = folded(accepted(), UNKNOWN, CANCEL_REQUESTED, acknowledged())
    assert order.status is Status.WORKING
    answer = decide_replace(order, replace(20))
    assert isinstance(answer, Refusal)
    assert answer.code is Code.ORDER_PENDING


def test_a_refused_cancel_does_not_open_the_way_for_a_second_replacement() -> None:
    order = folded(
        accepted(),
        acknowledged(),
        replace_requested(20),
        CANCEL_REQUESTED,
        e.CancelRejected(order_id=ids(), at=NOW, reason="too late"),
    )
    assert order.replacement is not None
    answer = decide_replace(order, replace(30))
    assert isinstance(answer, Refusal)
    assert answer.code is Code.ORDER_PENDING


def test_versions_run_out_as_a_refusal_and_not_as_a_fault() -> None:
    order: Order = msgspec.structs.replace(working(), version=VERSION_MAX)
    answer = decide_replace(order, replace(20))
    assert isinstance(answer, Refusal)
    assert answer.code is Code.INVALID
