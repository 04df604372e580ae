"""What is called an alarm: a thing that nobody may overlook, and that no machine may decide."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from ordergate.core.accounts.events import AlarmCleared, AlarmRaised, AnyAlarmEvent


class AlarmNature(StrEnum):
    """Stable words. The first two last until they are cleared; the others are mere happenings."""

    UNKNOWN_ORDER = "unknown_order"
    QUARANTINED_ORDER = "quarantined_order"
    EXECUTION_REPEATED = "execution_repeated"
    ORDER_OVERFILLED = "order_overfilled"
    UNLISTED_SYMBOL = "unlisted_symbol"
    ORDER_NOT_SHOWN = "order_not_shown"
    ORDER_INEXPRESSIBLE = "order_inexpressible"
    ORDER_DOUBLED = "order_doubled"
    GROUP_OVERRUN = "group_overrun"
    GROUP_GAVE_UP = "group_gave_up"
    GROUP_PUT_OFF = "group_put_off"
    LOSS_LIMIT = "loss_limit"
    EGRESS_WITHHELD = "egress_withheld"


LASTING: Final[frozenset[str]] = frozenset({AlarmNature.UNKNOWN_ORDER, AlarmNature.QUARANTINED_ORDER})

Alarms = Mapping[str, AlarmRaised]
NO_ALARMS: Final[Alarms] = {}
KEPT_MAX: Final = 1_000


def alarm_id(nature: AlarmNature, subject: str) -> str:
    return f"{nature}:{subject}"


def evolve(alarms: Alarms, event: AnyAlarmEvent) -> Alarms:
    """The alarms that stand after an event; of those nobody clears the oldest are let go."""
    if isinstance(event, AlarmCleared):
        return {key: one for key, one in alarms.items() if key != event.alarm_id}
    after = {**alarms, event.alarm_id: event}
    if len(after) > KEPT_MAX:
        passing = [key for key, one in after.items() if one.nature not in LASTING]
        for key in passing[: len(after) - KEPT_MAX]:
            del after[key]
    return after
