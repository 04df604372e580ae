"""What a client may say about roles, and what it comes to."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from ordergate.core.access import Role
from ordergate.core.tenancy import SUBJECT_LENGTH_MAX, Assignment, Reach

SUBJECT: Final = r"^[!-~]+$"
Subject = Annotated[str, msgspec.Meta(min_length=1, max_length=SUBJECT_LENGTH_MAX, pattern=SUBJECT)]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Of = Annotated[str, msgspec.Meta(max_length=64)]


class RoleFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role of a subject: of the whole tenant, or of the desk or account that `of` names."""

    subject: Subject
    role: Role
    reach: Reach
    of: Of = ""
    reason: Reason


class KeepOutFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    subject: Subject
    reason: Reason


role_decoder: Final = msgspec.json.Decoder(RoleFields)
keep_out_decoder: Final = msgspec.json.Decoder(KeepOutFields)


def assignment_of(asked: RoleFields, tenant: str) -> Assignment:
    """Always of the asker's own tenant: no field could name another."""
    return Assignment(tenant, asked.subject, asked.role, asked.reach, asked.of)
