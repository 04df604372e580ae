"""Rules and orders in words, for somebody who reads and signs: what a rule says now that it did not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from ordergate.core.approvals import Person
from ordergate.core.money import text
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import Terms
from ordergate.core.risk.rules import Rule

NOT_SET: Final = "not set"
_CONTENT: Final = ("scope", "of", "mode", "severity", "effective_from", "effective_to", "owner")


def of_rule(rule: Rule) -> str:
    """Which rule, and whom it is about."""
    whom = f"{rule.scope} {rule.of}".rstrip().replace("_", " ")
    return f"{rule.id} (of {whom})" if rule.of else f"{rule.id} (of the whole firm)"


def changes(before: Rule, after: Rule) -> tuple[str, ...]:
    """Field by field, what it was and what it is; nothing of what stayed."""
    was, now = dict(_said(before)), dict(_said(after))
    return tuple(
        f"{name}: {was.get(name, NOT_SET)} → {now.get(name, NOT_SET)}"
        for name in {**was, **now}
        if was.get(name) != now.get(name)
    )


def content(rule: Rule) -> tuple[str, ...]:
    """What a rule says by itself; whom it is about stands in its name."""
    return tuple(f"{name} {said}" for name, said in _said(rule) if name not in ("scope", "of"))


def of_order(terms: Terms) -> str:
    """Every term of an order."""
    words = [str(terms.side), text(terms.quantity), str(terms.symbol), str(terms.type).replace("_", " ")]
    words += [f"at {text(terms.limit_price)}"] if terms.limit_price is not None else []
    words += [f"from {text(terms.stop_price)}"] if terms.stop_price is not None else []
    words += [str(terms.time_in_force), f"for {terms.account}"]
    words += [f"{name.replace('_', ' ')} {value}" for name, value in _labels(terms) if value]
    return " ".join(words) + (" in extended hours" if terms.extended_hours else "")


def of_control(failed: FailedControl) -> str:
    """A control, why it said no, and by how much."""
    words = f"{failed.control} {failed.reason}"
    return f"{words} ({failed.value} over {failed.limit})" if failed.value and failed.limit else words


def of_people(by: Person, approved_by: Person | None = None) -> str:
    """Who acted, through what, and who agreed."""
    return of_person(by) + ("" if approved_by is None else f"; approved by {of_person(approved_by)}")


def of_person(one: Person) -> str:
    return one.subject if one.client in ("", one.subject) else f"{one.subject}, by {one.client}"


def _labels(terms: Terms) -> Iterator[tuple[str, str | None]]:
    for name in ("strategy", "strategy_version", "user", "venue", "client_order_id"):
        yield name, getattr(terms, name)


def _said(rule: Rule) -> Iterator[tuple[str, str]]:
    for name in _CONTENT:
        value = getattr(rule, name)
        if value not in (None, ""):
            yield name.replace("_", " "), str(msgspec.to_builtins(value))
    for name, value in rule.limits.items():
        if name == "instruments" and isinstance(value, Mapping):
            for symbol, its in value.items():
                yield from ((f"{path} of {symbol}", said) for path, said in _flat(its))
        else:
            yield from _flat({name: value})


def _flat(said: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Each limit under a name that can be read; a length of time says its unit in its value."""
    for name, value in said.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{_words(name)} ")
        else:
            unit = " s" if name.endswith("_s") else ""
            yield f"{above}{_words(name)}", f"{_value(value)}{unit}"


def _words(name: str) -> str:
    return name.removesuffix("_s").replace("_", " ")


def _value(value: Any) -> str:
    match value:
        case None:
            return NOT_SET
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return text(value)
        case [int() as number, int() as seconds]:
            return f"{number} in {seconds} s"
        case str():
            return value
        case Mapping():
            return "nothing"
        case Sequence():
            return ", ".join(map(_value, value)) or "nothing"
        case _:
            return str(value)
