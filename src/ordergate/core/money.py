"""Exact quantities and prices.

Decimals come from text and stay exact: inputs carry at most 18 digits, and this process
computes with 76, so a product of three of them (quantity, price and multiplier), and a sum of
many such products, is never rounded. Only a displayed average is rounded, and says so.
Nothing here is helpful: what does not parse is refused, what is off-tick is somebody else's
refusal, never a rounding.
"""

from __future__ import annotations

import decimal
import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

# Set where money is defined, before any amount exists: tasks and threads inherit it.
decimal.DefaultContext.prec = 76
decimal.getcontext().prec = 76

ZERO: Final = Decimal(0)
DIGITS_MAX: Final = 18
SCALE_MAX: Final = 9

_AMOUNT: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?")
_AVERAGE_STEP: Final = Decimal("0.000000001")


class NotAnAmount(ValueError):
    """The text is not a plain decimal of at most 18 digits, 9 of them after the point."""


def amount(value: str) -> Decimal:
    """The exact value of a plain decimal string: no exponent, no sign but minus, no blanks."""
    if len(value) > DIGITS_MAX + 2 or _AMOUNT.fullmatch(value) is None:
        raise NotAnAmount("must be a plain decimal string of at most 18 digits, such as 4800.25")
    parsed = Decimal(value)
    if len(value) > DIGITS_MAX and len(parsed.as_tuple().digits) > DIGITS_MAX:
        raise NotAnAmount("must have at most 18 digits")
    return parsed


@lru_cache(maxsize=16_384)
def text(value: Decimal) -> str:
    """The one way an amount is written: no exponent, no trailing zeros, no negative zero."""
    if not value:
        return "0"
    plain = str(value)
    if "E" in plain:
        plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """True when `value` is a whole number of `step`s."""
    return value % step == ZERO


def average(notional: Decimal, quantity: Decimal) -> Decimal | None:
    """Notional over quantity, rounded half-even to nine decimals for display; None of nothing."""
    if quantity == ZERO:
        return None
    return (notional / quantity).quantize(_AVERAGE_STEP)
