"""What an account may do at most, as data with a version.

A limit that is not written down is not a licence: an account without limits, an account that
is not enabled and an instrument without limits are all refused by the controls. Reading limits
is strict, because a misspelt limit that is silently ignored is a missing limit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final, TypeGuard

import msgspec

from ordergate.core.ids import Symbol
from ordergate.core.money import NotAnAmount, amount, text

WINDOWS_MAX: Final = 8
WINDOW_COUNT_MAX: Final = 1_000_000
WINDOW_SECONDS_MAX: Final = 86_400
NO_LIMITS_HASH: Final = "none"

MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = Decimal(1_000_000)


class RateWindow(msgspec.Struct, frozen=True):
    """At most `count` messages at once, refilled evenly over `seconds`."""

    count: int
    seconds: int


class InstrumentLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What may be done in one instrument.

    Where both collars are given the tighter one holds. `initial_margin` is in the account's
    currency for one contract; a future without it cannot be traded.
    """

    max_order_quantity: Decimal
    max_order_notional: Decimal
    max_long: Decimal
    max_short: Decimal
    collar_percent: Decimal | None = None
    collar_ticks: int | None = None
    initial_margin: Decimal | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The limits of one account. Amounts are in the account's currency."""

    version: int
    enabled: bool = False
    max_open_orders: int
    max_open_notional: Decimal
    message_windows: tuple[RateWindow, ...]
    cancel_windows: tuple[RateWindow, ...] = ()
    duplicate_window: timedelta = timedelta(seconds=1)
    reference_price_max_age: timedelta = timedelta(seconds=5)
    buying_power_max_age: timedelta = timedelta(seconds=60)
    buying_power_haircut_percent: Decimal = Decimal(10)
    far_passive_refused: bool = False
    stream_stale_max: timedelta = timedelta(seconds=10)
    reduce_when_stale: bool = False
    instruments: Mapping[Symbol, InstrumentLimits] = {}

    @cached_property
    def digest(self) -> str:
        canonical = msgspec.json.encode(mapping_of(self), order="sorted")
        return hashlib.sha256(canonical).hexdigest()


def config_hash(limits: Limits | None) -> str:
    """What names these limits in every decision: the SHA-256 of their canonical form."""
    return NO_LIMITS_HASH if limits is None else limits.digest


def mapping_of(limits: Limits) -> dict[str, object]:
    """The limits as plain data; `limits_of` reads the same limits back from it."""
    return {
        "version": limits.version,
        "enabled": limits.enabled,
        "max_open_orders": limits.max_open_orders,
        "max_open_notional": text(limits.max_open_notional),
        "message_windows": [[window.count, window.seconds] for window in limits.message_windows],
        "cancel_windows": [[window.count, window.seconds] for window in limits.cancel_windows],
        "duplicate_window_s": _seconds_text(limits.duplicate_window),
        "reference_price_max_age_s": _seconds_text(limits.reference_price_max_age),
        "buying_power_max_age_s": _seconds_text(limits.buying_power_max_age),
        "buying_power_haircut_percent": text(limits.buying_power_haircut_percent),
        "far_passive_refused": limits.far_passive_refused,
        "stream_stale_max_s": _seconds_text(limits.stream_stale_max),
        "reduce_when_stale": limits.reduce_when_stale,
        "instruments": {symbol: _instrument_mapping(its) for symbol, its in limits.instruments.items()},
    }


def limits_of(mapping: Mapping[str, object]) -> Limits:
    """Read limits from plain data. Raises ValueError naming the field that is wrong."""
    fields = _Fields(mapping, "limits", _LIMITS)
    limits = Limits(
        version=fields.whole("version", least=1),
        enabled=fields.flag("enabled", default=False),
        max_open_orders=fields.whole("max_open_orders"),
        max_open_notional=fields.amount("max_open_notional"),
        message_windows=fields.windows("message_windows"),
        cancel_windows=fields.windows("cancel_windows", required=False),
        duplicate_window=fields.seconds("duplicate_window_s", default="1"),
        reference_price_max_age=fields.seconds("reference_price_max_age_s", default="5"),
        buying_power_max_age=fields.seconds("buying_power_max_age_s", default="60"),
        buying_power_haircut_percent=fields.amount("buying_power_haircut_percent", default="10"),
        far_passive_refused=fields.flag("far_passive_refused", default=False),
        stream_stale_max=fields.seconds("stream_stale_max_s", default="10"),
        reduce_when_stale=fields.flag("reduce_when_stale", default=False),
        instruments={
            Symbol(symbol): _instrument_limits(its, f"limits.instruments.{symbol}")
            for symbol, its in fields.mapping("instruments").items()
        },
    )
    if limits.buying_power_haircut_percent > 100:
        raise ValueError("limits.buying_power_haircut_percent must be at most 100")
    return limits


