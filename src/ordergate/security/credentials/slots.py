"""The slots of a login and the ways between them. Values only.

A credential is added, verified, and takes the place of the one in use, which drains and is then revoked. A
login has one of each at a time: one in use, one that follows, one that leaves.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from ordergate.core.ids import Env
from ordergate.security.sealing.envelope import About, Sealed


class State(StrEnum):
    ADDED = "added"
    VERIFIED = "verified"
    ACTIVE = "active"
    DRAINING = "draining"
    DRAINED = "drained"
    REVOKED = "revoked"


FOLLOWING: Final = frozenset({State.ADDED, State.VERIFIED})
LEAVING: Final = frozenset({State.DRAINING, State.DRAINED})
REVOCABLE: Final = frozenset({State.ADDED, State.VERIFIED, State.DRAINED})


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `fingerprint` is the account at the broker that it was verified to open."""

    env: Env
    row_id: str
    broker: str
    tenant: str
    account: str
    kind: str
    state: State
    sealed: Sealed | None
    fingerprint: str | None = None
    expires_at: datetime | None = None
    created_at: datetime
    changed_at: datetime

    def about(self) -> About:
        return About(
            env=self.env,
            tenant=self.tenant,
            account=self.account,
            broker=self.broker,
            secret_type=self.kind,
            row_id=self.row_id,
        )


class Slots(msgspec.Struct, frozen=True):
    """What one login has."""

    in_use: Credential | None = None
    following: Credential | None = None
    leaving: Credential | None = None


def slots_of(rows: list[Credential], broker: str) -> Slots:
    def one(states: frozenset[State]) -> Credential | None:
        return next((row for row in rows if row.broker == broker and row.state in states), None)

    return Slots(one(frozenset({State.ACTIVE})), one(FOLLOWING), one(LEAVING))
