"""What an officer signs for a day: which controls fired, what people changed, what broke. Pure counting.

Everything is counted from events; what no event says is not in the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

import msgspec

from ordergate.audit import catalogue
from ordergate.audit.catalogue import Fired
from ordergate.audit.daily_lines import Line, Lines
from ordergate.audit.stop_figures import Figures, Stops, is_of
from ordergate.audit.watching import HOUSE
from ordergate.core.accounts.events import UseRefused
from ordergate.core.contingent.events import GroupAccepted, GroupDenied
from ordergate.core.ids import AccountId
from ordergate.core.orders import events as e
from ordergate.core.risk.trading_state import KillEngaged, Place
from ordergate.ports.journal import Stored

LISTED_MAX: Final = 500

_COUNTED: Final = {
    e.OrderAccepted: "orders accepted",
    e.OrderHeld: "orders kept for the next session",
    e.OrderDenied: "orders denied by risk",
    e.ReplaceRequested: "replacements accepted",
    e.ReplaceDenied: "replacements denied by risk",
    GroupAccepted: "groups accepted",
    GroupDenied: "groups denied by risk",
    e.OrderRejected: "orders rejected, or never sent",
    e.CancelRequested: "cancels asked for",
    e.CancelRejected: "cancels rejected",
    e.OrderPartiallyFilled: "executions",
    e.OrderFilled: "executions",
    e.ExecutionBusted: "executions taken back",
    e.ExecutionCorrected: "executions corrected",
    e.OutcomeUnknown: "outcomes unknown",
    e.OrderQuarantined: "orders quarantined",
    e.OrderAdopted: "orders placed elsewhere and adopted",
    UseRefused: "refused before risk was asked",
}
_DENIED: Final = (e.OrderDenied, e.ReplaceDenied, GroupDenied)


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """A day in numbers and lines. `dropped` says how many lines there was no room for."""

    counts: Counter[str] = msgspec.field(default_factory=Counter)
    fired: Fired = msgspec.field(default_factory=Fired)
    accepted_by_hour: Counter[int] = msgspec.field(default_factory=Counter)
    denied_by_hour: Counter[int] = msgspec.field(default_factory=Counter)
    limits: dict[str, set[str]] = msgspec.field(default_factory=dict)
    sections: dict[str, list[Line]] = msgspec.field(default_factory=dict)
    dropped: Counter[str] = msgspec.field(default_factory=Counter)
    stops: list[Figures] = msgspec.field(default_factory=list)


class Day:
    """Is told every event of every stream, from its first on, the house's streams before the accounts'.

    What came before the day is only remembered: a line of the day may be about it. `wide` are the places of
    each account that are of the whole of it, for the stops.
    """

    def __init__(self, day: date, wide: Mapping[AccountId, frozenset[Place]]) -> None:
        self._day = day
        self._lines = Lines()
        self._stops = Stops(day, wide)
        self._tally = Tally()

    def add(self, account: AccountId, stored: Stored) -> None:
        """The next event of a stream."""
        line = self._lines.add(account, stored.at, stored.event)
        self._stops.add(account, stored.event)
        if not is_of(self._day, stored.at):
            return
        _count(self._tally, account, stored)
        if line is not None:
            _keep(self._tally, *line)

    def made(self) -> Tally:
        """The day, once everything was told."""
        for lines in self._tally.sections.values():
            lines.sort(key=lambda one: one.at)
        return msgspec.structs.replace(self._tally, stops=self._stops.all())


def house_first(accounts: Iterable[AccountId]) -> list[AccountId]:
    """The streams in the order in which they have to be told."""
    return sorted(accounts, key=lambda account: (account[2:] not in HOUSE, account))


def _count(tally: Tally, account: AccountId, stored: Stored) -> None:
    event = stored.event
    counted = _COUNTED.get(type(event))
    if counted is not None:
        tally.counts[counted] += 1
    if isinstance(event, KillEngaged):
        tally.counts[f"stops by the trip {event.trip}" if event.trip else "stops engaged by people"] += 1
    if isinstance(event, e.OrderAccepted):
        tally.accepted_by_hour[stored.at.hour] += 1
        tally.limits.setdefault(account, set()).add(event.config_hash)
    if isinstance(event, _DENIED):
        tally.denied_by_hour[stored.at.hour] += 1
        tally.limits.setdefault(account, set()).add(event.config_hash)
    catalogue.count(tally.fired, event)


def _keep(tally: Tally, section: str, line: Line) -> None:
    lines = tally.sections.setdefault(section, [])
    if len(lines) >= LISTED_MAX:
        tally.dropped[section] += 1
    else:
        lines.append(line)
