"""What somebody with power did besides trading: journalled in the audit's own stream, for ever.

Who may do what, what the process was started with, and each token that lets its bearer change risk.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from ordergate.core.access import Scope

SCOPES: Final = frozenset(
    {
        Scope.RISK_WRITE,
        Scope.OPERATIONS_WRITE,
        Scope.ACCOUNTS_WRITE,
        Scope.ACCESS_WRITE,
        Scope.CREDENTIALS_WRITE,
    }
)
"""A token with one of these is itself a privileged act."""


class PrivilegedEvent(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="kind"
):
    """The base of every event of the audit's own stream. `at` is when it was recorded, in UTC."""

    at: datetime


class IdentityChanged(PrivilegedEvent, frozen=True, kw_only=True, tag="identity_changed"):
    """A row of the identity tables was made, changed or taken away, by whatever program.

    `change` is the database's own number of it, `by` the database user and program, as the database
    knows them. Secrets and their hashes are never in `facts`.
    """

    change: int
    changed_at: datetime
    what: str
    operation: str
    subject: str
    by: str
    facts: dict[str, str] = {}


class TokenIssued(PrivilegedEvent, frozen=True, kw_only=True, tag="token_issued"):
    """A token with a privileged scope; it is not given out before this is durable."""

    token_id: str
    client_id: str
    tenant: str
    scopes: tuple[str, ...]
    accounts: tuple[str, ...]
    expires_at: int


class RequestSigned(PrivilegedEvent, frozen=True, kw_only=True, tag="request_signed"):
    """A request that its client has signed (RFC 9421); it is not carried out before this is durable.

    Its correlation id is that of what it caused. `key` is the client's public key, a JWK; `signature` and
    `body` are base64. That `signature` is `key`'s of `base`, whose content digest is that of `body`, anybody
    can verify.
    """

    client_id: str
    subject: str
    key: str
    base: str
    signature: str
    body: str


class GatewayStarted(PrivilegedEvent, frozen=True, kw_only=True, tag="gateway_started"):
    """A process began: `limits` are the hashes that its decisions will name, by account.

    `build` names the code by its digest: what is decided before the next start is decided by it.
    """

    version: str
    environment: str
    settings_hash: str
    limits: dict[str, str] = {}
    build: str = ""


class GatewayStopped(PrivilegedEvent, frozen=True, kw_only=True, tag="gateway_stopped"):
    """A process ended as it was asked to; after a crash there is none."""

    version: str


AnyPrivilegedEvent = IdentityChanged | TokenIssued | RequestSigned | GatewayStarted | GatewayStopped
