"""How long something takes, as it is written for people and programs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from ordergate.core.money import text

MICROSECOND: Final = timedelta(microseconds=1)
_A_SECOND: Final = 1_000_000


def in_seconds(duration: timedelta) -> str:
    """Seconds, exactly, as an amount is written: `1`, `0.25`, never `1.0`."""
    return text(Decimal(duration // MICROSECOND) / _A_SECOND)
