"""How two limits on the same thing become one: for every field, in words and in code, the tightest wins.

Values are as a file writes them (`core.risk.limits.mapping_of`). Tighter always means: nothing that was
refused is accepted. A field of the limits that has no line here cannot be compiled, and a test sees that
there is none. Decides nothing about orders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final, NamedTuple

Plain = Mapping[str, Any]
Windows = Sequence[Sequence[int]]


class Kind(StrEnum):
    """What a limit bounds: a level that is used up, one order by itself, or how the controls judge."""

    LEVEL = "level"
    ORDER = "order"
    SETTING = "setting"


class Field(NamedTuple):
    """One field: how two values meet, in words and in code, and what it means that there is none.

    `any_change_loosens` where by any value some orders pass that do not by another, or by none.
    """

    kind: Kind
    words: str
    meet: Callable[[Any, Any], Any]
    absent_is_tightest: bool = False
    any_change_loosens: bool = False


def _lowest(one: Any, other: Any) -> Any:
    return min(one, other, key=Decimal)


def _highest(one: Any, other: Any) -> Any:
    return max(one, other, key=Decimal)


def _all_true(one: bool, other: bool) -> bool:
    return one and other


def _any_true(one: bool, other: bool) -> bool:
    return one or other


def _every_window(one: Windows, other: Windows) -> list[list[int]]:
    """All of them; of two windows of the same length the one with the lower count."""
    counts: dict[int, int] = {}
    for count, seconds in [*one, *other]:
        counts[seconds] = min(count, counts.get(seconds, count))
    return [[count, seconds] for seconds, count in counts.items()]


def _common(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """What both permit, or call soft, or keep in shadow."""
    return [each for each in one if each in other]


def _session(one: str, other: str) -> str:
    return "session" if "session" in (one, other) else one


def _reject(one: str, other: str) -> str:
    return "reject" if "reject" in (one, other) else one


def _same(name: str) -> Callable[[Any, Any], Any]:
    """Where none is tighter rules must not differ; those that do come to no limits."""

    def both(one: Any, other: Any) -> Any:
        if one != other:
            raise ValueError(f"{name} is not the same in all rules")
        return one

    return both


def _rates(one: Plain, other: Plain) -> Plain:
    """Those of all rules together; a currency that two rules speak of has one rate."""
    base = _same("fx_rates.base")(one["base"], other["base"])
    both = one["rates"].keys() & other["rates"].keys()
    for currency in sorted(both):
        _same(f"fx_rates.rates.{currency}")(one["rates"][currency], other["rates"][currency])
    return {"base": base, "rates": {**one["rates"], **other["rates"]}}


def _parts(fields: Mapping[str, Callable[[Any, Any], Any]]) -> Callable[[Plain, Plain], Plain]:
    """Of limits in parts the tightest of each."""

    def both(one: Plain, other: Plain) -> Plain:
        met = {name: fields[name](one[name], other[name]) for name in one if name in other}
        return {**one, **other, **met}

    return both


def _each_group(one: Plain, other: Plain) -> Plain:
    return {name: _EXPOSURE({**one.get(name, {})}, {**other.get(name, {})}) for name in {**one, **other}}


def _restricted(one: Plain, other: Plain) -> Plain:
    """Everything on either list, as old as the older one; of two reasons the one that forbids more."""
    listed = {**one.get("symbols", {}), **other.get("symbols", {})}
    for symbol, why in one.get("symbols", {}).items():
        if listed[symbol] == "hard-to-borrow":
            listed[symbol] = why
    return {
        "as_of": min(one["as_of"], other["as_of"]),
        "source": " and ".join(sorted({one["source"], other["source"]})),
        "max_age_hours": min(one["max_age_hours"], other["max_age_hours"]),
        "symbols": listed,
    }


_EXPOSURE: Final = _parts({"max_gross": _lowest, "max_net": _lowest})
_LOSSES: Final = _parts(
    dict.fromkeys(("max_daily_loss", "max_drawdown", "max_weekly_loss", "max_trades"), _lowest)
)
_CANARY: Final = _parts({"days": _highest, "percent": _lowest})

OF_ACCOUNT: Final[Mapping[str, Field]] = {
    "currency": Field(
        Kind.SETTING,
        "none: rules that differ come to no limits",
        _same("currency"),
        any_change_loosens=True,
    ),
    "fx_rates": Field(
        Kind.SETTING,
        "those of all rules; a currency that has two rates comes to no limits",
        _rates,
        any_change_loosens=True,
    ),
    "fx_max_age_s": Field(Kind.SETTING, "the shortest", _lowest),
    "enabled": Field(Kind.SETTING, "only when every rule that speaks of it says so", _all_true),
    "enabled_until": Field(Kind.SETTING, "the earliest", min, absent_is_tightest=True),
    "max_open_orders": Field(Kind.LEVEL, "the lowest", _lowest),
    "max_open_notional": Field(Kind.LEVEL, "the lowest", _lowest),
    "message_windows": Field(Kind.LEVEL, "every window; the lowest count of each length", _every_window),
    "cancel_windows": Field(Kind.LEVEL, "every window; the lowest count of each length", _every_window),
    "duplicate_window_s": Field(Kind.SETTING, "the longest", _highest),
    "duplicate_soft_window_s": Field(Kind.SETTING, "the longest", _highest),
    "reference_price_max_age_s": Field(Kind.SETTING, "the shortest", _lowest),
    "buying_power_max_age_s": Field(Kind.SETTING, "the shortest", _lowest),
    "buying_power_haircut_percent": Field(Kind.SETTING, "the highest", _highest),
    "far_passive_refused": Field(Kind.SETTING, "as soon as one rule says so", _any_true),
    "stream_stale_max_s": Field(Kind.SETTING, "the shortest", _lowest),
    "reduce_when_stale": Field(Kind.SETTING, "only when every rule that speaks of it says so", _all_true),
    "order_types": Field(Kind.SETTING, "what all permit", _common, absent_is_tightest=True),
    "sides": Field(Kind.SETTING, "what all permit", _common, absent_is_tightest=True),
    "times_in_force": Field(Kind.SETTING, "what all permit", _common, absent_is_tightest=True),
    "venues": Field(Kind.SETTING, "what all permit", _common, absent_is_tightest=True),
    "restricted": Field(Kind.SETTING, "everything on any list, as old as the oldest", _restricted),
    "drift_window_s": Field(Kind.SETTING, "the longest", _highest),
    "market_quote_max_age_s": Field(Kind.SETTING, "the shortest", _lowest),
    "max_gross_exposure": Field(Kind.LEVEL, "the lowest", _lowest),
    "max_net_exposure": Field(Kind.LEVEL, "the lowest", _lowest),
    "shared_exposure": Field(Kind.LEVEL, "of each group the lowest", _each_group),
    "losses": Field(Kind.LEVEL, "of each the lowest", _LOSSES),
    "trading_day": Field(Kind.SETTING, "none: rules that differ come to no limits", _same("trading_day")),
    "hours": Field(Kind.SETTING, "`session`", _session),
    "outside_session": Field(Kind.SETTING, "`reject`", _reject),
    "extended_hours_allowed": Field(
        Kind.SETTING, "only when every rule that speaks of it says so", _all_true
    ),
    "mark_max_age_s": Field(Kind.SETTING, "the shortest", _lowest),
    "volume_max_age_days": Field(Kind.SETTING, "the shortest", _lowest),
    "self_match_refused": Field(Kind.SETTING, "as soon as one rule says so", _any_true),
    "self_match_cancels_oldest": Field(
        Kind.SETTING, "only when every rule that speaks of it says so", _all_true
    ),
    "losses_cancel_all": Field(Kind.SETTING, "as soon as one rule says so", _any_true),
    "error_windows": Field(Kind.LEVEL, "every window; the lowest count of each length", _every_window),
    "execution_windows": Field(Kind.LEVEL, "every window; the lowest count of each length", _every_window),
    "canary": Field(Kind.SETTING, "the most days, the lowest percentage", _CANARY),
    "identity_required": Field(Kind.SETTING, "as soon as one rule says so", _any_true),
    "shadow": Field(Kind.SETTING, "what is in all of them", _common, absent_is_tightest=True),
    "soft": Field(Kind.SETTING, "what is in all of them", _common, absent_is_tightest=True),
}
"""`version` is counted by whoever keeps the rules; `instruments` and `hard` are compiled by themselves."""

OF_INSTRUMENT: Final[Mapping[str, Field]] = {
    "max_order_quantity": Field(Kind.ORDER, "the lowest", _lowest),
    "max_order_notional": Field(Kind.ORDER, "the lowest", _lowest),
    "max_long": Field(Kind.LEVEL, "the lowest", _lowest),
    "max_short": Field(Kind.LEVEL, "the lowest", _lowest),
    "collar_percent": Field(Kind.ORDER, "the lowest", _lowest),
    "collar_ticks": Field(Kind.ORDER, "the lowest", _lowest),
    "drift_percent": Field(Kind.ORDER, "the lowest", _lowest),
    "market_spread_percent": Field(Kind.ORDER, "the lowest", _lowest),
    "market_to_limit_percent": Field(Kind.ORDER, "the lowest", _lowest, any_change_loosens=True),
    "initial_margin": Field(Kind.SETTING, "the highest", _highest, absent_is_tightest=True),
    "maintenance_margin": Field(Kind.SETTING, "the highest", _highest, absent_is_tightest=True),
    "max_concentration_percent": Field(Kind.LEVEL, "the lowest", _lowest),
    "max_volume_percent": Field(Kind.LEVEL, "the lowest", _lowest),
    "max_open_orders": Field(Kind.LEVEL, "the lowest", _lowest),
    "max_open_notional": Field(Kind.LEVEL, "the lowest", _lowest),
    "average_daily_volume": Field(Kind.SETTING, "the lowest", _lowest, absent_is_tightest=True),
    "average_daily_volume_at": Field(Kind.SETTING, "the oldest", min, absent_is_tightest=True),
    "order_types": Field(Kind.SETTING, "what all permit", _common),
    "sides": Field(Kind.SETTING, "what all permit", _common),
    "times_in_force": Field(Kind.SETTING, "what all permit", _common),
    "venues": Field(Kind.SETTING, "what all permit", _common),
}


LISTS: Final = frozenset(name for name, field in OF_ACCOUNT.items() if field.meet is _common)
"""What an account permits, or keeps in shadow: nothing, unless its own rules say so."""


def loosened(before: Plain | None, after: Plain | None) -> list[str]:
    """The fields by which `after` allows something that `before` did not; none of nothing is tighter."""
    if after is None:
        return []
    if before is None:
        return ["everything"]
    found = _loosened_in(OF_ACCOUNT, before, after)
    had, has = before["instruments"], after["instruments"]
    for symbol in sorted(has):
        if symbol not in had:
            found.append(f"instruments.{symbol}")
            continue
        of_one = _loosened_in(OF_INSTRUMENT, had[symbol], has[symbol])
        found += [f"instruments.{symbol}.{name}" for name in of_one]
    return found


def said_less(before: Plain, after: Plain, *, names_instruments: bool) -> list[str]:
    """The limits that a rule with an account's fields says less strictly than it did, or no more.

    Where the rule's instruments are those that may be traded, one that goes is tighter and one that comes is
    not; elsewhere it is the other way about.
    """
    found = _less_in(OF_ACCOUNT, before, after)
    had, has = before.get("instruments", {}), after.get("instruments", {})
    if names_instruments:
        found += [f"instruments.{symbol}" for symbol in has if symbol not in had]
    for symbol, its in had.items():
        if symbol in has or not names_instruments:
            now = has.get(symbol, {})
            found += [f"instruments.{symbol}.{name}" for name in _less_in(OF_INSTRUMENT, its, now)]
    return found


def said_less_of_instrument(before: Plain, after: Plain) -> list[str]:
    """The same of a rule with an instrument's fields."""
    return _less_in(OF_INSTRUMENT, before, after)


