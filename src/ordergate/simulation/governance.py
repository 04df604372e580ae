"""An auditor's own reading of the limits: which rules the journal has, and what they come to, by other code.

What several rules come to is worked out here from their plain text, for what a run uses alone: the least,
the common, the union. The engine's own compiler is asked for one thing only: what a decision calls them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import Any, Final

import msgspec

from ordergate.core.ids import AccountId, Symbol
from ordergate.core.orders.terms import OrderType, Side
from ordergate.core.risk.compiling import Subject, compiled
from ordergate.core.risk.limits import config_hash
from ordergate.core.risk.overrides import OverrideGranted
from ordergate.core.risk.policy import LimitRuleRemoved, LimitRuleSet
from ordergate.core.risk.rules import Reach, Rule
from ordergate.simulation.ground import START
from ordergate.simulation.listing import INSTRUMENTS, TENANT

RESTRICTED: Final = "restricted"
HARD_TO_BORROW: Final = "hard-to-borrow"
_MOST: Final = (("max_long", Side.BUY), ("max_short", Side.SELL))


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What one account may do. What is not among these a run does not limit, or nobody changes."""

    most: Mapping[tuple[Symbol, Side], Decimal]
    open_orders: int
    gross: Decimal | None
    net: Decimal | None
    daily_loss: Decimal | None
    percent: Mapping[Symbol, Decimal]
    sides: Mapping[Symbol, frozenset[str]]
    types: Mapping[Symbol, frozenset[str]]
    restricted: Mapping[Symbol, str]
    self_match: bool
    messages: Mapping[int, int] = {}
    duplicate_s: Decimal = Decimal(0)
    drift_s: Decimal | None = None
    drift: Mapping[Symbol, Decimal] = {}
    spread: Mapping[Symbol, Decimal] = {}
    canary: Decimal | None = None
    identity: bool = False

    def is_looser_than(self, other: Bounds) -> bool:
        """Whether anything at all is allowed here that was not there."""
        return (
            any(self.most[place] > most for place, most in other.most.items())
            or any(not self.sides[symbol] <= some for symbol, some in other.sides.items())
            or any(not self.types[symbol] <= some for symbol, some in other.types.items())
            or self.open_orders > other.open_orders
            or _more(self.gross, other.gross)
            or _more(self.net, other.net)
            or _more(self.daily_loss, other.daily_loss)
            or any(_more(self.percent.get(symbol), most) for symbol, most in other.percent.items())
            or any(
                self.restricted.get(symbol) not in (why, RESTRICTED)
                for symbol, why in other.restricted.items()
            )
            or (other.self_match and not self.self_match)
            or any(self.messages.get(seconds, inf) > most for seconds, most in other.messages.items())
            or self.duplicate_s < other.duplicate_s
            or any(_more(self.drift.get(symbol), most) for symbol, most in other.drift.items())
            or any(_more(self.spread.get(symbol), most) for symbol, most in other.spread.items())
            or _more(self.canary, other.canary)
            or (other.identity and not self.identity)
        )


class Version(msgspec.Struct):
    """What the rules come to from `since` on; `over_s` is when somebody was told of another one."""

    name: str
    bounds: Bounds
    since: float
    over_s: float = inf


