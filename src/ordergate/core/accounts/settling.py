"""What follows for an account's breaks from one reconciliation. Pure; nothing is guessed.

A difference opens a break, or is noted on the one that is open, or reopens a dismissed one that
has become another. A break whose difference was not seen is healed only where a rule proves it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ordergate.core.accounts.account import Account
from ordergate.core.accounts.breaks import SEVERITY, Break, Difference, break_id
from ordergate.core.accounts.events import (
    AnyBreakEvent,
    BreakHealed,
    BreakNoted,
    BreakOpened,
    BreakReopened,
)
from ordergate.core.accounts.healing import Evidence, healed_by

BREAKS_MAX: Final = 500
"""So many breaks of one severity are kept of one account; a broker that lost everything fills no memory.

What is harmless takes no room from what is not: a severe break that is not opened stops nothing.
"""


def follow_ups(
    account: Account, differences: Sequence[Difference], seen: Evidence, at: datetime
) -> list[AnyBreakEvent]:
    """`differences` are sure; those that could still be news under way are only in `seen`."""
    known = {item.key: item for item in account.breaks.values()}
    events: list[AnyBreakEvent] = []
    kept = Counter(item.severity for item in known.values())
    for difference in {item.key: item for item in differences}.values():
        item = known.get(difference.key)
        if item is not None:
            events.extend(_seen_again(item, difference, at))
        elif kept[SEVERITY[difference.nature]] < BREAKS_MAX:
            kept[SEVERITY[difference.nature]] += 1
            events.append(_opening(account, difference, at))
    sure = {difference.key for difference in differences}
    for item in account.breaks.values():
        if item.key not in sure and (healing := healed_by(item, seen)) is not None:
            events.append(
                BreakHealed(
                    account=account.id,
                    at=at,
                    break_id=item.id,
                    rule=healing.rule,
                    evidence=healing.evidence,
                )
            )
    return events


def _opening(account: Account, item: Difference, at: datetime) -> BreakOpened:
    return BreakOpened(
        account=account.id,
        at=at,
        break_id=break_id(account.id, item.nature, item.subject, at),
        nature=item.nature,
        severity=SEVERITY[item.nature],
        subject=item.subject,
        ours=item.ours,
        theirs=item.theirs,
        detail=item.detail,
    )


def _seen_again(item: Break, now: Difference, at: datetime) -> list[AnyBreakEvent]:
    """A dismissed difference stays dismissed while it is the same one."""
    if item.is_dismissed:
        if item.gap == now.gap:
            return []
        kind: type[BreakNoted | BreakReopened] = BreakReopened
    elif (item.ours, item.theirs) == (now.ours, now.theirs):
        return []
    else:
        kind = BreakNoted
    return [
        kind(
            account=item.account,
            at=at,
            break_id=item.id,
            ours=now.ours,
            theirs=now.theirs,
            detail=now.detail,
        )
    ]