def _less_in(fields: Mapping[str, Field], before: Plain, after: Plain) -> list[str]:
    return [
        name
        for name, field in fields.items()
        if name in before and (name not in after or _is_looser(field, before[name], after[name]))
    ]


def _loosened_in(fields: Mapping[str, Field], before: Plain, after: Plain) -> list[str]:
    return [name for name, field in fields.items() if _is_looser(field, before.get(name), after.get(name))]


def _is_looser(field: Field, before: Any, after: Any) -> bool:
    """What is at least as tight changes nothing when it meets what was there."""
    if field.any_change_loosens:
        return bool(_plain(before) != _plain(after))
    if before is None:
        return after is not None and field.absent_is_tightest
    if after is None:
        return not field.absent_is_tightest
    try:
        met = field.meet(before, after)
    except ValueError:
        return True  # neither is tighter
    return bool(_plain(met) != _plain(field.meet(after, after)))


def _plain(value: Any) -> Any:
    """The same however it is spelt: 1.0 is 1, and the order of windows means nothing."""
    match value:
        case str():
            try:
                return Decimal(value)
            except InvalidOperation:
                return value
        case list() | tuple():
            return sorted(tuple(each) if isinstance(each, list | tuple) else each for each in value)
        case Mapping():
            return {name: _plain(each) for name, each in value.items()}
        case _:
            return value
