"""The gateway as it is run for real, with a client of its own; what is measured is this process.

    python -m bench.subject settings.yaml

With SAMPLES in the environment, the places where its processor time goes are written to that file.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from bench.sampling import Sampler
from ordergate.core.access import Scope
from ordergate.core.ids import AccountId, Symbol
from ordergate.wiring.gateway import Gateway
from ordergate.wiring.serving import serve
from ordergate.wiring.settings import load

ACCOUNT: Final = AccountId("P-BENCH")
SYMBOL: Final = Symbol("ESH4")
CLIENT: Final = "bench"
NEIGHBOUR: Final = "neighbour"
POLL_S: Final = 0.02

# Every control judges every order; none of them is what ends a measurement.
LIMITS: Final[dict[str, Any]] = {
    "version": 1,
    "enabled": True,
    "max_open_orders": 10_000_000,
    "max_open_notional": "999999999999999",
    "message_windows": [[1_000_000, 1], [1_000_000, 60]],
    "cancel_windows": [[1_000_000, 1]],
    "order_types": ["market", "limit", "stop", "stop_limit"],
    "sides": ["buy", "sell"],
    "times_in_force": ["day", "gtc", "ioc", "fok"],
    "duplicate_window_s": "1",
    "duplicate_soft_window_s": "1",
    "reference_price_max_age_s": "5",
    "buying_power_max_age_s": "300",
    "instruments": {
        SYMBOL: {
            "max_order_quantity": "1000",
            "max_order_notional": "1000000000",
            "max_long": "999999999999",
            "max_short": "999999999999",
            "collar_percent": "5",
            "initial_margin": "0.01",
        }
    },
}

INSTRUMENT: Final[dict[str, str]] = {
    "symbol": SYMBOL,
    "name": "E-mini S&P 500, March 2024",
    "asset_class": "future",
    "currency": "USD",
    "tick": "0.25",
    "lot": "1",
    "multiplier": "50",
    "calendar": "24/7",
}


def settings_plain(folder: Path, *, port: int, broker_url: str, key: str) -> dict[str, Any]:
    """The gateway's settings as plain data. The address of the database is in DATABASE."""
    return {
        "environment": "paper",
        "data_dir": str(folder),
        "port": port,
        "database_url": {"environment": "DATABASE"},
        "instruments": [INSTRUMENT],
        "brokers": {
            "counterparty": {
                "url": broker_url,
                "key": {"environment": "BROKER_KEY"},
                "secret": {"environment": "BROKER_KEY"},
                "requests_per_minute": 0,
                "resend_is_safe": True,
                "prices": [{"feed": "v2/iex", "symbols": [SYMBOL]}],
            }
        },
        "accounts": {ACCOUNT: {"broker": "counterparty", "limits": LIMITS}},
        # Orders of a measurement stay open; to list them all again is not what is measured.
        "reconciliation": {"interval_s": 3600},
        # What is measured is not to be stopped for being fast.
        "trips": {"errors": 0, "executions": 0},
        "log_level": "warning",
    }


async def tell(gateway: Gateway) -> None:
    """Say how to log in as soon as orders are taken."""
    secret, neighbours = [
        await gateway.identity.register(client, tenant="default", scopes=Scope, accounts=[ACCOUNT])
        for client in (CLIENT, NEIGHBOUR)
    ]
    while gateway.node.gate.readiness() or gateway.node.prices.quote(SYMBOL) is None:
        await asyncio.sleep(POLL_S)
    told = {"client_secret": secret.reveal(), "neighbours_secret": neighbours.reveal()}
    print(json.dumps(told), flush=True)


def main() -> None:
    samples = os.environ.get("SAMPLES")
    sampler = None if samples is None else Sampler(Path(samples))
    serve(load(Path(sys.argv[1])), ready=tell)
    if sampler is not None:
        sampler.write()


if __name__ == "__main__":
    main()
