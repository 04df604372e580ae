"""One event of every kind, every field with a value: what the golden files hold."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, cast, get_args, get_origin, get_type_hints

import msgspec

from ordergate.journal.codec import TYPES
from ordergate.ports.journal import AnyEvent

AT: Final = datetime(2026, 1, 5, 14, 30, 0, 123456, tzinfo=UTC)

# Where the plain value of a field's type would not be a legal one.
BY_NAME: Final[dict[str, Any]] = {
    "side": "buy",
    "type": "limit",
    "time_in_force": "day",
    "asked": "place",
    "grade": "block_new",
    "resolution": "working",
    "inputs": {"last": "4800.25"},
    "fx": {"fx_rate_EURUSD": "1.25"},
    "foreign_cash": {"EUR": "12.000000001"},
    "facts": {"asked": "½"},
    "summary": ["½ of everything"],
    "controls": ["R06"],
    "content": {"edits": [{"rule_id": "½", "expected": 3}]},
    "limits": {"max_open_orders": 3, "max_open_notional": "12.000000001"},
}


def example(kind: type[msgspec.Struct]) -> AnyEvent:
    fields = {"kind": kind.__struct_config__.tag, **_fields(kind)}
    return cast("AnyEvent", msgspec.convert(fields, kind, strict=False))


def _fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(struct)
    return {
        name: BY_NAME[name]
        if name in BY_NAME and not _is_text(name, hints[name])
        else _value(name, hints[name])
        for name in struct.__struct_fields__
    }


def _is_text(name: str, hint: Any) -> bool:
    """Limits are a rule's values, or in a record of a client only their texts."""
    return name == "limits" and hint == dict[str, str]


def _value(name: str, hint: Any) -> Any:
    """A value that shows whether the field survives: exact, in UTC, not ASCII only."""
    if get_origin(hint) is dict:
        return {f"{name} ½": "value ½"}
    options = [one for one in get_args(hint) if one is not type(None)] or [hint]
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return [_fields(inner)] if hasattr(inner, "__struct_fields__") else [_value(name, inner)]
    if isinstance(options[0], type) and issubclass(options[0], StrEnum):
        return next(iter(options[0]))
    if isinstance(options[0], type) and issubclass(options[0], msgspec.Struct):
        return _fields(options[0])
    values: dict[Any, Any] = {Decimal: "12.000000001", datetime: AT, date: AT.date(), int: 3, bool: True}
    return values.get(options[0], f"{name} ½")


EXAMPLES: Final = {kind: example(kind) for kind in TYPES}
