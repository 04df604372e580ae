"""The hash of what an order says."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ordergate.core.ids import AccountId, OrderId, Symbol
from ordergate.core.orders.content import content_hash
from ordergate.core.orders.terms import OrderType, Side, TimeInForce
from tests.core.examples import ids, terms

CHANGES: dict[str, Any] = {
    "account": AccountId("P-OTHER"),
    "symbol": Symbol("OTHER"),
    "side": Side.SELL,
    "type": OrderType.STOP_LIMIT,
    "quantity": Decimal("10.1"),
    "limit_price": Decimal("100.01"),
    "stop_price": Decimal(99),
    "time_in_force": TimeInForce.IOC,
    "client_order_id": "another",
    "strategy": "another",
    "extended_hours": True,
    "strategy_version": "2",
    "user": "anna",
    "venue": "XCME",
}


@pytest.mark.parametrize("field", CHANGES)
def test_every_term_counts(field: str) -> None:
    changed = msgspec.structs.replace(terms(), **{field: CHANGES[field]})
    assert changed != terms()
    assert content_hash(ids(), 1, changed) != content_hash(ids(), 1, terms())


def test_the_order_and_its_version_count() -> None:
    one = content_hash(ids(), 1, terms())
    assert one == content_hash(ids(), 1, terms())
    assert len({one, content_hash(ids(), 2, terms()), content_hash(OrderId("P-X"), 1, terms())}) == 3


def test_every_field_of_the_terms_is_looked_at_here() -> None:
    """A field that a later release adds is to be added to CHANGES."""
    assert set(CHANGES) == set(terms().__struct_fields__)
