"""How much of each limit is used: the same figures that the controls compare, for people to watch.

Levels have a use and a headroom; limits on one order have none, and are listed all the same. A use that
cannot be known is not guessed. Nothing is decided here, and nothing is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.accounts.account import Account
from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO, text
from ordergate.core.risk.exposure import Exposure
from ordergate.core.risk.limits import InstrumentLimits, Limits, RateWindow
from ordergate.core.risk.rates import MessageBuckets, TokenBucket
from ordergate.core.risk.tightest import OF_ACCOUNT, OF_INSTRUMENT, Kind

_HUNDRED: Final = Decimal(100)
_TENTH: Final = Decimal("0.1")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One account at one moment, as its lane holds it."""

    now: datetime
    account: Account
    exposure: Exposure
    buckets: MessageBuckets


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One limit. `used` is None for a limit on one order, and where the use is not known.

    `rule` names the rule that the limit comes from.
    """

    limit: str
    symbol: str | None = None
    window_s: int | None = None
    value: str
    used: str | None = None
    headroom: str | None = None
    percent: str | None = None
    rule: str = ""


Amounts = tuple[Decimal | None, Decimal]
"""What is used, and the most that may be."""

OfAccount = Callable[[Limits, Standing], Amounts]
OfInstrument = Callable[[InstrumentLimits, Standing, Symbol], Amounts]


def _open_orders(limits: Limits, seen: Standing) -> Amounts:
    return Decimal(seen.exposure.count), Decimal(limits.max_open_orders)


def _open_notional(limits: Limits, seen: Standing) -> Amounts:
    value = None if seen.exposure.has_unpriced else seen.exposure.value
    return value, limits.max_open_notional


def _long(limits: InstrumentLimits, seen: Standing, symbol: Symbol) -> Amounts:
    """The position, and everything open that would add to it."""
    held = seen.account.position(symbol).quantity
    return max(held + seen.exposure.of(symbol).buy_quantity, ZERO), limits.max_long


def _short(limits: InstrumentLimits, seen: Standing, symbol: Symbol) -> Amounts:
    held = seen.account.position(symbol).quantity
    return max(seen.exposure.of(symbol).sell_quantity - held, ZERO), limits.max_short


LEVELS: Final[Mapping[str, OfAccount]] = {
    "max_open_orders": _open_orders,
    "max_open_notional": _open_notional,
}
LEVELS_OF_INSTRUMENT: Final[Mapping[str, OfInstrument]] = {"max_long": _long, "max_short": _short}
WINDOWS: Final = ("message_windows", "cancel_windows")


def utilization(limits: Limits, seen: Standing, origins: Mapping[str, str]) -> list[Use]:
    """Every limit that bounds a level or an order, the account's first."""
    found = [_use(name, level(limits, seen), origins.get(name, "")) for name, level in LEVELS.items()]
    found += _windows("message_windows", seen.buckets.orders, seen.now, origins)
    found += _windows("cancel_windows", seen.buckets.cancels, seen.now, origins)
    for symbol, its in limits.instruments.items():
        prefix = f"instruments.{symbol}."
        for name, of_symbol in LEVELS_OF_INSTRUMENT.items():
            rule = origins.get(prefix + name, "")
            found.append(_use(name, of_symbol(its, seen, symbol), rule, symbol))
        found += _on_one_order(its, symbol, origins)
    return found


def _on_one_order(its: InstrumentLimits, symbol: Symbol, origins: Mapping[str, str]) -> Iterator[Use]:
    for name, field in OF_INSTRUMENT.items():
        value = getattr(its, name)
        if field.kind is Kind.ORDER and value is not None:
            shown = text(value) if isinstance(value, Decimal) else str(value)
            yield Use(
                limit=name, symbol=symbol, value=shown, rule=origins.get(f"instruments.{symbol}.{name}", "")
            )


def _windows(name: str, bucket: TokenBucket, now: datetime, origins: Mapping[str, str]) -> Iterator[Use]:
    left: list[tuple[RateWindow, int]] = bucket.left(now)
    for window, tokens in left:
        amounts = Decimal(window.count - tokens), Decimal(window.count)
        use = _use(name, amounts, origins.get(name, ""))
        yield msgspec.structs.replace(use, window_s=window.seconds)


def _use(name: str, amounts: Amounts, rule: str, symbol: Symbol | None = None) -> Use:
    used, most = amounts
    if used is None:
        return Use(limit=name, symbol=symbol, value=text(most), rule=rule)
    percent = None if most == ZERO else text((used * _HUNDRED / most).quantize(_TENTH))
    return Use(
        limit=name,
        symbol=symbol,
        value=text(most),
        used=text(used),
        headroom=text(most - used),
        percent=percent,
        rule=rule,
    )


def measured() -> set[str]:
    """The limits that have a use here."""
    return {*LEVELS, *WINDOWS, *LEVELS_OF_INSTRUMENT}


def levels() -> set[str]:
    """The limits that bound a level, and so need one."""
    both = (*OF_ACCOUNT.items(), *OF_INSTRUMENT.items())
    return {name for name, field in both if field.kind is Kind.LEVEL}
