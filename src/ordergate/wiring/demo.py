"""What `ordergate run` starts with in an empty folder: a venue, an account with sane limits.

Plain data only. It is written to files once and read back ever after, so that what a person
changes there stays changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from ordergate.core.ids import AccountId

ACCOUNT: Final = AccountId("P-DEMO")
CLIENT_ID: Final = "demo"
CLIENT_SECRET: Final = Path("secrets") / "demo-client"
"""Where a data folder keeps it."""
VENUE_ACCOUNT: Final = "demo"
CASH: Final = "1000000"

INSTRUMENTS: Final[list[dict[str, str]]] = [
    {
        "symbol": "ESH4",
        "name": "E-mini S&P 500, March 2024",
        "asset_class": "future",
        "currency": "USD",
        "tick": "0.25",
        "lot": "1",
        "multiplier": "50",
        "calendar": "CMES",
    },
    {
        "symbol": "AAPL",
        "name": "Apple Inc.",
        "asset_class": "equity",
        "currency": "USD",
        "tick": "0.01",
        "lot": "1",
        "multiplier": "1",
        "calendar": "XNYS",
    },
    {
        "symbol": "MSFT",
        "name": "Microsoft Corporation",
        "asset_class": "equity",
        "currency": "USD",
        "tick": "0.01",
        "lot": "1",
        "multiplier": "1",
        "calendar": "XNYS",
    },
    {
        "symbol": "BTC/USD",
        "name": "Bitcoin in US dollars",
        "asset_class": "crypto",
        "currency": "USD",
        "tick": "0.01",
        "lot": "0.0001",
        "multiplier": "1",
        "calendar": "24/7",
    },
]

LIMITS: Final[dict[str, Any]] = {
    "version": 1,
    "enabled": True,
    "max_open_orders": 500,
    "max_open_notional": "50000000",
    "message_windows": [[50, 1], [1000, 60]],
    "cancel_windows": [[100, 1]],
    "order_types": ["market", "limit", "stop", "stop_limit"],
    "sides": ["buy", "sell"],
    "times_in_force": ["day", "gtc", "ioc", "fok"],
    "duplicate_window_s": "1",
    "duplicate_soft_window_s": "1",
    "reference_price_max_age_s": "60",
    "buying_power_max_age_s": "300",
    "instruments": {
        "ESH4": {
            "max_order_quantity": "20",
            "max_order_notional": "6000000",
            "max_long": "50",
            "max_short": "50",
            "collar_percent": "2",
            "initial_margin": "12000",
        },
        "AAPL": {
            "max_order_quantity": "1000",
            "max_order_notional": "300000",
            "max_long": "5000",
            "max_short": "5000",
            "collar_percent": "5",
        },
        "MSFT": {
            "max_order_quantity": "1000",
            "max_order_notional": "600000",
            "max_long": "5000",
            "max_short": "5000",
            "collar_percent": "5",
        },
        "BTC/USD": {
            "max_order_quantity": "5",
            "max_order_notional": "500000",
            "max_long": "10",
            "max_short": "0",
            "collar_percent": "5",
        },
    },
}


def gateway_plain(data_dir: Path, *, port: int, venue_url: str) -> dict[str, Any]:
    """The gateway's settings as plain data. Secrets are in files beside them."""
    secrets = data_dir / "secrets"
    return {
        "environment": "paper",
        "data_dir": str(data_dir),
        "port": port,
        "shown": ["documentation", "metrics"],  # to one person on one machine
        "instruments": INSTRUMENTS,
        "brokers": {
            "venue": {
                "kind": "alpaca",
                "url": venue_url,
                "key": {"file": str(secrets / "venue-key")},
                "secret": {"file": str(secrets / "venue-secret")},
                "requests_per_minute": 0,
                # Proven against this venue by the test suite.
                "resend_is_safe": True,
                "replace_keeps_fills": True,
                "prices": [
                    {"feed": "v2/iex", "symbols": ["ESH4", "AAPL", "MSFT"]},
                    {"feed": "v1beta3/crypto/us", "symbols": ["BTC/USD"]},
                ],
            }
        },
        "accounts": {str(ACCOUNT): {"broker": "venue", "limits": LIMITS}},
        "kill_switch": {"two_persons": False},  # one person, one machine
    }


def venue_plain(
    data_dir: Path, *, port: int, key: str, secret: str, recorded: list[Path], speed: float
) -> dict[str, Any]:
    """The venue's settings as plain data; ES plays the recorded day where there is one."""
    es_tape: dict[str, Any] = (
        {"type": "dbn", "symbol": "ESH4", "paths": [str(path) for path in recorded]}
        if recorded
        else {"type": "synthetic", "symbol": "ESH4", "price": "4800.00"}
    )
    return {
        "port": port,
        "data_dir": str(data_dir / "venue"),
        "accounts": [{"id": VENUE_ACCOUNT, "key": key, "secret": secret, "cash": CASH}],
        "listings": [_listing(one) for one in INSTRUMENTS],
        "tapes": [
            es_tape,
            {"type": "synthetic", "symbol": "AAPL", "price": "190.00"},
            {"type": "synthetic", "symbol": "MSFT", "price": "370.00"},
            {"type": "synthetic", "symbol": "BTC/USD", "price": "43000.00"},
        ],
        "speed": speed,
        "rate_limit": 0,
    }


def _listing(one: dict[str, str]) -> dict[str, str]:
    kinds = {"future": "future", "equity": "us_equity", "crypto": "crypto"}
    listing = {name: one[name] for name in ("symbol", "name", "tick", "lot", "multiplier", "currency")}
    listing["asset_class"] = kinds[one["asset_class"]]
    if listing["asset_class"] == "future":
        listing["margin"] = "12000"
    return listing