class Governance:
    """Every version of every account's limits, oldest first."""

    def __init__(self, accounts: Iterable[AccountId]) -> None:
        self.versions: dict[AccountId, list[Version]] = {account: [] for account in accounts}
        self.overrides: dict[str, OverrideGranted] = {}
        self._rules: dict[str, Rule] = {}

    def fold(self, events: Sequence[object], now: float) -> None:
        """The events of one committed unit, which hold together or not at all."""
        for event in events:
            if isinstance(event, LimitRuleSet):
                self._rules[event.rule.id] = event.rule
            elif isinstance(event, LimitRuleRemoved):
                self._rules.pop(event.rule_id, None)
            elif isinstance(event, OverrideGranted):
                self.overrides[event.override_id] = event
        for account, versions in self.versions.items():
            rules = [one for one in self._rules.values() if one.scope is Reach.ACCOUNT and one.of == account]
            if not rules:
                continue
            name = _name(account, rules)  # two that bound the same may differ in what no bound shows
            if not versions or versions[-1].name != name:
                versions.append(Version(name, _bounds(rules), now))

    def told(self, now: float) -> None:
        """A change was answered: what came before the latest is over for whoever asks from now on."""
        for versions in self.versions.values():
            for version in versions[:-1]:
                version.over_s = min(version.over_s, now)

    def named(self, account: AccountId, name: str) -> Version | None:
        """The latest that a decision calls by this name."""
        return next((one for one in reversed(self.versions[account]) if one.name == name), None)


def _name(account: AccountId, rules: Sequence[Rule]) -> str:
    return config_hash(compiled(rules, Subject(account, TENANT), INSTRUMENTS, START).limits)


def _bounds(rules: Sequence[Rule]) -> Bounds:
    said = [rule.limits for rule in rules]
    of = {symbol: _of_one(said, symbol) for symbol in INSTRUMENTS}
    restricted: dict[Symbol, str] = {}
    for each in said:
        for symbol, why in each.get("restricted", {}).get("symbols", {}).items():
            if restricted.get(symbol) != RESTRICTED:
                restricted[symbol] = why
    return Bounds(
        most={
            (symbol, side): Decimal(_least(its, name) or 0)
            for symbol, its in of.items()
            for name, side in _MOST
        },
        open_orders=min(each["max_open_orders"] for each in said if "max_open_orders" in each),
        gross=_least(said, "max_gross_exposure"),
        net=_least(said, "max_net_exposure"),
        daily_loss=_least([each.get("losses", {}) for each in said], "max_daily_loss"),
        percent=_of_each(of, "max_concentration_percent"),
        sides={symbol: _common(its, "sides", Side) for symbol, its in of.items()},
        types={symbol: _common(its, "order_types", OrderType) for symbol, its in of.items()},
        restricted=restricted,
        self_match=any(each.get("self_match_refused", False) for each in said),
        messages=_messages(said),
        duplicate_s=max(
            (Decimal(each["duplicate_window_s"]) for each in said if "duplicate_window_s" in each),
            default=Decimal(0),
        ),
        drift_s=_least(said, "drift_window_s"),  # one rule alone has one
        drift=_of_each(of, "drift_percent"),
        spread=_of_each(of, "market_spread_percent"),
        canary=_least([each.get("canary", {}) for each in said], "percent"),
        identity=any(each.get("identity_required", False) for each in said),
    )


def _messages(said: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """How many in so many seconds: of each length the fewest."""
    fewest: dict[int, int] = {}
    for each in said:
        for count, seconds in each.get("message_windows", ()):
            fewest[seconds] = min(count, fewest.get(seconds, count))
    return fewest


def _of_each(of: Mapping[Symbol, Sequence[Mapping[str, Any]]], name: str) -> dict[Symbol, Decimal]:
    """The least of a field, of every symbol that has one."""
    return {symbol: least for symbol, its in of.items() if (least := _least(its, name)) is not None}


def _of_one(said: Iterable[Mapping[str, Any]], symbol: Symbol) -> list[Mapping[str, Any]]:
    return [each["instruments"][symbol] for each in said if symbol in each.get("instruments", {})]


def _least(said: Iterable[Mapping[str, Any]], name: str) -> Decimal | None:
    return min((Decimal(each[name]) for each in said if name in each), default=None)


def _common(said: Iterable[Mapping[str, Any]], name: str, everything: Iterable[str]) -> frozenset[str]:
    return frozenset(everything).intersection(*(each[name] for each in said if name in each))


def _more(now: Decimal | None, before: Decimal | None) -> bool:
    return before is not None and (now is None or now > before)