def _instrument_limits(mapping: object, where: str) -> InstrumentLimits:
    fields = _Fields(mapping, where, _OF_INSTRUMENT)
    limits = InstrumentLimits(
        max_order_quantity=fields.amount("max_order_quantity"),
        max_order_notional=fields.amount("max_order_notional"),
        max_long=fields.amount("max_long"),
        max_short=fields.amount("max_short"),
        collar_percent=fields.amount("collar_percent") if fields.has("collar_percent") else None,
        collar_ticks=fields.whole("collar_ticks") if fields.has("collar_ticks") else None,
        initial_margin=fields.amount("initial_margin") if fields.has("initial_margin") else None,
    )
    if limits.collar_percent is None and limits.collar_ticks is None:
        raise ValueError(f"{where} needs collar_percent or collar_ticks")
    return limits


def _instrument_mapping(limits: InstrumentLimits) -> dict[str, object]:
    mapping: dict[str, object] = {
        "max_order_quantity": text(limits.max_order_quantity),
        "max_order_notional": text(limits.max_order_notional),
        "max_long": text(limits.max_long),
        "max_short": text(limits.max_short),
    }
    if limits.collar_percent is not None:
        mapping["collar_percent"] = text(limits.collar_percent)
    if limits.collar_ticks is not None:
        mapping["collar_ticks"] = limits.collar_ticks
    if limits.initial_margin is not None:
        mapping["initial_margin"] = text(limits.initial_margin)
    return mapping


def _seconds_text(length: timedelta) -> str:
    return text(Decimal(length // MICROSECOND) / _SECOND)


def _names(kind: type[msgspec.Struct]) -> frozenset[str]:
    """The fields as a file spells them: a length of time is in seconds and says so."""
    fields = msgspec.structs.fields(kind)
    return frozenset(f"{field.name}_s" if field.type is timedelta else field.name for field in fields)


_LIMITS: Final = _names(Limits)
_OF_INSTRUMENT: Final = _names(InstrumentLimits)


class _Fields:
    """Takes fields out of a mapping one by one, and says what is wrong where."""

    def __init__(self, mapping: object, where: str, names: frozenset[str]) -> None:
        """What is misspelt is said before what is missing: it may be the same field."""
        if not _is_mapping(mapping):
            raise ValueError(f"{where} must be a mapping of names to values")
        if strange := sorted(set(mapping) - names):
            raise ValueError(f"{where} has no field {', '.join(strange)}")
        self._left = dict(mapping)
        self._where = where

    def has(self, name: str) -> bool:
        return name in self._left

    def whole(self, name: str, *, least: int = 0) -> int:
        value = self._take(name)
        if not _is_whole(value) or value < least:
            raise self._wrong(name, f"must be a whole number of at least {least}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "must be true or false")
        return value

    def amount(self, name: str, *, default: str | None = None) -> Decimal:
        """A decimal string, not negative. A number is refused: it may have been rounded already."""
        value = self._take(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "must be a decimal string")
        try:
            parsed = amount(value)
        except NotAnAmount as fault:
            raise self._wrong(name, str(fault)) from fault
        if parsed < 0:
            raise self._wrong(name, "must not be negative")
        return parsed

    def seconds(self, name: str, *, default: str) -> timedelta:
        value = self.amount(name, default=default)
        if value > WINDOW_SECONDS_MAX or value * _SECOND % 1 != 0:
            raise self._wrong(name, f"must be 0 to {WINDOW_SECONDS_MAX} seconds in whole microseconds")
        return int(value * _SECOND) * MICROSECOND

    def windows(self, name: str, *, required: bool = True) -> tuple[RateWindow, ...]:
        value = self._take(name, None if required else ())
        if not isinstance(value, list | tuple) or len(value) > WINDOWS_MAX or (required and not value):
            raise self._wrong(name, f"must be a list of 1 to {WINDOWS_MAX} pairs [count, seconds]")
        return tuple(self._window(name, pair) for pair in value)

    def mapping(self, name: str) -> Mapping[str, object]:
        value = self._take(name)
        if not _is_mapping(value):
            raise self._wrong(name, "must be a mapping of names to values")
        return value

    def _window(self, name: str, pair: object) -> RateWindow:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(_is_whole, pair)):
            raise self._wrong(name, "must hold pairs [count, seconds] of whole numbers")
        count, seconds = pair
        if not (1 <= count <= WINDOW_COUNT_MAX and 1 <= seconds <= WINDOW_SECONDS_MAX):
            raise self._wrong(name, f"allows 1 to {WINDOW_COUNT_MAX} in 1 to {WINDOW_SECONDS_MAX} s")
        return RateWindow(count, seconds)

    def _take(self, name: str, default: object = None) -> object:
        value = self._left.pop(name, default)
        if value is None:
            raise self._wrong(name, "is required")
        return value

    def _wrong(self, name: str, why: str) -> ValueError:
        return ValueError(f"{self._where}.{name} {why}")


def _is_whole(value: object) -> TypeGuard[int]:
    """True of integers; not of booleans, which Python counts among them."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
