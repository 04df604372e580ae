"""Every control of the catalogue, how often it acted on a day, and which events say so. Pure counting.

Most controls refuse, and a refusal is in the journal. What works otherwise is counted by the event that it
leaves; what leaves none is listed as well, with that said.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

import msgspec

from ordergate.core.accounts import events as a
from ordergate.core.accounts.breaks import Nature
from ordergate.core.contingent.events import GroupDenied
from ordergate.core.orders import events as e
from ordergate.core.orders.content import EGRESS_PARITY
from ordergate.core.orders.events import FailedControl
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.trading_state import DeadManExpired, KillEngaged, Trip


class Listed(NamedTuple):
    """One control. `acts` says what is counted of it besides refusals; empty where there is nothing."""

    id: str
    name: str
    acts: str = ""


_ACTS: Final = {
    "R17": "strategies, and accounts for orders of none, stopped by the trip repeated-execution",
    "R18": "loss limits that were reached",
    "R20": "orders that were kept back, or whose replacement was",
    "R23": "orders let past a control",
    "R24": "replacements refused, each counted at the control that refused it as well",
    "R25": "accounts stopped by the trip stream-stale",
    "R26": "accounts stopped by the trip error-rate",
    "R29": "leaves no event: what was told is in the drop copy and in the messages to the endpoints",
    "R30": "dead man's switches that ran out; a broker's own leaves no event",
}
_OTHERS: Final = {
    "R17": "repeated execution",
    "R20": "egress parity",
    "R23": "override",
    "R24": "cancel and replace",
    "R26": "error rate",
    "R29": "surveillance",
    "R30": "cancel on disconnect",
}
CATALOGUE: Final = tuple(
    Listed(one, name, _ACTS.get(one, ""))
    for one, name in sorted({**{one.id: one.name for one in PRECEDENCE}, **_OTHERS}.items())
)
UNSEEN: Final = frozenset({"R29"})
"""What leaves no event at all: it is no finding that none was counted."""

TRIPS: Final = {
    Trip.REPEATED_EXECUTION: "R17",
    Trip.STREAM_STALE: "R25",
    Trip.ERROR_RATE: "R26",
}
"""The other trips are no control's of the catalogue, or, as R18's, follow what is counted already."""

_REFUSALS: Final = (e.OrderDenied, e.ReplaceDenied, GroupDenied)
_NOTES: Final = (
    e.OrderAccepted, e.OrderHeld, e.HeldReplaced, e.OrderDenied, e.ReplaceRequested, e.ReplaceDenied,
)  # fmt: skip


class Fired(msgspec.Struct, frozen=True, kw_only=True):
    """By control: decisions that it refused, would have refused but for its shadow, let past, and its acts.

    `reasons` and `noted_reasons` have the same by control and reason. `kept_back` are the orders of R20.
    """

    refused: Counter[str] = msgspec.field(default_factory=Counter)
    noted: Counter[str] = msgspec.field(default_factory=Counter)
    lifted: Counter[str] = msgspec.field(default_factory=Counter)
    acted: Counter[str] = msgspec.field(default_factory=Counter)
    reasons: Counter[str] = msgspec.field(default_factory=Counter)
    noted_reasons: Counter[str] = msgspec.field(default_factory=Counter)
    kept_back: set[str] = msgspec.field(default_factory=set)


def count(fired: Fired, event: Any) -> None:
    """One event of the day."""
    if isinstance(event, _REFUSALS):
        _count_each(event.failed, fired.refused, fired.reasons)
    if isinstance(event, _NOTES):
        _count_each(event.noted, fired.noted, fired.noted_reasons)
    match event:
        case e.ReplaceDenied():
            fired.acted["R24"] += 1
        case e.OrderRejected(reason=reason) | e.ReplaceRejected(reason=reason) if reason == EGRESS_PARITY:
            _keep_back(fired, event.order_id)
        case a.BreakOpened(nature=Nature.EGRESS):
            _keep_back(fired, event.subject)
        case a.OverrideUsed():
            fired.acted["R23"] += 1
            fired.lifted.update({no.control for no in event.lifted})
        case a.LossLimitReached():
            fired.acted["R18"] += 1
        case KillEngaged(trip=Trip() as trip) if trip in TRIPS:
            fired.acted[TRIPS[trip]] += 1
        case DeadManExpired():
            fired.acted["R30"] += 1
        case _:
            pass


def _count_each(failed: tuple[FailedControl, ...], by_control: Counter[str], by_reason: Counter[str]) -> None:
    """A decision counts once, also where several orders of a group fail at one control."""
    by_control.update({no.control for no in failed})
    by_reason.update({f"{no.control} {no.reason}" for no in failed})


def _keep_back(fired: Fired, order: str) -> None:
    """One order, though its break and its end both tell of it."""
    fired.kept_back.add(order)
    fired.acted["R20"] = len(fired.kept_back)
