"""Alpaca's documents as these tests need them: complete, and changed where a test says so."""

from __future__ import annotations

from typing import Any, Final

Document = dict[str, Any]

BROKER_ID: Final = "61e69015-8549-4bfd-b9c3-01e75843f47d"
EXECUTION: Final = "2d7be4ff-d1f3-43e9-856a-0f5cf5c5088e"
ASSET: Final = "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415"
NULLS: Final = (
    "filled_at", "expired_at", "canceled_at", "failed_at", "replaced_at", "replaced_by", "replaces",
    "notional", "filled_avg_price", "stop_price", "legs", "trail_percent", "trail_price", "hwm",
)  # fmt: skip


def order(name: str, **changes: Any) -> Document:
    return {
        **dict.fromkeys(NULLS),
        "id": BROKER_ID,
        "client_order_id": name,
        "created_at": "2024-03-01T14:30:00.123456789Z",
        "updated_at": "2024-03-01T14:30:00.123456789Z",
        "submitted_at": "2024-03-01T14:30:00.123456789Z",
        "asset_id": ASSET,
        "symbol": "ACME",
        "asset_class": "us_equity",
        "qty": "10",
        "filled_qty": "0",
        "order_class": "",
        "order_type": "limit",
        "type": "limit",
        "side": "buy",
        "time_in_force": "day",
        "limit_price": "10",
        "status": "new",
        "extended_hours": False,
        **changes,
    }


def update(event: str, of: Document, **changes: Any) -> Document:
    return {
        "stream": "trade_updates",
        "data": {
            "event": event,
            "execution_id": EXECUTION,
            "timestamp": "2024-03-01T14:30:01.5Z",
            "order": of,
            **changes,
        },
    }


def fill(number: int, **changes: Any) -> Document:
    return {
        "activity_type": "FILL",
        "id": f"20240301143001{number:03d}::{EXECUTION[:-3]}{number:03d}",
        "order_id": BROKER_ID,
        "symbol": "ACME",
        "side": "buy",
        "type": "partial_fill",
        "qty": "1",
        "price": "10.01",
        "cum_qty": "1",
        "leaves_qty": "9",
        "transaction_time": "2024-03-01T14:30:01.5Z",
        "order_status": "partially_filled",
        **changes,
    }


def account(**changes: Any) -> Document:
    return {
        "id": "e6fe16f3-64a4-4921-8928-cadf02f92f98",
        "account_number": "010203ABCD",
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": "USD",
        "cash": "-23140.2",
        "buying_power": "262113.632",
        "trading_blocked": False,
        "account_blocked": False,
        "transfers_blocked": False,
        "trade_suspended_by_user": False,
        **changes,
    }


def position(symbol: str, qty: str, side: str, asset_class: str = "us_equity") -> Document:
    return {
        "asset_id": ASSET,
        "symbol": symbol,
        "exchange": "NASDAQ",
        "asset_class": asset_class,
        "qty": qty,
        "side": side,
        "avg_entry_price": "100.0",
    }


def error(message: str, code: int | None = 40010001) -> Document:
    return {"message": message} if code is None else {"code": code, "message": message}
