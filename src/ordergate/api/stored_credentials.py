"""The promise of whoever keeps what lets the gateway in at brokers, as far as others may ask for it.

Nobody is ever told what a credential says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from ordergate.core.ids import AccountId
from ordergate.core.refusals import Refusal
from ordergate.telemetry.secret import Secret

Step = Literal["verify", "switch", "drain", "revoke"]


class CredentialView(msgspec.Struct, frozen=True, kw_only=True):
    """A credential without its secret. `account` is the one at the broker that it opens."""

    broker: str
    row: str
    kind: str
    state: str
    account: str | None
    since: str
    expires: str | None


class Credentials(Protocol):
    """Raises nothing: what is away is a refusal."""

    def accounts_of(self, broker: str) -> frozenset[AccountId]:
        """The accounts that a login with stored credentials serves; none where there is no such login."""
        ...

    async def listed(self) -> Sequence[CredentialView] | Refusal: ...

    async def add(self, broker: str, key_id: Secret, secret_key: Secret) -> CredentialView | Refusal: ...

    async def move(self, broker: str, step: Step) -> CredentialView | Refusal:
        """One step, which does not wait for what takes a while."""
        ...
