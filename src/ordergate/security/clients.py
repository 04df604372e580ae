"""What is stored about identity, and the promise a store makes.

A store belongs to one environment. It keeps clients (with the hash of their secret or their public
keys), the public half of signing keys, the ids of revoked tokens until these would have expired anyway,
and what may be used only once. It never sees a token or a private key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import msgspec

from ordergate.core.access import KeyBounds, Scope, Sender
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, Env, is_account_id
from ordergate.core.strategies import Strategy
from ordergate.core.tenancy import Access, AccountPlace, Assignment, Desk
from ordergate.security.persons import Person
from ordergate.security.profile import check_url
from ordergate.security.verify import verify_key

CLIENT_KEYS_MAX: Final = 10
REDIRECT_LENGTH_MAX: Final = 512
SIGNING: Final = frozenset({("OKP", "Ed25519"), ("EC", "P-256")})
"""Kinds of keys that sign requests."""

_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class StoreUnavailable(Fault):
    """The store cannot be reached; whether the last write happened is not known."""


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A program that may ask for tokens, and the most that its tokens may allow.

    It proves itself with a secret, or with one of its `keys` (a JWK set as JSON, public keys only); one with
    neither is public. One with `redirect_uris` acts for people and has no say of its own: whoever holds its
    key would be two persons, himself and the program. A secret that was replaced serves until
    `old_secret_until`, seconds since the epoch.
    """

    client_id: str
    tenant: str
    secret_hash: str | None = None
    scopes: frozenset[Scope]
    accounts: frozenset[AccountId]
    enabled: bool = True
    keys: str | None = None
    redirect_uris: tuple[str, ...] = ()
    sender: Sender = Sender.ANY
    bounds: KeyBounds | None = None
    old_secret_hash: str | None = None
    old_secret_until: int | None = None

    @property
    def acts_for_people(self) -> bool:
        return bool(self.redirect_uris)

    @property
    def is_public(self) -> bool:
        return self.secret_hash is None and self.keys is None

    def old_hash(self, now: float) -> str | None:
        """Of the secret that was replaced, while it serves."""
        until = self.old_secret_until
        return self.old_secret_hash if until is not None and now < until else None


class PublishedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key (JWK as JSON) that verifies our tokens until `retires_at`, seconds since the epoch."""

    kid: str
    jwk: str
    retires_at: int | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the store knows now. `revoked` maps a token's id to when the token expires."""

    clients: tuple[Client, ...] = ()
    people: tuple[Person, ...] = ()
    keys: tuple[PublishedKey, ...] = ()
    revoked: dict[str, int] = {}
    access: Access = Access()


class AccessStore(Protocol):
    """Every method raises StoreUnavailable; those that change something raise ValueError for nonsense.

    With a `change`, the id of an approved change, a second time is the same as once.
    """

    async def load_access(self) -> Access: ...

    async def put_tenant(self, tenant: str) -> None: ...

    async def put_desk(self, desk: Desk) -> None: ...

    async def place_accounts(self, places: Iterable[AccountPlace]) -> None:
        """Say where accounts belong. An account never changes its tenant: ValueError."""
        ...

    async def assign(self, assignment: Assignment, change: str | None = None) -> None:
        """Give a role; from then on the subject may do what its roles come to, and no more."""
        ...

    async def withdraw(self, assignment: Assignment) -> None: ...

    async def note(self, what: str, operation: str, subject: str, facts: Mapping[str, str]) -> None:
        """Something that a person with power did, to be recorded as changes of identity are."""
        ...

    async def put_strategy(self, strategy: Strategy, noted: Mapping[str, str] = {}) -> None:
        """Add the strategy, or replace what is said of it. `noted` goes into the record of it."""
        ...

    async def enable(self, tenant: str, subject: str, *, enabled: bool) -> None:
        """Keep a subject out whatever its roles are, or let it in again."""
        ...


class ClientStore(AccessStore, Protocol):
    """Every method raises StoreUnavailable when the store cannot be reached in time."""

    async def load(self, now: int) -> Snapshot:
        """All clients and people, the keys not retired by `now` and the revocations that still matter."""
        ...

    async def put_client(
        self, client: Client, noted: Mapping[str, str] = {}, change: str | None = None
    ) -> None:
        """Add the client, or replace the one with its id. `noted` goes into the record of it."""
        ...

    async def put_keys(self, keys: tuple[PublishedKey, ...]) -> None:
        """Add the keys, or replace those with the same kid, of whose two ends the earlier stands."""
        ...

    async def revoke(self, token_id: str, expires_at: int) -> None:
        """Remember the token as revoked; again is the same as once."""
        ...

    async def spend(self, what: str, expires_at: int) -> bool:
        """True the first time; False for what was spent before, until it has expired."""
        ...

    async def prune(self, now: int) -> None:
        """Forget retired keys, and revocations and spent things that have expired."""
        ...


def check_client(env: Env, client: Client) -> None:
    """ValueError when a client of this environment cannot look like that."""
    if _CLIENT_ID.fullmatch(client.client_id) is None:
        raise ValueError("a client id is 1 to 64 letters, digits, dots, underscores and hyphens")
    if _TENANT.fullmatch(client.tenant) is None:
        raise ValueError("a tenant is 1 to 64 letters, digits, dots, underscores and hyphens")
    if client.secret_hash is not None and client.keys is not None:
        raise ValueError("a client proves itself with a secret or with keys, not with both")
    if (client.old_secret_hash is None) != (client.old_secret_until is None):
        raise ValueError("a secret that was replaced has an end")
    if client.old_secret_hash is not None and client.secret_hash is None:
        raise ValueError("only a secret takes another one's place")
    if client.keys is not None:
        check_keys(client.keys)
    if client.bounds is not None and client.bounds.signed_requests:
        check_signer(client)
    if client.is_public and not client.redirect_uris:
        raise ValueError("a client has a secret or keys, or it acts for people at its redirect URIs")
    for uri in client.redirect_uris:
        check_redirect(uri)
    strange = sorted(account for account in client.accounts if not is_account_id(env, account))
    if strange:
        raise ValueError(f"not accounts of the {env.value} environment: {', '.join(strange)}")


def check_signer(client: Client) -> None:
    """ValueError when the client cannot sign requests, or its token would be worth something in a record."""
    listed = [] if client.keys is None else json.loads(client.keys)["keys"]
    if not any((key.get("kty"), key.get("crv")) in SIGNING for key in listed):
        raise ValueError("a client of signed requests has keys, one of which is of Ed25519 or P-256")
    if client.sender is Sender.ANY:
        raise ValueError("a client of signed requests has tokens that are bound: give it a `sender`")


def check_keys(keys: str) -> None:
    """ValueError unless this is a set of public keys, each with an id and fit for an accepted algorithm."""
    try:
        listed = json.loads(keys)["keys"]
    except (ValueError, KeyError, TypeError):
        raise ValueError("a client's keys are a JWK set") from None
    if not isinstance(listed, list) or not 0 < len(listed) <= CLIENT_KEYS_MAX:
        raise ValueError(f"a client has 1 to {CLIENT_KEYS_MAX} keys")
    if not all(isinstance(jwk, dict) and verify_key(jwk) is not None for jwk in listed):
        raise ValueError("each of a client's keys is public, has a kid, and fits ES256, EdDSA or PS256")


def check_redirect(uri: str) -> None:
    """ValueError unless the URI may be redirected to: https, or this machine's loopback interface."""
    if len(uri) > REDIRECT_LENGTH_MAX or not uri.isascii() or not uri.isprintable() or " " in uri:
        raise ValueError("a redirect URI is a short URL")
    check_url(uri)
