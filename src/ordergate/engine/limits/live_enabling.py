"""Who may let an account trade in live, and for how long: two persons who have logged in a moment ago.

An account is enabled by a rule of its own with `enabled_until`. That it takes two is the limits' own law, for
such a rule only ever loosens; here is what is asked on top of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ordergate.core.access import Principal
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.policy import Edit, Policy
from ordergate.core.two_persons import stale_login

FIELD: Final = "enabled_until"
ENABLED_MAX: Final = timedelta(days=31)


def refused(principal: Principal, edits: Sequence[Edit], policy: Policy, at: datetime) -> Refusal | None:
    """Why this person may not propose, or approve, these edits now; None where they enable nothing."""
    later = [until for edit in edits if (until := _enables(edit, policy)) is not None]
    if not later:
        return None
    if (no := stale_login(principal, at)) is not None:
        return no
    if any(until > at + ENABLED_MAX for until in later):
        words = f"an account is enabled for at most {ENABLED_MAX.days} days"
        return Refusal(Code.INVALID, words, {FIELD: words})
    return None


def _enables(edit: Edit, policy: Policy) -> datetime | None:
    """Until when the edit enables an account that was not, or not for so long."""
    said = None if edit.rule is None else edit.rule.limits.get(FIELD)
    if said is None:
        return None
    until = datetime.fromisoformat(said)
    standing = policy.rules.get(edit.rule_id)
    before = None if standing is None else standing.limits.get(FIELD)
    return until if before is None or datetime.fromisoformat(before) < until else None
