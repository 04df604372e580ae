"""Whoever loosened a limit, by asking for it or by agreeing, places nothing for a quarter of an hour.

So nobody loosens a limit in order to trade on it: others see the change first. Cancels, and closing what is
held under a stop, are not about this. Pure: who it was is told by the changes themselves, so that a restart
forgets nobody.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ordergate.core.access import Principal
from ordergate.core.approvals import Change, Changes, Person, State, person
from ordergate.core.refusals import Code, Refusal
from ordergate.core.two_persons import LIMITS

COOL_DOWN: Final = timedelta(minutes=15)

Loosened = tuple[tuple[Person, datetime], ...]
"""Who, and until when."""


def loosened(changes: Changes, now: datetime) -> Loosened:
    """Of the changes that loosened limits lately, both persons of each."""
    return tuple(
        (one, until)
        for change in changes.values()
        if (until := _until(change)) is not None and now < until
        for one in (change.proposed.by, change.settled_by)
        if one is not None
    )


def refuse_cooling(by: Loosened, principal: Principal, now: datetime) -> Refusal | None:
    """Why this principal does not place now, if so: it, or whoever answers for it."""
    asks, owner = person(principal), principal.owner
    behind = asks if owner is None else Person(owner, owner, principal.tenant)
    untils = [
        until
        for one, until in by
        if now < until and not (asks.is_other_than(one) and behind.is_other_than(one))
    ]
    if not untils:
        return None
    from_then = max(untils).isoformat(timespec="seconds")
    return Refusal(Code.COOL_DOWN, f"{behind.subject} loosened a limit, and may place from {from_then} on")


def _until(change: Change) -> datetime | None:
    if change.proposed.subject != LIMITS.name or change.state is not State.APPROVED:
        return None
    return None if change.settled_at is None else change.settled_at + COOL_DOWN
