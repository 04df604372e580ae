"""Roles and who has them, as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ordergate.api import limit_schemas
from ordergate.api.access_requests import SUBJECT
from ordergate.core.access import Role, Scope
from ordergate.core.tenancy import SUBJECT_LENGTH_MAX, Reach

SubjectName = Annotated[
    str, Field(min_length=1, max_length=SUBJECT_LENGTH_MAX, pattern=SUBJECT, examples=["user:ann"])
]
Why = Annotated[str, Field(min_length=1, max_length=500)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RoleRequest(_Asked):
    """A role of a subject: of the whole tenant, or of the desk or account that `of` names."""

    subject: SubjectName
    role: Role
    reach: Reach
    of: Annotated[str, Field(max_length=64)] = ""
    reason: Why


class KeepOutRequest(_Asked):
    subject: SubjectName
    reason: Why


class AssignmentOfSubject(BaseModel):
    role: Role
    reach: Reach
    of: str


class Subject(BaseModel):
    """Somebody with roles; `version` grows with every change of what it may do."""

    subject: str
    version: int
    enabled: bool
    roles: list[AssignmentOfSubject]


class Subjects(BaseModel):
    subjects: list[Subject]


class AccountOfTenant(BaseModel):
    account_id: str
    desk: str | None


class Tenant(BaseModel):
    tenant: str
    desks: list[str]
    accounts: list[AccountOfTenant]


class ScopesOfAccount(BaseModel):
    account_id: str
    scopes: list[Scope]


class Me(BaseModel):
    """What the token at hand allows now, and the roles of whoever it speaks for, of which it may be less.

    Without any, `version` tells whether there have been: 0 for one whose token and key alone bound it.
    """

    env: Literal["paper", "live"]
    tenant: str
    subject: str
    client_id: str
    scopes: list[Scope]
    accounts: list[ScopesOfAccount]
    roles: list[AssignmentOfSubject]
    version: int


class ScopesOfRole(BaseModel):
    role: Role
    scopes: list[Scope]


class Roles(BaseModel):
    roles: list[ScopesOfRole]


class AccessChanges(BaseModel):
    changes: list[limit_schemas.Change]
