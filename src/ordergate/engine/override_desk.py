"""Where an override is asked for, granted, and found again when its order comes.

Who asks may trade the account; who grants may change its limits, is another person, and both have logged in
a moment ago. Finding one costs an order nothing while there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from ordergate.core.access import LOGIN_S_MAX, Principal, Scope
from ordergate.core.approvals import Change, ChangeApproved, ChangeProposed, person
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk import overrides
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.overrides import OverrideGranted

OVERRIDE: Final = "override"
WAITS: Final = timedelta(minutes=15)
CONTROLS: Final = frozenset(control.id for control in PRECEDENCE)


class Asked(msgspec.Struct, frozen=True):
    """What a proposed override is about, as it stands in the change."""

    accounts: tuple[str, ...]
    terms: Terms
    controls: tuple[str, ...]
    lives_s: int


def proposed(
    principal: Principal,
    asked: Asked,
    *,
    change_id: str,
    reason: str,
    at: datetime,
) -> ChangeProposed | Refusal:
    """Ask another person to let this one order pass these controls, once."""
    account = asked.terms.account
    if not principal.may(Scope.ORDERS_WRITE):
        return Refusal(Code.FORBIDDEN, f"the token lacks the scope {Scope.ORDERS_WRITE}")
    if not principal.may_on(Scope.ORDERS_WRITE, account):
        return Refusal(Code.NOT_FOUND, f"there is no account {account}")
    if (no := stale_login(principal, at)) is not None:
        return no
    wrong = overrides.wrong_with(asked.controls, CONTROLS)
    if wrong is not None:
        return Refusal(Code.INVALID, wrong, {"controls": wrong})
    content: dict[str, Any] = msgspec.to_builtins(asked)
    return ChangeProposed(
        change_id=change_id,
        at=at,
        subject=OVERRIDE,
        summary=tuple(f"{account} {control} once" for control in asked.controls),
        content=content,
        by=person(principal),
        reason=reason,
        expires_at=at + WAITS,
    )


def granted(
    principal: Principal, change: Change, approved: ChangeApproved
) -> Sequence[ChangeApproved | OverrideGranted] | Refusal:
    """What is journalled when another person says yes."""
    if (no := stale_login(principal, approved.at)) is not None:
        return no
    asked = asked_in(change)
    if isinstance(asked, Refusal):
        return asked
    if not principal.may_on(Scope.RISK_WRITE, asked.terms.account):
        return Refusal(Code.NOT_FOUND, f"there is no change {change.id}")
    override = overrides.granted(
        change.id,
        asked.terms,
        asked.controls,
        lives=timedelta(seconds=asked.lives_s),
        by=change.proposed.by,
        approved_by=approved.by,
        at=approved.at,
        reason=change.proposed.reason,
    )
    return [approved, override]


def asked_in(change: Change) -> Asked | Refusal:
    try:
        return msgspec.convert(change.proposed.content, Asked, strict=False)
    except msgspec.ValidationError as wrong:
        return Refusal(Code.INVALID, f"{change.id} cannot be read: {wrong}")


def stale_login(principal: Principal, at: datetime) -> Refusal | None:
    """An override needs a login of the last minutes; one whose time is not known is too old."""
    if principal.logged_in_lately(at.timestamp()):
        return None
    return Refusal(Code.STEP_UP_REQUIRED, f"log in again: the login must not be older than {LOGIN_S_MAX} s")
