"""A person, what a person has let a program do, and the promise of whoever keeps both.

A grant is the family of everything that one login led to: the code, the refresh tokens one after the
other, and every access token. It ends as a whole.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

import msgspec

from ordergate.core.access import Scope
from ordergate.core.ids import AccountId, Env, is_account_id

CODE_S: Final = 60
IDLE_S: Final = 30 * 60
LIFE_S: Final = 12 * 3600
SPENT_MAX: Final = 500
LOGINS_MAX: Final = 20
"""Of one person at once, each with all that it led to; one more ends the oldest."""

_USER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may log in. `totp` is the sealed secret of their second factor.

    With no `scopes` of their own they may do what their roles come to, and until they have had one, what a
    trader may.
    """

    user_id: str
    tenant: str
    password_hash: str
    totp: bytes | None = None
    scopes: frozenset[Scope]
    accounts: frozenset[AccountId]
    enabled: bool = True


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a person let a client do. Hashes only: neither code nor refresh token is kept."""

    grant_id: str
    client_id: str
    user_id: str
    scopes: frozenset[Scope]
    auth_time: int
    acr: str
    bound_to: str | None = None
    redirect_uri: str
    challenge: str
    code_hash: str
    code_expires_at: int
    redeemed: bool = False
    refresh_hash: str | None = None
    spent_hashes: tuple[str, ...] = ()
    used_at: int
    revoked: bool = False

    @property
    def expires_at(self) -> int:
        return self.auth_time + LIFE_S

    def code_is_good(self, now: int) -> bool:
        return not self.redeemed and not self.revoked and now < self.code_expires_at

    def is_live(self, now: int) -> bool:
        """Whether anything of it may serve: a token does for less than the time that ends an unused login."""
        is_used = now < self.used_at + IDLE_S and (self.redeemed or now < self.code_expires_at)
        return is_used and not self.revoked

    def refreshes(self, secret_hash: str, now: int) -> bool:
        alive = not self.revoked and now < min(self.expires_at, self.used_at + IDLE_S)
        return alive and secret_hash == self.refresh_hash


class GrantStore(Protocol):
    """Every method raises StoreUnavailable. The changes are atomic, whoever else makes one."""

    async def put_person(self, person: Person) -> None:
        """Add the person, or replace the one of that id."""
        ...

    async def reseal_factor(self, user_id: str, before: bytes, after: bytes) -> bool:
        """Keep the same second factor sealed otherwise; False when it was not sealed like `before`."""
        ...

    async def put_grant(self, grant: Grant) -> None: ...

    async def grant_of_code(self, code_hash: str) -> Grant | None: ...

    async def grant(self, grant_id: str) -> Grant | None: ...

    async def redeem(self, grant_id: str, refresh_hash: str, bound_to: str | None, now: int) -> bool:
        """Use the code up; False when that was done before, or the grant has ended."""
        ...

    async def refresh(self, grant_id: str, old: str, new: str, now: int) -> bool:
        """Put the new refresh token in the old one's place; False when it was not the one in force."""
        ...

    async def end(self, grant_id: str, until: int) -> None:
        """Nothing of the grant is good any more; it is revoked, which is remembered until then."""
        ...

    async def end_logins(self, user_id: str, *, keep: int, now: int) -> int:
        """End, and revoke, all of the person's live grants but the newest `keep`; how many that was."""
        ...

    async def prune_grants(self, before: int) -> None:
        """Forget grants of logins before then."""
        ...


def check_person(env: Env, person: Person) -> None:
    """ValueError when a person of this environment cannot look like that."""
    if _USER_ID.fullmatch(person.user_id) is None or _USER_ID.fullmatch(person.tenant) is None:
        raise ValueError("a person's name is 1 to 64 letters, digits, dots, underscores and hyphens")
    if env is Env.LIVE and person.totp is None:
        raise ValueError("in live a person has a second factor")
    strange = sorted(account for account in person.accounts if not is_account_id(env, account))
    if strange:
        raise ValueError(f"not accounts of the {env.value} environment: {', '.join(strange)}")
