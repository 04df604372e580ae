"""Requests that are right, for tests to bend."""

from __future__ import annotations

import itertools
from typing import Any

_keys = itertools.count(1)


def a_key() -> dict[str, str]:
    return {"idempotency-key": f"test-key-{next(_keys):08d}"}


def an_order(**changed: Any) -> dict[str, Any]:
    """A limit order; None takes a field out."""
    order: dict[str, Any] = {
        "account_id": "P-DEMO",
        "symbol": "ESM4",
        "side": "buy",
        "type": "limit",
        "quantity": "3",
        "limit_price": "4800.25",
        "time_in_force": "day",
        **changed,
    }
    return {name: value for name, value in order.items() if value is not None}
