"""One order let past one control, once: by two persons who have just logged in, for a reason, for minutes.

An override names the whole order and the controls that it lifts. It lifts only what was compared and found
over its limit: what could not be evaluated stays refused, and so does whatever stops an order for good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from ordergate.core.approvals import Person
from ordergate.core.ids import AccountId
from ordergate.core.orders.events import FailedControl, Severity
from ordergate.core.orders.terms import Terms
from ordergate.core.risk.policy import LimitEvent

NEVER: Final = frozenset({"R01", "R02", "R03", "R04", "R05", "R20"})
LIFETIME_MAX: Final = timedelta(minutes=15)


class OverrideGranted(LimitEvent, frozen=True, kw_only=True, tag="override_granted"):
    """For the `terms` as they are, asked by `by` and by nobody else, until `expires_at`, once."""

    override_id: str
    terms: Terms
    controls: tuple[str, ...]
    expires_at: datetime

    @property
    def account(self) -> AccountId:
        return self.terms.account

    def is_for(self, terms: Terms, user: str, at: datetime) -> bool:
        """The very order: a label of the client's own counts only where the override has one."""
        if at >= self.expires_at or user != self.by.subject:
            return False
        if self.terms.client_order_id is None:
            terms = msgspec.structs.replace(terms, client_order_id=None)
        return terms == self.terms


def wrong_with(controls: Collection[str], known: Collection[str]) -> str | None:
    """Why these controls cannot be lifted, or None."""
    if not controls:
        return "name at least one control"
    for control in controls:
        if control not in known:
            return f"there is no control {control}"
        if control in NEVER:
            return f"{control} is never lifted"
    return None


def lifted(failed: Iterable[FailedControl], controls: Collection[str]) -> tuple[FailedControl, ...]:
    """The failures that such an override lifts: soft ones, with a limit and a value over it."""
    may = frozenset(controls) - NEVER
    return tuple(
        no
        for no in failed
        if no.control in may
        and no.severity is Severity.SOFT
        and no.limit is not None
        and no.value is not None
    )


def granted(
    change_id: str,
    terms: Terms,
    controls: Iterable[str],
    *,
    lives: timedelta,
    by: Person,
    approved_by: Person,
    at: datetime,
    reason: str,
) -> OverrideGranted:
    return OverrideGranted(
        at=at,
        by=by,
        change_id=change_id,
        approved_by=approved_by,
        reason=reason,
        override_id=change_id,
        terms=terms,
        controls=tuple(sorted(set(controls))),
        expires_at=at + min(lives, LIFETIME_MAX),
    )
