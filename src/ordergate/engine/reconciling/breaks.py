"""Writes down what a reconciliation means for an account's breaks, and raises the alarm.

Decides nothing by itself: `core.accounts.settling` says what follows, from the evidence alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from ordergate.core.accounts.breaks import Difference, Severity
from ordergate.core.accounts.events import AnyBreakEvent, BreakHealed, BreakOpened, BreakReopened
from ordergate.core.accounts.healing import Evidence
from ordergate.core.accounts.settling import follow_ups
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.accounts.runs import Tally
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("breaks")


class BreakBook:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def note(self, seat: Seat, differences: Sequence[Difference], seen: Evidence, tally: Tally) -> None:
        """Open, note, reopen and heal, in one unit. Raises Fault when it cannot be recorded."""
        account = seat.lane.books.account
        if account is None:
            return
        events = follow_ups(account, differences, seen, self._clock.now())
        if not events:
            return
        seat.lane.record(events, correlation="reconciliation")
        for event in events:
            self._count(seat, event, tally)

    def _count(self, seat: Seat, event: AnyBreakEvent, tally: Tally) -> None:
        account = seat.lane.account
        match event:
            case BreakOpened():
                tally.breaks_opened += 1
                tell = log.error if event.severity == Severity.SEVERE else log.warning
                tell(
                    "break.opened",
                    account=account,
                    id=event.break_id,
                    nature=event.nature,
                    severity=event.severity,
                    subject=event.subject,
                    ours=event.ours,
                    theirs=event.theirs,
                )
            case BreakHealed():
                tally.breaks_healed += 1
                log.info("break.healed", account=account, id=event.break_id, rule=event.rule)
            case BreakReopened():
                tally.breaks_opened += 1
                log.error("break.reopened", account=account, id=event.break_id)
            case _:
                tally.breaks_noted += 1
