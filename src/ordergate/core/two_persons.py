"""What one person must not do alone: each kind says who may ask, who may approve, and for how long it waits.

Never oneself, and never the program that one asked with. Where a kind needs it both have logged in a moment
ago. What a change does when it is approved is somebody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from ordergate.core import approvals
from ordergate.core.access import LOGIN_S_MAX, Principal, Scope
from ordergate.core.approvals import (
    ChangeApproved,
    ChangeProposed,
    ChangeRejected,
    Changes,
    Person,
    person,
)
from ordergate.core.refusals import Code, Refusal

OLD_LOGIN: Final = f"a person has to log in again, by two factors: a login serves this for {LOGIN_S_MAX} s"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of change. `words` are for the documentation.

    Of whoever releases a stop or has it flattened the API asks a fresh login, and of nobody who engages one.
    """

    name: str
    words: str
    asks: Scope
    approves: Scope
    waits: timedelta
    fresh_login: bool


LIMITS: Final = Kind(
    name="limits",
    words="whatever loosens a limit",
    asks=Scope.RISK_WRITE,
    approves=Scope.RISK_WRITE,
    waits=timedelta(days=1),
    fresh_login=True,
)
OVERRIDE: Final = Kind(
    name="override",
    words="one order past named controls, once",
    asks=Scope.ORDERS_WRITE,
    approves=Scope.RISK_WRITE,
    waits=timedelta(minutes=15),
    fresh_login=True,
)
KILL_RELEASE: Final = Kind(
    name="kill_release",
    words="the release of a stop, which whoever engaged it has asked for",
    asks=Scope.OPERATIONS_WRITE,
    approves=Scope.OPERATIONS_WRITE,
    waits=timedelta.max,
    fresh_login=False,
)
FLATTEN: Final = Kind(
    name="flatten",
    words="the flatten of everything under a stop",
    asks=Scope.OPERATIONS_WRITE,
    approves=Scope.OPERATIONS_WRITE,
    waits=timedelta(minutes=15),
    fresh_login=False,
)
ROLE: Final = Kind(
    name="role",
    words="a role for somebody",
    asks=Scope.ACCESS_WRITE,
    approves=Scope.ACCESS_WRITE,
    waits=timedelta(days=1),
    fresh_login=True,
)
KEY: Final = Kind(
    name="key",
    words="a program's key, or a wider one",
    asks=Scope.ACCESS_WRITE,
    approves=Scope.ACCESS_WRITE,
    waits=timedelta(days=1),
    fresh_login=True,
)
KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind for kind in (LIMITS, OVERRIDE, KILL_RELEASE, FLATTEN, ROLE, KEY)
}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: `content` is the kind's own, `summary` says in words what it would do."""

    summary: tuple[str, ...]
    content: dict[str, Any]
    reason: str


def decide_ask(
    changes: Changes, kind: Kind, principal: Principal, wish: Wish, *, change_id: str, at: datetime
) -> ChangeProposed | Refusal:
    """The first person's wish, to wait for another."""
    if (no := may_not(kind.asks, kind, principal, at)) is not None:
        return no
    event = ChangeProposed(
        change_id=change_id,
        at=at,
        subject=kind.name,
        summary=wish.summary,
        content=wish.content,
        by=person(principal),
        reason=wish.reason,
        expires_at=at + kind.waits,
    )
    return approvals.decide_propose(changes, event)


def decide_approve(
    changes: Changes, kind: Kind, principal: Principal, change_id: str, *, at: datetime, reason: str
) -> ChangeApproved | Refusal:
    """Another person's yes."""
    if not principal.may(kind.approves):
        return _lacks(kind.approves)
    approved = approvals.decide_approve(changes, change_id, person(principal), at, reason)
    if isinstance(approved, Refusal):
        return approved
    return may_not(kind.approves, kind, principal, at) or approved


def decide_reject(
    changes: Changes, kind: Kind, principal: Principal, change_id: str, *, at: datetime, reason: str
) -> ChangeRejected | Refusal:
    """The no of whoever might have approved, or asked."""
    if not principal.may(kind.approves) and not principal.may(kind.asks):
        return _lacks(kind.approves)
    return approvals.decide_reject(changes, change_id, person(principal), at, reason)


def may_not(scope: Scope, kind: Kind, principal: Principal, at: datetime) -> Refusal | None:
    """Why this person has no say in such a change, if so."""
    if not principal.may(scope):
        return _lacks(scope)
    return stale_login(principal, at) if kind.fresh_login else None


def same_person(principal: Principal, maker: str, words: str) -> Refusal | None:
    """A refusal where whoever acts now is the one who acted first, or acts through it."""
    if person(principal).is_other_than(Person(maker, maker)):
        return None
    return Refusal(Code.SAME_PERSON, words)


def stale_login(principal: Principal, at: datetime) -> Refusal | None:
    """A person's login of the last minutes is needed; one whose time is not known is too old."""
    if principal.logged_in_lately(at.timestamp()):
        return None
    return Refusal(Code.STEP_UP_REQUIRED, OLD_LOGIN)


def _lacks(scope: Scope) -> Refusal:
    return Refusal(Code.FORBIDDEN, f"the token lacks the scope {scope}")
