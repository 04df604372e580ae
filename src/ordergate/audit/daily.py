"""What an officer signs for a day: which controls fired, what people changed, what broke. Pure counting.

Everything is counted from events; what no event says is not in the report.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, Final

import msgspec

from ordergate.audit.watching import POLICY
from ordergate.core.accounts import events as a
from ordergate.core.contingent.events import GroupDenied
from ordergate.core.ids import AccountId
from ordergate.core.orders import events as e
from ordergate.core.privileged import PrivilegedEvent
from ordergate.core.risk.trading_state import ControlEvent
from ordergate.ports.journal import Stored

LISTED_MAX: Final = 500

_COUNTED: Final = {
    e.OrderAccepted: "orders accepted",
    e.OrderHeld: "orders kept for the next session",
    e.OrderDenied: "orders denied by risk",
    e.ReplaceRequested: "replacements accepted",
    e.ReplaceDenied: "replacements denied by risk",
    GroupDenied: "groups denied by risk",
    e.OrderRejected: "orders rejected, or never sent",
    e.CancelRequested: "cancels asked for",
    e.OrderPartiallyFilled: "executions",
    e.OrderFilled: "executions",
    e.ExecutionBusted: "executions taken back",
    e.ExecutionCorrected: "executions corrected",
    e.OutcomeUnknown: "outcomes unknown",
    e.OrderQuarantined: "orders quarantined",
    e.OrderAdopted: "orders placed elsewhere and adopted",
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a person should read."""

    at: datetime
    where: str
    what: str
    who: str
    why: str


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """A day in numbers and lines. `dropped` says how many lines there was no room for."""

    counts: Counter[str] = msgspec.field(default_factory=Counter)
    fired: Counter[str] = msgspec.field(default_factory=Counter)
    reasons: Counter[str] = msgspec.field(default_factory=Counter)
    accepted_by_hour: Counter[int] = msgspec.field(default_factory=Counter)
    denied_by_hour: Counter[int] = msgspec.field(default_factory=Counter)
    limits: dict[str, set[str]] = msgspec.field(default_factory=dict)
    sections: dict[str, list[Line]] = msgspec.field(default_factory=dict)
    dropped: Counter[str] = msgspec.field(default_factory=Counter)


KILL: Final = "Kill switch"
POLICIES: Final = "Limit changes and overrides"
BREAKS: Final = "Breaks"
ALARMS: Final = "Alarms"
DECISIONS: Final = "Decided by people"
PRIVILEGED: Final = "Privileged acts"
SECTIONS: Final = (KILL, POLICIES, BREAKS, ALARMS, DECISIONS, PRIVILEGED)


def add(tally: Tally, account: AccountId, stored: Stored) -> None:
    """Count one event of the day."""
    event = stored.event
    counted = _COUNTED.get(type(event))
    if counted is not None:
        tally.counts[counted] += 1
    if isinstance(event, e.OrderAccepted):
        tally.accepted_by_hour[stored.at.hour] += 1
        tally.limits.setdefault(account, set()).add(event.config_hash)
    if isinstance(event, e.OrderDenied | e.ReplaceDenied | GroupDenied):
        tally.denied_by_hour[stored.at.hour] += 1
        tally.limits.setdefault(account, set()).add(event.config_hash)
        for one in event.failed:
            tally.fired[one.control] += 1
            tally.reasons[f"{one.control} {one.reason}"] += 1
    section = _section_of(event)
    if section is not None:
        lines = tally.sections.setdefault(section, [])
        if len(lines) >= LISTED_MAX:
            tally.dropped[section] += 1
        else:
            lines.append(_line(account, stored))


def _section_of(event: Any) -> str | None:
    kind = str(type(event).__struct_config__.tag)
    if kind.startswith(POLICY):
        return POLICIES
    match event:
        case ControlEvent():
            return KILL
        case a.BreakOpened() | a.BreakHealed() | a.BreakReopened():
            return BREAKS
        case a.BreakResolved() | a.BreakAssigned() | e.OrderResolved() | a.CashAdjusted():
            return DECISIONS
        case a.AlarmRaised():
            return ALARMS
        case PrivilegedEvent():
            return PRIVILEGED
        case _:
            return None


_WHAT: Final = (
    "grade",
    "nature",
    "severity",
    "subject",
    "action",
    "resolution",
    "order_id",
    "what",
    "operation",
    "client_id",
    "version",
)
_WHY: Final = ("reason", "detail", "why", "rule", "evidence", "note")


def _line(account: AccountId, stored: Stored) -> Line:
    fields = msgspec.to_builtins(stored.event)
    what = [fields["kind"].replace("_", " ")]
    what += [str(fields[name]) for name in _WHAT if fields.get(name)]
    why = [str(fields[name]) for name in _WHY if fields.get(name)]
    who = next((str(fields[name]) for name in ("actor", "by", "owner") if fields.get(name)), "")
    return Line(at=stored.at, where=account, what=" · ".join(what), who=who, why="; ".join(why))
