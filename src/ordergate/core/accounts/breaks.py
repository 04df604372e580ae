"""Differences between our books and the broker's, as typed things with evidence.

A difference is a fact; a break is a difference that outlived the news that was still under
way. Comparison is pure: both sides are given, nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import msgspec

from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO, text


class Nature(StrEnum):
    POSITION = "position"
    CASH = "cash"
    ORDER_STATUS = "order_status"
    EXECUTION_MISSING = "execution_missing"
    UNLISTED_SYMBOL = "unlisted_symbol"
    ENVIRONMENT = "environment"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """`subject` is what differs: a symbol, an order id, a currency."""

    nature: Nature
    subject: str
    ours: str
    theirs: str


def position_differences(
    ours: Mapping[Symbol, Decimal], theirs: Mapping[Symbol, Decimal]
) -> list[Difference]:
    """Every symbol whose signed quantity is not the same on both sides, in order of symbol."""
    return [
        Difference(
            nature=Nature.POSITION,
            subject=symbol,
            ours=text(ours.get(symbol, ZERO)),
            theirs=text(theirs.get(symbol, ZERO)),
        )
        for symbol in sorted({*ours, *theirs})
        if ours.get(symbol, ZERO) != theirs.get(symbol, ZERO)
    ]


def cash_difference(currency: str, ours: Decimal, theirs: Decimal) -> Difference | None:
    if ours == theirs:
        return None
    return Difference(nature=Nature.CASH, subject=currency, ours=text(ours), theirs=text(theirs))
