"""Tells people what they must know of now: in the log, on the account's stream, in the measurements.

An alarm is journalled once for the same thing, so that it is told once, survives a restart and can be
proved. Nothing waits for it, and nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ordergate.core.accounts.alarms import AlarmNature, alarm_id
from ordergate.core.accounts.events import AlarmCleared, AlarmRaised
from ordergate.core.faults import Fault
from ordergate.engine.accounts.lanes import Seat
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger
from ordergate.telemetry.metrics import Metrics

log = logger("alarms")


class Alarms:
    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics

    def sound(
        self, seat: Seat, nature: AlarmNature, subject: str, detail: str, facts: Mapping[str, str]
    ) -> bool:
        """Raise it, unless it stands already; False when it could not be written down now."""
        account = seat.lane.books.account
        key = alarm_id(nature, subject)
        if account is None or not seat.lane.ready.is_set():
            return False
        if key in account.alarms:
            return True
        log.error("alarm.raised", account=account.id, nature=nature, subject=subject, detail=detail)
        self._metrics.alarm(nature)
        event = AlarmRaised(
            account=account.id,
            at=self._clock.now(),
            alarm_id=key,
            nature=nature,
            subject=subject,
            detail=detail,
            facts=dict(facts),
        )
        return _recorded(seat, event)

    def clear(self, seat: Seat, key: str, how: str) -> None:
        """What it was about is over. Nothing happens where no such alarm stands."""
        account = seat.lane.books.account
        if account is None or key not in account.alarms or not seat.lane.ready.is_set():
            return
        log.info("alarm.cleared", account=account.id, alarm=key, how=how)
        _recorded(seat, AlarmCleared(account=account.id, at=self._clock.now(), alarm_id=key, how=how))


def _recorded(seat: Seat, event: AlarmRaised | AlarmCleared) -> bool:
    try:
        seat.lane.record([event], correlation="alarm")
    except Fault as fault:
        log.error("alarm.unrecorded", account=seat.lane.account, alarm=event.alarm_id, why=str(fault))
        return False
    return True
