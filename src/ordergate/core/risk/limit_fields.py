"""Reads limits from plain data by the types of their fields, and writes them back the same.

Strict, because a misspelt limit that is silently ignored is a missing limit: what has a strange name,
a wrong type or an impossible value is a sentence that names it. Decides nothing about orders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeGuard, TypeVar, get_args

import msgspec

from ordergate.core.durations import MICROSECOND, in_seconds
from ordergate.core.money import NotAnAmount, amount, text

WINDOWS_MAX: Final = 8
WINDOW_COUNT_MAX: Final = 1_000_000
WINDOW_SECONDS_MAX: Final = 86_400
NAME_CHARACTERS_MAX: Final = 64

_SECOND: Final = Decimal(1_000_000)
_TIME_OF_DAY: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")

T = TypeVar("T", bound=msgspec.Struct)


class RateWindow(msgspec.Struct, frozen=True):
    """At most `count` messages at once, refilled evenly over `seconds`."""

    count: int
    seconds: int


def read(kind: type[T], mapping: object, where: str) -> T:
    """The struct that plain data describes. Raises ValueError naming the field that is wrong."""
    spelt = fields_of(kind)
    fields = Fields(mapping, where, frozenset(spelt))
    values: dict[str, Any] = {}
    for name, field in spelt.items():
        if field.required or fields.has(name):
            values[field.name] = _read_field(fields, name, field.type)
    try:
        return kind(**values)
    except ValueError as fault:
        raise ValueError(f"{where} {fault}") from fault


def plain(struct: msgspec.Struct) -> dict[str, object]:
    """The struct as plain data; a field that may be left out is, when it has its empty default."""
    written: dict[str, object] = {}
    for name, field in fields_of(type(struct)).items():
        value = getattr(struct, field.name)
        if not field.required and _is_empty(value):
            continue
        written[name] = _plain(value)
    return written


@cache
def fields_of(kind: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """The fields of a struct by their spelling. Working them out takes longer than reading one."""
    return {spelling(field): field for field in msgspec.structs.fields(kind)}


def spelling(field: msgspec.structs.FieldInfo) -> str:
    """A field as a file spells it: a length of time is in seconds and says so."""
    return f"{field.name}_s" if timedelta in (field.type, *get_args(field.type)) else field.name


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, tuple | frozenset | Mapping) and not value)


def _plain(value: object) -> object:
    match value:
        case Decimal():
            return text(value)
        case timedelta():
            return in_seconds(value)
        case datetime():
            return value.astimezone(UTC).isoformat()
        case time():
            return value.strftime("%H:%M")
        case RateWindow():
            return [value.count, value.seconds]
        case StrEnum():
            return value.value
        case msgspec.Struct():
            return plain(value)
        case tuple():
            return [_plain(each) for each in value]
        case frozenset():
            return sorted(value)
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case _:
            return value


class Fields:
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

    def whole(self, name: str) -> int:
        value, least = self._take(name), 1 if name in _FROM_ONE else 0
        if not _is_whole(value) or value < least:
            raise self.wrong(name, f"must be a whole number of at least {least}")
        return value

    def flag(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            raise self.wrong(name, "must be true or false")
        return value

    def amount(self, name: str) -> Decimal:
        """A decimal string, not negative. A number is refused: it may have been rounded already."""
        value = self._take(name)
        if not isinstance(value, str):
            raise self.wrong(name, "must be a decimal string")
        try:
            parsed = amount(value)
        except NotAnAmount as fault:
            raise self.wrong(name, str(fault)) from fault
        if parsed < 0:
            raise self.wrong(name, "must not be negative")
        return parsed

    def seconds(self, name: str) -> timedelta:
        value = self.amount(name)
        if value > WINDOW_SECONDS_MAX or value * _SECOND % 1 != 0:
            raise self.wrong(name, f"must be 0 to {WINDOW_SECONDS_MAX} seconds in whole microseconds")
        return int(value * _SECOND) * MICROSECOND

    def windows(self, name: str) -> tuple[RateWindow, ...]:
        value = self._take(name)
        empty_is_fine = name not in _NOT_EMPTY
        if not isinstance(value, list | tuple) or len(value) > WINDOWS_MAX or not (value or empty_is_fine):
            raise self.wrong(name, f"must be a list of 1 to {WINDOWS_MAX} pairs [count, seconds]")
        return tuple(self._window(name, pair) for pair in value)

    def moment(self, name: str) -> datetime:
        """A time that says its offset; YAML may have read it already."""
        value = self._take(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                value = None
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise self.wrong(name, "must be a time with its offset, such as 2026-01-05T08:00:00Z")
        return value.astimezone(UTC)

    def time_of_day(self, name: str) -> time:
        value = self._take(name)
        if not isinstance(value, str) or _TIME_OF_DAY.fullmatch(value) is None:
            raise self.wrong(name, 'must be a time of day in quotes, such as "15:10"')
        return time.fromisoformat(value)

    def name(self, name: str) -> str:
        value = self._take(name)
        if not isinstance(value, str) or not 1 <= len(value) <= NAME_CHARACTERS_MAX:
            raise self.wrong(name, f"must be a text of 1 to {NAME_CHARACTERS_MAX} characters")
        return value

    def names(self, name: str) -> frozenset[str]:
        value = self._take(name)
        if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
            raise self.wrong(name, "must be a list of texts")
        return frozenset(value)

    def choices(self, name: str, kind: type[StrEnum]) -> tuple[StrEnum, ...]:
        value = self._take(name)
        if not isinstance(value, list | tuple):
            raise self.wrong(name, f"must be a list of {', '.join(kind)}")
        return tuple(sorted({self._choice(name, each, kind) for each in value}))

    def choice(self, name: str, kind: type[StrEnum]) -> StrEnum:
        return self._choice(name, self._take(name), kind)

    def mapping(self, name: str) -> Mapping[str, object]:
        value = self._take(name)
        if not _is_mapping(value):
            raise self.wrong(name, "must be a mapping of names to values")
        return value

    def nested(self, name: str, kind: type[T]) -> T:
        return read(kind, self._take(name), f"{self._where}.{name}")

    def each(self, name: str, kind: type[T]) -> dict[str, T]:
        given = self.mapping(name)
        return {key: read(kind, value, f"{self._where}.{name}.{key}") for key, value in given.items()}

    def each_choice(self, name: str, kind: type[StrEnum]) -> dict[str, StrEnum]:
        return {key: self._choice(f"{name}.{key}", value, kind) for key, value in self.mapping(name).items()}

    def _choice(self, name: str, value: object, kind: type[StrEnum]) -> StrEnum:
        if not isinstance(value, str) or value not in set(kind):
            raise self.wrong(name, f"must be one of {', '.join(kind)}")
        return kind(value)

    def _window(self, name: str, pair: object) -> RateWindow:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(_is_whole, pair)):
            raise self.wrong(name, "must hold pairs [count, seconds] of whole numbers")
        count, seconds = pair
        if not (1 <= count <= WINDOW_COUNT_MAX and 1 <= seconds <= WINDOW_SECONDS_MAX):
            raise self.wrong(name, f"allows 1 to {WINDOW_COUNT_MAX} in 1 to {WINDOW_SECONDS_MAX} s")
        return RateWindow(count, seconds)

    def _take(self, name: str) -> object:
        value = self._left.pop(name, None)
        if value is None:
            raise self.wrong(name, "is required")
        return value

    def wrong(self, name: str, why: str) -> ValueError:
        return ValueError(f"{self._where}.{name} {why}")


_FROM_ONE: Final = frozenset({"version", "days"})
_NOT_EMPTY: Final = frozenset({"message_windows"})

_BY_TYPE: Final[Mapping[object, Callable[[Fields, str], object]]] = {
    Decimal: Fields.amount,
    int: Fields.whole,
    bool: Fields.flag,
    timedelta: Fields.seconds,
    datetime: Fields.moment,
    time: Fields.time_of_day,
    str: Fields.name,
    frozenset[str]: Fields.names,
    tuple[RateWindow, ...]: Fields.windows,
}


def _read_field(fields: Fields, name: str, kind: Any) -> object:
    """By the field's type; one that may be None is read as the type that it otherwise is."""
    kind, inner = _stripped(kind)
    if (reader := _BY_TYPE.get(kind)) is not None:
        return reader(fields, name)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return fields.nested(name, kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return fields.choice(name, kind)
    what = inner[1] if len(inner) == 2 and inner[1] is not Ellipsis else inner[0]
    if what is not inner[0]:
        return fields.each_choice(name, what) if issubclass(what, StrEnum) else fields.each(name, what)
    return fields.choices(name, what)


@cache
def _stripped(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its None, and the types that it is made of."""
    inner = tuple(each for each in get_args(kind) if each is not type(None))
    if type(None) in get_args(kind):
        return inner[0], tuple(get_args(inner[0]))
    return kind, inner


def _is_whole(value: object) -> TypeGuard[int]:
    """True of integers; not of booleans, which Python counts among them."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
