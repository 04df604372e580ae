"""An order from elsewhere without a quantity has what is filled, and is complete when the broker says so."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ordergate.core.orders import events as e
from ordergate.core.orders import reports as r
from ordergate.core.orders.absorb import proven
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.reconcile import proofs
from ordergate.core.risk.exposure import held_by
from tests.core.examples import NOW, folded, ids, terms
from tests.core.execution_reports import AT, bust, correct, fill, hear, seen
from tests.core.risk_examples import INSTRUMENTS


def adopted(*executions: e.BookedExecution) -> Order:
    return folded(
        e.OrderAdopted(
            order_id=ids(),
            at=NOW,
            terms=terms(),
            broker_order_id="b-1",
            broker_client_order_id="theirs",
            executions=executions,
            inexpressible="for a value",
            unsized=True,
        )
    )


def shown(status: r.BrokerStatus, filled: int) -> r.OrderSnapshot:
    return r.OrderSnapshot(
        cl_ord_id="theirs",
        version=0,
        broker_order_id="b-1",
        status=status,
        terms=terms(),
        cum_qty=Decimal(filled),
        unsized=True,
    )


def test_it_begins_with_nothing() -> None:
    assert seen(adopted().terms.quantity, adopted().leaves_qty) == (0, 0)


def test_it_begins_with_what_the_account_was_opened_with() -> None:
    booked = e.BookedExecution(exec_id="x-0", revision=0, quantity=Decimal(4), price=Decimal(100))
    assert adopted(booked).terms.quantity == 4


def test_it_has_what_is_filled() -> None:
    order = hear(adopted(), fill(3), fill(40, "x-2"))
    assert seen(order.terms.quantity, order.cum_qty, order.is_overfilled) == (43, 43, False)


def test_no_fill_completes_it() -> None:
    assert hear(adopted(), fill(40)).status is Status.WORKING


def test_the_brokers_word_completes_it() -> None:
    order = hear(adopted(), fill(3))
    order = hear(order, *proofs(order, shown(r.BrokerStatus.FILLED, 3)))
    assert seen(order.status, order.terms.quantity) == (Status.FILLED, 3)


def test_it_is_not_complete_while_fills_of_it_are_missing() -> None:
    order = hear(adopted(), fill(3))
    assert hear(order, *proofs(order, shown(r.BrokerStatus.FILLED, 5))).status is Status.WORKING


def test_a_fill_after_its_end_is_booked_and_ends_it_no_second_time() -> None:
    order = hear(adopted(), fill(3))
    order = hear(order, *proofs(order, shown(r.BrokerStatus.FILLED, 3)))
    later = hear(order, fill(2, "x-2"))
    assert seen(later.status, later.cum_qty, later.terms.quantity) == (Status.FILLED, 5, 5)


@pytest.mark.parametrize("change", [bust(), correct(2, 1)], ids=["busted", "corrected"])
def test_what_changes_a_fill_neither_completes_nor_reopens_it(change: r.AnyReport) -> None:
    order = hear(adopted(), fill(3))
    assert hear(order, change).status is Status.WORKING
    ended = hear(order, *proofs(order, shown(r.BrokerStatus.FILLED, 3)))
    (only,) = proven(ended, change, AT)
    assert isinstance(only, e.ExecutionBusted | e.ExecutionCorrected)


def test_what_it_may_still_trade_is_worth_nobody_knows_how_much() -> None:
    order = hear(adopted(), fill(3))
    assert held_by(order, INSTRUMENTS[order.terms.symbol]).value is None
