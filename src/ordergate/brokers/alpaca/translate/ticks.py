"""Alpaca's market data in our words: exact, and bounded before anybody computes with it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from ordergate.brokers.alpaca import wire
from ordergate.brokers.alpaca.translate import Contradiction
from ordergate.core.money import ZERO

_DIGITS_MAX: Final = 36


def top(price: Decimal, size: Decimal) -> tuple[Decimal | None, Decimal]:
    """One side of a quote. A side without orders is written as zeros."""
    if _bounded(price) == ZERO:
        return None, ZERO
    return price, _bounded(size)


def printed(tick: wire.TradeTick) -> tuple[Decimal, Decimal]:
    """Price and size of a trade."""
    return _bounded(tick.p), _bounded(tick.s)


def _bounded(number: Decimal) -> Decimal:
    """A JSON number may have an exponent of any size, and writing one out would fill the memory."""
    if not number.is_finite() or number < ZERO:
        raise Contradiction("a price or size that is none")
    if abs(number.adjusted()) > _DIGITS_MAX or len(number.as_tuple().digits) > _DIGITS_MAX:
        raise Contradiction("a price or size out of all bounds")
    return number
