"""Two persons for what one must not do alone: a change is proposed by one and approved by another.

General: what is changed is somebody else's `content`, named by `subject`; here it is only who, when and
whether. A change is settled once: approved, rejected, or expired. Decide judges, evolve changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, assert_never

import msgspec

from ordergate.core.access import Principal
from ordergate.core.refusals import Code, Refusal

SETTLED_KEPT_MAX: Final = 1_000
PENDING_MAX: Final = 1_000
PENDING_OF_ONE_MAX: Final = 50


class Person(msgspec.Struct, frozen=True):
    """Who acts: a token's subject and the client that it was issued to.

    People who use one application are two; a person and the program that acts for it are not.
    """

    subject: str
    client: str
    tenant: str = ""

    def is_other_than(self, other: Person) -> bool:
        return self.subject not in (other.subject, other.client) and self.client != other.subject


def person(principal: Principal) -> Person:
    return Person(principal.subject, principal.client_id, principal.tenant)


class ChangeEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="kind"):
    """The base of every event of a change that needs two persons. `at` is in UTC."""

    change_id: str
    at: datetime


class ChangeProposed(ChangeEvent, frozen=True, kw_only=True, tag="change_proposed"):
    """`subject` says what kind of thing it is about, `summary` what it would do, in words."""

    subject: str
    summary: tuple[str, ...]
    content: dict[str, Any]
    by: Person
    reason: str
    expires_at: datetime


class ChangeApproved(ChangeEvent, frozen=True, kw_only=True, tag="change_approved"):
    by: Person
    reason: str


class ChangeRejected(ChangeEvent, frozen=True, kw_only=True, tag="change_rejected"):
    """By another person, or taken back by the one who proposed it."""

    by: Person
    reason: str


class ChangeExpired(ChangeEvent, frozen=True, kw_only=True, tag="change_expired"):
    """Nobody approved it in time."""


AnyChangeEvent = ChangeProposed | ChangeApproved | ChangeRejected | ChangeExpired


class State(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change as it stands. `settled_by` is None while it is pending, and where it expired."""

    proposed: ChangeProposed
    state: State = State.PENDING
    settled_at: datetime | None = None
    settled_by: Person | None = None
    settled_why: str = ""

    @property
    def id(self) -> str:
        return self.proposed.change_id


Changes = Mapping[str, Change]


def evolve(changes: Changes, event: AnyChangeEvent) -> dict[str, Change]:
    """The changes after the event. Of the settled ones the latest are remembered."""
    after = dict(changes)
    if isinstance(event, ChangeProposed):
        after[event.change_id] = Change(proposed=event)
        return after
    standing = after.pop(event.change_id, None)
    if standing is None:
        return after
    match event:
        case ChangeApproved():
            settled = _settled(standing, State.APPROVED, event.at, event.by, event.reason)
        case ChangeRejected():
            settled = _settled(standing, State.REJECTED, event.at, event.by, event.reason)
        case ChangeExpired():
            settled = _settled(standing, State.EXPIRED, event.at, None, "")
        case _:
            assert_never(event)
    after[event.change_id] = settled
    done = [change.id for change in after.values() if change.state is not State.PENDING]
    for old in done[: max(len(done) - SETTLED_KEPT_MAX, 0)]:
        del after[old]
    return after


def pending(changes: Changes) -> list[Change]:
    return [change for change in changes.values() if change.state is State.PENDING]


def decide_propose(changes: Changes, event: ChangeProposed) -> ChangeProposed | Refusal:
    """Nobody's wishes keep another's from being heard: one person has a few, and a tenant leaves room."""
    waiting, by = [change.proposed.by for change in pending(changes)], event.by
    of_tenant = sum(one.tenant == by.tenant for one in waiting)
    of_others = len(waiting) - of_tenant
    if of_tenant >= (PENDING_MAX - of_others) // 2:
        return Refusal(Code.UNAVAILABLE, f"{of_tenant} changes wait for another person already")
    of_one = sum((one.tenant, one.subject) == (by.tenant, by.subject) for one in waiting)
    if of_one >= PENDING_OF_ONE_MAX:
        return Refusal(Code.UNAVAILABLE, f"{of_one} changes of {by.subject} wait for another person already")
    return event


def decide_approve(
    changes: Changes, change_id: str, by: Person, at: datetime, reason: str
) -> ChangeApproved | Refusal:
    """Another person's yes, in time."""
    change = _open(changes, change_id, at)
    if isinstance(change, Refusal):
        return change
    if not by.is_other_than(change.proposed.by):
        return Refusal(
            Code.SAME_PERSON, f"{change.proposed.by.subject} proposed it; another person must approve"
        )
    return ChangeApproved(change_id=change_id, at=at, by=by, reason=reason)


def decide_reject(
    changes: Changes, change_id: str, by: Person, at: datetime, reason: str
) -> ChangeRejected | Refusal:
    """Anybody's no, the proposer's own included."""
    change = _open(changes, change_id, at)
    if isinstance(change, Refusal):
        return change
    return ChangeRejected(change_id=change_id, at=at, by=by, reason=reason)


def decide_expire(changes: Changes, at: datetime) -> list[ChangeExpired]:
    """Everything that nobody approved in time."""
    return [
        ChangeExpired(change_id=change.id, at=at)
        for change in pending(changes)
        if change.proposed.expires_at <= at
    ]


def _open(changes: Changes, change_id: str, at: datetime) -> Change | Refusal:
    change = changes.get(change_id)
    if change is None:
        return Refusal(Code.NOT_FOUND, f"there is no change {change_id}")
    if change.state is not State.PENDING:
        return Refusal(Code.CHANGE_SETTLED, f"{change_id} has been {change.state}")
    if change.proposed.expires_at <= at:
        return Refusal(Code.CHANGE_SETTLED, f"{change_id} has expired")
    return change


def _settled(change: Change, state: State, at: datetime, by: Person | None, why: str) -> Change:
    return msgspec.structs.replace(change, state=state, settled_at=at, settled_by=by, settled_why=why)
