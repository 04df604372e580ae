"""Who may do what: a principal, its scopes and its accounts. Deny by default."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ordergate.core.ids import AccountId, Env


class Scope(StrEnum):
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_WRITE = "accounts:write"
    MARKET_DATA_READ = "market-data:read"
    RISK_READ = "risk:read"
    RISK_WRITE = "risk:write"
    CREDENTIALS_WRITE = "credentials:write"


class Principal(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An authenticated client, and what its token lets it do.

    `expires_at` is seconds since the epoch, and so is `auth_time`: when whoever it is last proved who they
    are, where the token says so. `accounts` are the accounts it may touch; there is
    no wildcard.
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

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    def may_on(self, scope: Scope, account: AccountId) -> bool:
        return scope in self.scopes and account in self.accounts
