"""Who belongs where and may do what: tenants, desks, accounts, subjects, assignments.

A subject is a client's id, or what `sub` says of a person; one of an external issuer has the issuer's
name in front, as in its tokens. Values only: keeps nothing, and proves nobody's identity.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

from ordergate.core.access import Role
from ordergate.core.ids import AccountId, Env, is_account_id
from ordergate.core.refusals import Code, Refusal
from ordergate.core.strategies import Strategy

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
SUBJECT_LENGTH_MAX: Final = 255

_NAME: Final = re.compile(NAME)
_SUBJECT: Final = re.compile(r"[\x21-\x7e]+")


class Reach(StrEnum):
    """How far an assignment goes: all of a tenant's accounts, a desk's, or one."""

    TENANT = "tenant"
    DESK = "desk"
    ACCOUNT = "account"


class Desk(msgspec.Struct, frozen=True, order=True):
    tenant: str
    name: str


class AccountPlace(msgspec.Struct, frozen=True, order=True):
    """Where an account belongs; without a desk it is the tenant's own."""

    account: AccountId
    tenant: str
    desk: str | None = None


class Assignment(msgspec.Struct, frozen=True, order=True):
    """One role of one subject. `of` names the desk or the account, and is empty for the whole tenant."""

    tenant: str
    subject: str
    role: Role
    reach: Reach
    of: str = ""


class Subject(msgspec.Struct, frozen=True, order=True):
    """Somebody whose rights are roles from now on. `version` grows with every change of what it may do."""

    tenant: str
    name: str
    version: int = 1
    enabled: bool = True


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, as it is stored now."""

    tenants: tuple[str, ...] = ()
    desks: tuple[Desk, ...] = ()
    accounts: tuple[AccountPlace, ...] = ()
    subjects: tuple[Subject, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    strategies: tuple[Strategy, ...] = ()


def misfit(env: Env, access: Access, assignment: Assignment) -> Refusal | None:
    """What is wrong with an assignment, if anything: it must name what there is in the tenant."""
    name = assignment.subject
    if not 0 < len(name) <= SUBJECT_LENGTH_MAX or _SUBJECT.fullmatch(name) is None:
        return Refusal(Code.INVALID, "a subject is 1 to 255 visible characters", {"subject": "is no subject"})
    if assignment.tenant not in access.tenants:
        return Refusal(Code.NOT_FOUND, f"there is no tenant {assignment.tenant}")
    known = False
    match assignment.reach:
        case Reach.TENANT:
            if assignment.of:
                words = "a role of the whole tenant names nothing else"
                return Refusal(Code.INVALID, words, {"of": "must be empty"})
            return None
        case Reach.DESK:
            known = Desk(assignment.tenant, assignment.of) in access.desks
        case Reach.ACCOUNT:
            known = is_account_id(env, assignment.of) and any(
                (place.account, place.tenant) == (assignment.of, assignment.tenant)
                for place in access.accounts
            )
    return None if known else Refusal(Code.NOT_FOUND, f"there is no {assignment.reach} {assignment.of}")


def check_name(name: str, what: str) -> None:
    """ValueError when a tenant or a desk cannot be called so."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"a {what} is 1 to 64 letters, digits, dots, underscores and hyphens")
