"""Who may do what: a principal, its scopes and its accounts. Deny by default."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from ordergate.core.ids import AccountId, Env

LOGIN_S_MAX: Final = 300
"""How old the login may be for what is privileged."""

LEEWAY_S: Final = 10
"""How far the clock of whoever issued the token may be ahead."""

PASSWORD_ONLY: Final = "urn:ordergate:password"
TWO_FACTORS: Final = "urn:ordergate:two-factors"


class Scope(StrEnum):
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_WRITE = "accounts:write"
    MARKET_DATA_READ = "market-data:read"
    RISK_READ = "risk:read"
    RISK_WRITE = "risk:write"


class Sender(StrEnum):
    """What a client's tokens must be bound to. In live `any` means one of the two others."""

    ANY = "any"
    DPOP = "dpop"
    MTLS = "mtls"


class Principal(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An authenticated client, and what its token lets it do.

    `expires_at` is seconds since the epoch, and so is `auth_time`: when whoever it is last proved who they
    are, where the token says so, and `acr` how. `accounts` are the accounts it may touch; there is
    no wildcard. `bound_to` names the key or the certificate that must come with the token; None for a
    token that serves whoever has it.
    """

    env: Env
    tenant: str
    client_id: str
    subject: str
    scopes: frozenset[Scope]
    accounts: frozenset[AccountId]
    expires_at: int
    token_id: str
    auth_time: int | None = None
    acr: str | None = None
    bound_to: str | None = None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    def may_on(self, scope: Scope, account: AccountId) -> bool:
        return scope in self.scopes and account in self.accounts

    def logged_in_lately(self, now: float) -> bool:
        """Whether whoever it is has proven who they are in the last minutes, by more than a password.

        A login whose time is not known is too old.
        """
        since = self.auth_time
        if since is None or self.acr == PASSWORD_ONLY:
            return False
        return 0 <= now - since + LEEWAY_S <= LOGIN_S_MAX + LEEWAY_S
