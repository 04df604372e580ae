"""Tells people what they must know of now: in the log, on the account's stream, in the measurements.

An alarm is journalled once for the same thing, so that it is told once, survives a restart and can be
proved. Nothing waits for it, and nothing is decided by it. Those that stand are shown to whoever asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ordergate.core.accounts.alarm_words import AlarmView, alarm_view
from ordergate.core.accounts.alarms import AlarmNature, alarm_id
from ordergate.core.accounts.events import AlarmCleared, AlarmRaised
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId
from ordergate.engine.accounts.lanes import Lanes, Seat
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


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The alarms of some accounts; of those in `unread` nobody can tell now."""

    alarms: list[AlarmView]
    unread: list[AccountId]


class StandingAlarms:
    """What stands, as the books have it. An account that is being folded has none to show, and says so."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def of(self, accounts: Sequence[AccountId]) -> Standing:
        found: list[AlarmView] = []
        unread: list[AccountId] = []
        for seat in [seat for one in accounts if (seat := self._lanes.get(one)) is not None]:
            account = seat.lane.books.account
            if account is None or not seat.lane.ready.is_set():
                unread.append(seat.lane.account)
            else:
                found += map(alarm_view, account.alarms.values())
        return Standing(alarms=found, unread=unread)


def _recorded(seat: Seat, event: AlarmRaised | AlarmCleared) -> bool:
    try:
        seat.lane.record([event], correlation="alarm")
    except Fault as fault:
        log.error("alarm.unrecorded", account=seat.lane.account, alarm=event.alarm_id, why=str(fault))
        return False
    return True
