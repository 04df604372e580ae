"""The clock, the chance and the orders of these tests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from ordergate.core.ids import AccountId, ClOrdId, Env, OrderId, Symbol, cl_ord_id, order_id
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.ports.broker import Holding

ACCOUNT: Final = AccountId("P-DEMO")
ACME: Final = Symbol("ACME")
WAIT_S: Final = 20.0


class HandClock:
    """Time moves when it is slept on or pushed; every sleep is noted, none takes real time.

    Once `sleeps_max` have been slept, `worn_out` is set and the next sleep does not end.
    """

    def __init__(self, sleeps_max: int = 100) -> None:
        self.seconds = 1_000.0
        self.slept: list[float] = []
        self.sleeps_max = sleeps_max
        self.worn_out = asyncio.Event()

    def now(self) -> datetime:
        return datetime(2024, 3, 1, 14, 30, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        if len(self.slept) >= self.sleeps_max:
            self.worn_out.set()
            await asyncio.Event().wait()
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


class FixedChance:
    """Always the same share of the range."""

    def __init__(self, share: float = 0.0) -> None:
        self.share = share

    def bits(self, count: int) -> int:
        return min(int(self.share * (1 << count)), (1 << count) - 1)


def our_order(number: int, env: Env = Env.PAPER) -> OrderId:
    return order_id(env, at_ms=1_700_000_000_000, entropy=number)


def our_id(number: int, version: int = 1, env: Env = Env.PAPER) -> ClOrdId:
    return cl_ord_id(our_order(number, env), version)


def terms(**changes: Any) -> Terms:
    """A limit order to buy that rests, unless the changes say otherwise."""
    asked: dict[str, Any] = {
        "account": ACCOUNT,
        "symbol": ACME,
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": Decimal(10),
        "limit_price": Decimal("10.00"),
        "time_in_force": TimeInForce.DAY,
    }
    return Terms(**(asked | changes))


def quantities(positions: Mapping[Symbol, Holding]) -> dict[Symbol, Decimal]:
    """What is held, the prices left out."""
    return {symbol: holding.quantity for symbol, holding in positions.items()}
