"""Limits as rules: what is limited, for whom, since when and until when, by whom and approved by whom.

A rule is data with a version. Reading one is strict: a field that is misspelt, of the wrong kind, or that
the rule's scope cannot have is refused by name, because a limit that is silently ignored is a missing
limit. What several rules come to together is compiled elsewhere (`core.risk.compiling`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from ordergate.core.orders.events import Severity
from ordergate.core.risk.limits import limits_of, mapping_of

RULES_MAX: Final = 500
ID: Final = "[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}"
_ID: Final = re.compile(ID)


class Reach(StrEnum):
    """For whom a rule holds. The text beside each says what `of` names."""

    what: str

    def __new__(cls, value: str, what: str) -> Reach:
        member = str.__new__(cls, value)
        member._value_ = value
        member.what = what
        return member

    FIRM = "firm", "nothing: everybody"
    TENANT = "tenant", "a tenant"
    DESK = "desk", "a desk, as the accounts' settings name it"
    ACCOUNT = "account", "an account id"
    USER = "user", "the subject of a token"
    STRATEGY = "strategy", "the strategy that an order names"
    INSTRUMENT = "instrument", "a symbol"
    ASSET_CLASS = "asset_class", "an asset class"


class Mode(StrEnum):
    """A rule in shadow binds nobody; a dry run shows what it would have refused."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


OF_ONE_INSTRUMENT: Final = frozenset({Reach.INSTRUMENT, Reach.ASSET_CLASS})
OF_ONE_WHO_ASKS: Final = frozenset({Reach.USER, Reach.STRATEGY})

# Messages, recent orders and errors are counted for the account, so no part of it has windows of its own.
COUNTED_BY_ACCOUNT: Final = frozenset(
    {"message_windows", "cancel_windows", "duplicate_window_s", "duplicate_soft_window_s", "error_windows"}
)
COUNTED_BY_STRATEGY: Final = "execution_windows"

# What amounts are in, and what that is worth, is the same for all of an account.
SAID_FOR_ALL: Final = frozenset({"currency", "fx_rates"})


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`limits` are fields as a file writes them: an account's, or those of one instrument where the scope

    is an instrument or an asset class. What only a rule of soft severity refuses is a soft no. `version`
    counts the changes of this rule. `made_by` and `approved_by` are who changed it last; a rule that only
    tightened needed no second person.
    """

    id: str
    scope: Reach
    of: str = ""
    limits: dict[str, Any]
    mode: Mode = Mode.ENFORCE
    severity: Severity = Severity.HARD
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    owner: str
    version: int = 1
    made_by: str = ""
    approved_by: str | None = None
    changed_at: datetime | None = None
    reason: str = ""

    def is_in_effect(self, at: datetime) -> bool:
        begun = self.effective_from is None or self.effective_from <= at
        return begun and (self.effective_to is None or at < self.effective_to)

    @property
    def content(self) -> tuple[object, ...]:
        """What makes it another rule when it changes; who changed it and how often does not."""
        return (
            self.scope,
            self.of,
            self.limits,
            self.mode,
            self.severity,
            self.effective_from,
            self.effective_to,
            self.owner,
        )


def read(rule: Rule) -> Rule:
    """The rule with its limits written in the one way. Raises ValueError naming what is wrong."""
    if _ID.fullmatch(rule.id) is None:
        raise ValueError("id must be 1 to 64 letters, digits and _ . : -, the first a letter or digit")
    if (rule.scope is Reach.FIRM) != (rule.of == ""):
        raise ValueError(f"of must name {rule.scope.what}")
    if not rule.owner:
        raise ValueError("owner must name who answers for the rule")
    first, last = rule.effective_from, rule.effective_to
    if any(moment is not None and moment.tzinfo is None for moment in (first, last)):
        raise ValueError("effective_from and effective_to need a time zone")
    if first is not None and last is not None and last <= first:
        raise ValueError("effective_to must be after effective_from")
    if not rule.limits:
        raise ValueError("limits must say at least one limit")
    written = _of_instrument(rule.limits) if rule.scope in OF_ONE_INSTRUMENT else _of_account(rule)
    return msgspec.structs.replace(rule, limits=written)


def _of_account(rule: Rule) -> dict[str, Any]:
    given = rule.limits
    if "version" in given:
        raise ValueError("limits.version is counted by the gateway")
    if rule.scope in OF_ONE_WHO_ASKS and (strange := sorted(COUNTED_BY_ACCOUNT & set(given))):
        raise ValueError(f"limits.{strange[0]} is counted by account: a {rule.scope} has none of its own")
    if rule.scope is Reach.USER and COUNTED_BY_STRATEGY in given:
        raise ValueError(f"limits.{COUNTED_BY_STRATEGY} is counted by strategy: a user has none of their own")
    if rule.scope in OF_ONE_WHO_ASKS and (strange := sorted(SAID_FOR_ALL & set(given))):
        raise ValueError(f"limits.{strange[0]} is the account's: a {rule.scope} has none of its own")
    if "enabled_until" in given and rule.scope is not Reach.ACCOUNT:
        raise ValueError("limits.enabled_until is of one account: each is enabled by itself")
    named = given.get("instruments", {})
    whole = {
        symbol: {**STAND_INS_OF_INSTRUMENT, **its} if isinstance(its, Mapping) else its
        for symbol, its in (named.items() if isinstance(named, Mapping) else ())
    }
    plain = {**STAND_INS, **given, "instruments": whole if isinstance(named, Mapping) else named}
    read_back: dict[str, Any] = mapping_of(limits_of(plain))
    written = {name: read_back.get(name, value) for name, value in given.items()}  # none of it is said, too
    if "instruments" in given:
        theirs = read_back["instruments"]
        written["instruments"] = {
            symbol: {name: theirs[symbol].get(name, value) for name, value in its.items()}
            for symbol, its in named.items()
        }
    return written


def _of_instrument(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        read_back: Any = mapping_of(
            limits_of({**STAND_INS, "instruments": {"_": {**STAND_INS_OF_INSTRUMENT, **given}}})
        )
    except ValueError as wrong:
        raise ValueError(str(wrong).replace("limits.instruments._", "limits", 1)) from wrong
    its = read_back["instruments"]["_"]
    return {name: its.get(name, value) for name, value in given.items()}


# A rule says some limits and others say the rest: what is not said is filled in while it is read.
STAND_INS: Final[Mapping[str, Any]] = {
    "version": 1,
    "max_open_orders": 0,
    "max_open_notional": "0",
    "message_windows": [[1, 1]],
    "trading_day": {"zone": "UTC", "ends_at": "00:00"},
    "instruments": {},
}
STAND_INS_OF_INSTRUMENT: Final[Mapping[str, Any]] = {
    "max_order_quantity": "0",
    "max_order_notional": "0",
    "max_long": "0",
    "max_short": "0",
    "collar_percent": "0",
}
