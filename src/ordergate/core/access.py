"""Who may do what: a principal, its scopes, its accounts and its roles. Deny by default.

Pure values: who somebody is was proven elsewhere, and what a role comes to is one table here.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.networks import Network

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
    SURVEILLANCE_READ = "surveillance:read"
    OPERATIONS_WRITE = "operations:write"
    ACCESS_READ = "access:read"
    ACCESS_WRITE = "access:write"
    CREDENTIALS_WRITE = "credentials:write"


OF_ACCESS: Final = frozenset({Scope.ACCESS_READ, Scope.ACCESS_WRITE})
"""What a program that trades never needs; it is given by name only."""

_VIEWING: Final = frozenset({Scope.ORDERS_READ, Scope.ACCOUNTS_READ, Scope.MARKET_DATA_READ, Scope.RISK_READ})


class Role(StrEnum):
    VIEWER = "viewer"
    TRADER = "trader"
    RISK_MANAGER = "risk_manager"
    OPERATOR = "operator"
    COMPLIANCE = "compliance"
    ADMINISTRATOR = "administrator"


SCOPES_OF: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.VIEWER: _VIEWING,
    Role.TRADER: _VIEWING | {Scope.ORDERS_WRITE},
    Role.RISK_MANAGER: _VIEWING | {Scope.RISK_WRITE, Scope.OPERATIONS_WRITE, Scope.SURVEILLANCE_READ},
    Role.OPERATOR: _VIEWING | {Scope.ACCOUNTS_WRITE, Scope.OPERATIONS_WRITE, Scope.CREDENTIALS_WRITE},
    Role.COMPLIANCE: _VIEWING | {Scope.ACCESS_READ, Scope.SURVEILLANCE_READ},
    Role.ADMINISTRATOR: frozenset({Scope.ACCOUNTS_READ, Scope.ACCESS_READ, Scope.ACCESS_WRITE}),
}
"""Nobody who changes limits trades, and nobody who gives rights uses them."""

_INCLUDED_IN: Final[Mapping[Scope, Scope]] = {Scope.OPERATIONS_WRITE: Scope.RISK_WRITE}
"""Whoever may change limits may also stop; clients from before the two were apart have only the one."""


class KeyBounds(msgspec.Struct, frozen=True, kw_only=True):
    """How far the key of a program reaches besides its scopes and accounts; empty and None bound nothing.

    `expires_at` is seconds since the epoch. `networks` are the addresses that it may be used from. With
    `signed_requests` it places, changes and cancels orders only by requests that it has signed.
    """

    instruments: frozenset[Symbol] = frozenset()
    strategies: frozenset[str] = frozenset()
    notional_max: Decimal | None = None
    networks: tuple[Network, ...] = ()
    expires_at: int | None = None
    signed_requests: bool = False


class Sender(StrEnum):
    """What a client's tokens must be bound to. In live `any` means one of the two others."""

    ANY = "any"
    DPOP = "dpop"
    MTLS = "mtls"


class Principal(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An authenticated client, and what its token lets it do.

    `expires_at` is seconds since the epoch, and so is `auth_time`: when whoever it is last proved who they
    are, where the token says so, and `acr` how. `accounts` are the accounts it may touch; there is
    no wildcard. Where roles differ from account to account, `by_account` has every pair that is allowed;
    None means every scope on each account. `version` counts the changes of what the subject may do.
    `bound_to` names the key or the certificate that must come with the token; None for a token that serves
    whoever has it. `signed` is of one request: its signature held. `owner` answers for a sender that has no
    token, and what keeps the owner from placing keeps such a sender from it.
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
    by_account: frozenset[tuple[AccountId, Scope]] | None = None
    version: int = 0
    bounds: KeyBounds | None = None
    signed: bool = False
    owner: str | None = None

    def may(self, scope: Scope) -> bool:
        """Somewhere, at least; whoever asks about an account asks `may_on`."""
        return scope in self.scopes or _INCLUDED_IN.get(scope) in self.scopes

    def may_on(self, scope: Scope, account: AccountId) -> bool:
        if account not in self.accounts or not self.may(scope):
            return False
        pairs = self.by_account
        return pairs is None or (account, scope) in pairs or (account, _INCLUDED_IN.get(scope)) in pairs

    def accounts_for(self, scope: Scope) -> frozenset[AccountId]:
        """The accounts that it may use the scope on."""
        if self.by_account is None:
            return self.accounts if self.may(scope) else frozenset()
        return frozenset(account for account in self.accounts if self.may_on(scope, account))

    def within(self, scope: Scope) -> Principal:
        """The same, of only the accounts that it may use the scope on."""
        if self.by_account is None:
            return self
        return msgspec.structs.replace(self, accounts=self.accounts_for(scope))

    def logged_in_lately(self, now: float) -> bool:
        """Whether whoever it is has proven who they are in the last minutes, by more than a password.

        A login whose time is not known is too old.
        """
        since = self.auth_time
        if since is None or self.acr == PASSWORD_ONLY:
            return False
        return 0 <= now - since + LEEWAY_S <= LOGIN_S_MAX + LEEWAY_S
