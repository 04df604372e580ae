"""Where an override is asked for, granted, and found again when its order comes.

Who asks may trade the account; who grants may change its limits, is another person, and both have logged in
a moment ago. Finding one costs an order nothing while there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from ordergate.core.access import Principal, Scope
from ordergate.core.approvals import Change, ChangeApproved
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk import overrides
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.overrides import OverrideGranted
from ordergate.core.two_persons import Wish

CONTROLS: Final = frozenset(control.id for control in PRECEDENCE)


class Asked(msgspec.Struct, frozen=True):
    """What a proposed override is about, as it stands in the change."""

    accounts: tuple[str, ...]
    terms: Terms
    controls: tuple[str, ...]
    lives_s: int


def wish(principal: Principal, asked: Asked, reason: str) -> Wish | Refusal:
    """What another person is asked for: to let this one order pass these controls, once."""
    account = asked.terms.account
    if not principal.may(Scope.ORDERS_WRITE):
        return Refusal(Code.FORBIDDEN, f"the token lacks the scope {Scope.ORDERS_WRITE}")
    if not principal.may_on(Scope.ORDERS_WRITE, account):
        return Refusal(Code.NOT_FOUND, f"there is no account {account}")
    wrong = overrides.wrong_with(asked.controls, CONTROLS)
    if wrong is not None:
        return Refusal(Code.INVALID, wrong, {"controls": wrong})
    content: dict[str, Any] = msgspec.to_builtins(asked)
    summary = tuple(f"{account} {control} once" for control in asked.controls)
    return Wish(summary=summary, content=content, reason=reason)


def granted(
    principal: Principal, change: Change, approved: ChangeApproved
) -> Sequence[OverrideGranted] | Refusal:
    """What is journalled when another person says yes."""
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
    return [override]


def asked_in(change: Change) -> Asked | Refusal:
    try:
        return msgspec.convert(change.proposed.content, Asked, strict=False)
    except msgspec.ValidationError as wrong:
        return Refusal(Code.INVALID, f"{change.id} cannot be read: {wrong}")
