"""Random pasts of an account: events of every kind, of which those are kept that can follow.

Fields are drawn by their types, from pools so small that events meet each other. What fits is what the
books themselves fold; nothing here knows what should come of it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Any, Final, get_args, get_origin

import msgspec

from ordergate.core.accounts import breaks
from ordergate.core.accounts.alarms import AlarmNature
from ordergate.core.accounts.events import AccountEvent, AccountOpened, AnyAccountEvent
from ordergate.core.contingent.events import AnyGroupEvent
from ordergate.core.faults import IllegalTransition, InvariantBroken
from ordergate.core.ids import Symbol
from ordergate.core.instruments import AssetClass, Instrument, by_any_name
from ordergate.core.orders.events import AnyOrderEvent, Severity
from ordergate.engine.accounts.books import Books
from tests.journal.making import ALICE, START, opened, order

Event = Any

KINDS: Final[tuple[type[Event], ...]] = tuple(
    kind
    for union in (AnyOrderEvent, AnyAccountEvent, AnyGroupEvent)
    for kind in get_args(union)
    if kind is not AccountOpened
)


def instrument(symbol: str, kind: AssetClass, aliases: tuple[Symbol, ...] = ()) -> Instrument:
    return Instrument(
        symbol=Symbol(symbol),
        name=symbol,
        asset_class=kind,
        currency="USD",
        tick=Decimal("0.25"),
        lot=Decimal(1),
        multiplier=Decimal(50 if kind is AssetClass.FUTURE else 1),
        calendar="24/7",
        aliases=aliases,
    )


LISTED: Final = by_any_name(
    {
        Symbol("ESH4"): instrument("ESH4", AssetClass.FUTURE),
        Symbol("META"): instrument("META", AssetClass.EQUITY, (Symbol("FB"),)),
    }
)
_POOLS: Final[Mapping[str, tuple[Any, ...]]] = {
    "account": (ALICE,),
    "order_id": tuple(order(number) for number in range(1, 13)),
    "symbol": tuple(map(Symbol, ("ESH4", "META", "FB"))),
    "was": (Symbol("FB"),),
    "version": (1, 2, 3),
    "revision": (0, 1, 2),
    "exec_id": ("x-1", "x-2", "x-3", "x-4", "x-5"),
    "same_as": ("x-1", "x-2"),
    "reference": ("r-1", "r-2", None),
    "broker_order_id": ("b-1", "b-2", "b-3", "b-4", "b-5", "b-6"),
    "client_order_id": (None, *(f"label-{number}" for number in range(12))),
    "break_id": ("brk-1", "brk-2", "brk-3"),
    "group_id": ("PG-1", "PG-2", "PG-3"),
    "alarm_id": ("a-1", "a-2", "a-3"),
    "nature": tuple(breaks.Nature),
    "severity": tuple(breaks.Severity),
    "action": (*breaks.Action, "agreed"),
    "ours": ("1", "2", "3"),
    "theirs": ("1", "2", "3"),
}


def past(chance: Random, length: int) -> list[Event]:
    """An opened account, and so many events drawn, less those that cannot follow."""
    drawn = _Drawn(chance)
    books = Books(LISTED)
    kept: list[Event] = [opened(ALICE)]
    books.fold(kept[0])
    for number in range(length):
        event = drawn.event(KINDS[chance.randrange(len(KINDS))], number)
        if _label_taken(books, event):
            continue
        try:
            books.fold(event)
        except (IllegalTransition, InvariantBroken, KeyError):
            continue
        kept.append(event)
    return kept


def _label_taken(books: Books, event: Event) -> bool:
    """The journal takes no label twice."""
    label = getattr(getattr(event, "terms", None), "client_order_id", None)
    return label is not None and books.has_client_order_id(label)


class _Drawn:
    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._now = START

    def event(self, kind: type[Event], number: int) -> Event:
        self._now = START + timedelta(seconds=number)
        event = self._struct(kind)
        if issubclass(kind, AccountEvent) and hasattr(event, "nature") and hasattr(event, "alarm_id"):
            nature = self._chance.choice(tuple(AlarmNature))
            return msgspec.structs.replace(event, nature=nature.value)
        return event

    def _struct(self, kind: type[Any]) -> Any:
        hints = typing.get_type_hints(kind)
        fields = {}
        for field in msgspec.structs.fields(kind):
            defaults = (field.default, field.default_factory)
            if defaults != (msgspec.NODEFAULT, msgspec.NODEFAULT) and self._chance.random() < 0.4:
                continue
            fields[field.name] = self._value(field.name, hints[field.name])
        return kind(**fields)

    def _value(self, name: str, hint: Any) -> Any:
        if name == "at":
            return self._now
        if name in _POOLS and hint is not Severity:  # of a break, which is told as text
            return self._chance.choice(_POOLS[name])
        return self._of_type(name, hint)

    def _of_type(self, name: str, hint: Any) -> Any:
        hint = getattr(hint, "__supertype__", hint)
        origin = get_origin(hint)
        if origin in (types.UnionType, typing.Union):
            return self._of_type(name, self._chance.choice(get_args(hint)))
        if origin is tuple:
            return tuple(self._value(name, get_args(hint)[0]) for _ in range(self._chance.randrange(3)))
        if origin is dict:
            return {"input": f"{self._chance.randrange(9)}"}
        if hint is type(None):
            return None
        return self._plain(name, hint)

    def _plain(self, name: str, hint: type[Any]) -> Any:
        if issubclass(hint, msgspec.Struct):
            return self._struct(hint)
        if issubclass(hint, StrEnum):
            return self._chance.choice(tuple(hint))
        if hint is bool:
            return self._chance.random() < 0.5
        if hint is int:
            return self._chance.randrange(1, 4)
        if hint is Decimal:
            return Decimal(self._chance.randrange(1, 400)) / 4
        if hint is date:
            return self._now.date()
        if hint is datetime:
            return self._now - timedelta(seconds=self._chance.randrange(60))
        assert hint is str, f"{name} is a {hint}"
        return f"{name}-{self._chance.randrange(4)}"
