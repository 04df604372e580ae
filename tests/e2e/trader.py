"""A seeded trader: what to do next, given nothing but a generator and the latest prices.

It makes orders of every type and time in force on both sides, near the market so that many fill,
and a few that cannot be right, so that refusals are met as well. It decides; others send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Final

from ordergate.wiring import demo
from tests.e2e.floor import ACCOUNT

TICK: Final = {one["symbol"]: Decimal(one["tick"]) for one in demo.INSTRUMENTS}
LOTS: Final[Mapping[str, tuple[Decimal, int]]] = {
    "ESH4": (Decimal(1), 6),
    "AAPL": (Decimal(1), 40),
    "MSFT": (Decimal(1), 40),
    "BTC/USD": (Decimal("0.0001"), 20_000),
}
KINDS: Final = (("limit", 8), ("market", 3), ("stop", 2), ("stop_limit", 2))
TIMES: Final = {
    "limit": (("day", 4), ("gtc", 4), ("ioc", 2), ("fok", 2)),
    "market": (("day", 3), ("gtc", 1), ("ioc", 2), ("fok", 1)),
    "stop": (("day", 1), ("gtc", 1)),
    "stop_limit": (("day", 1), ("gtc", 1)),
}


class Trader:
    """`prices` is read anew for every order: symbol to the middle of the market."""

    def __init__(
        self, seed: int, prices: Mapping[str, Decimal], symbols: Sequence[str] = tuple(TICK)
    ) -> None:
        self.chance = Random(seed)
        self._name = self.chance.getrandbits(64)
        self._keys = 0
        self._prices = prices
        self._symbols = symbols

    def key(self) -> str:
        """A key never used before."""
        self._keys += 1
        return f"{self._name:016x}-{self._keys:06d}"

    def order(self) -> dict[str, Any]:
        """The body of a new order."""
        symbol = self.chance.choice(self._symbols)
        side = self.chance.choice(("buy", "sell"))
        kind = self._drawn(KINDS)
        order = {
            "account_id": ACCOUNT,
            "symbol": symbol,
            "side": side,
            "type": kind,
            "quantity": self._quantity(symbol),
            "time_in_force": self._drawn(TIMES[kind]),
        }
        sign = 1 if side == "buy" else -1
        if kind in ("stop", "stop_limit"):
            # Beyond the market: it sleeps until the market comes, which it soon does.
            away = self.chance.randint(1, 6)
            order["stop_price"] = self._price(symbol, sign * away)
            if kind == "stop_limit":
                order["limit_price"] = self._price(symbol, sign * (away + self.chance.randint(0, 8)))
        elif kind == "limit":
            order["limit_price"] = self._price(symbol, sign * self.chance.randint(-10, 6))
        return order

    def changes(self, order: Mapping[str, Any]) -> dict[str, str]:
        """What to change of a working order."""
        changes: dict[str, str] = {}
        sign = 1 if order["side"] == "buy" else -1
        if order["type"] == "limit" and self.chance.random() < 0.6:
            changes["limit_price"] = self._price(order["symbol"], sign * self.chance.randint(-10, 4))
        if not changes or self.chance.random() < 0.6:
            more = Decimal(self._quantity(order["symbol"]))
            changes["quantity"] = format(Decimal(order["cum_qty"]) + more, "f")
        return changes

    def _quantity(self, symbol: str) -> str:
        lot, most = LOTS[symbol]
        return format(lot * self.chance.randint(1, most), "f")

    def _price(self, symbol: str, ticks: int) -> str:
        tick = TICK[symbol]
        return format(self._prices[symbol] // tick * tick + tick * ticks, "f")

    def _drawn(self, weighted: Sequence[tuple[str, int]]) -> str:
        words, weights = zip(*weighted, strict=True)
        drawn: str = self.chance.choices(words, weights)[0]
        return drawn


def middle(quote: Mapping[str, Any]) -> Decimal | None:
    """The middle of a quote, or its only side."""
    sides = [Decimal(quote[side]) for side in ("bid", "ask") if quote.get(side) is not None]
    return sum(sides, Decimal(0)) / len(sides) if sides else None
