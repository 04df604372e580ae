"""Signs access tokens, and rotates what signs them.

The public half of a new key is published before the first token is signed with it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any, Final

import msgspec
from joserfc import jwt

from ordergate.core.access import Scope
from ordergate.core.faults import Fault
from ordergate.ports.clock import Clock
from ordergate.security.clients import Client, PublishedKey
from ordergate.security.directory import Directory
from ordergate.security.keys.ring import ALGORITHM, Keyring, announce, new_ring, retired, rotate
from ordergate.security.persons import Grant, Person
from ordergate.security.profile import SKEW_S, Profile
from ordergate.security.senders import confirmation
from ordergate.telemetry import failpoints, log

# How long others may keep our key set before they look again (RFC 9111 max-age of the JWKS answer).
JWKS_MAX_AGE_S: Final = 300
ROTATE_AFTER_S: Final = 30 * 24 * 3600
ANNOUNCE_S: Final = 24 * 3600
"""How long a new key is published before it signs."""

_log = log.logger("security")


class Signer:
    """`save` makes a new ring durable where the private keys live, before it is used; `load` reads it back.

    Where somebody else has rotated the keys, the ring is read again as soon as the directory knows.
    """

    def __init__(
        self,
        profile: Profile,
        ring: Keyring,
        directory: Directory,
        clock: Clock,
        *,
        save: Callable[[Keyring], None],
        load: Callable[[], Keyring] | None = None,
    ) -> None:
        if ring.env is not profile.env or directory.env is not profile.env:
            raise ValueError("profile, keys and directory must be of one environment")
        self._profile = profile
        self._ring = ring
        self._directory = directory
        self._clock = clock
        self._save = save
        self._load = load
        directory.on_change(self._follow)

    async def publish(self) -> None:
        """Let every verifier know this ring; call it once before signing."""
        await self._directory.put_keys(self._ring.published())

    async def rotate(self, *, emergency: bool = False) -> None:
        """Sign with a new key. In an emergency the old ones stop verifying at once."""
        ring, published = rotated(self._ring, self._profile, self._now(), emergency=emergency)
        self._save(ring)
        failpoints.reach("C14")
        await self._directory.put_keys(published)
        self._ring = ring
        _log.info("signing_key.rotated", kid=ring.current.kid, emergency=emergency)

    async def keep_young(self) -> None:
        """Announce the next key a day ahead, and sign with it when the current one has signed long enough."""
        now, coming = self._now(), self._ring.coming
        age = now - self._ring.current.created_at
        if age >= ROTATE_AFTER_S - ANNOUNCE_S and coming is None:
            ring = announce(self._ring, now)
            self._save(ring)
            self._ring = ring
            await self._directory.put_keys(ring.published())
            _log.info("signing_key.announced", kid=self._ring.published()[-1].kid)
        elif age >= ROTATE_AFTER_S and coming is not None and now - coming.created_at >= ANNOUNCE_S:
            await self.rotate()

    def _follow(self, token_id: str | None) -> None:
        """Read the ring again where its current key is said to end: somebody else has rotated it."""
        if token_id is not None or self._load is None:
            return
        current = self._ring.current.kid
        stays = {key.kid for key in self._directory.published_keys() if key.retires_at is None}
        if current in stays:
            return
        try:
            ring = self._load()
        except (Fault, OSError) as fault:
            _log.error("signing_key.not_read", reason=str(fault))
            return
        if ring.current.kid != current:
            self._ring = ring
            _log.info("signing_key.followed", kid=ring.current.kid)

    def jwks(self) -> bytes:
        """The key set as a document: every key that may have signed a token still alive."""
        now = self._now()
        keys = [json.loads(k.jwk) for k in self._directory.published_keys() if not retired(k.retires_at, now)]
        return json.dumps({"keys": keys}, separators=(",", ":")).encode()

    def mint(self, client: Client, scopes: frozenset[Scope], bound_to: str | None = None) -> str:
        """An access token as of RFC 9068 for these scopes of the client, bound to its sender."""
        own = {"sub": client.client_id, "tenant": client.tenant, "acct": sorted(client.accounts)}
        return self._signed(client, scopes, bound_to, own)

    def mint_for(
        self, person: Person, client: Client, scopes: frozenset[Scope], grant: Grant, bound_to: str | None
    ) -> str:
        """The same for what a client does in a person's name; `sid` names the login it comes from."""
        own = {
            "sub": person.user_id,
            "tenant": person.tenant,
            "acct": sorted(person.accounts & client.accounts),
            "auth_time": grant.auth_time,
            "acr": grant.acr,
            "sid": grant.grant_id,
        }
        return self._signed(client, scopes & person.scopes, bound_to, own)

    def _signed(
        self, client: Client, scopes: frozenset[Scope], bound_to: str | None, own: dict[str, Any]
    ) -> str:
        now = self._now()
        claims: dict[str, Any] = {
            "iss": self._profile.issuer,
            "aud": self._profile.audience,
            "client_id": client.client_id,
            "scope": " ".join(sorted(scope.value for scope in scopes)),
            "iat": now,
            "exp": now + self._profile.lifetime_s,
            "jti": secrets.token_urlsafe(16),
            "env": self._profile.env.value,
            **own,
        }
        cnf = confirmation(bound_to)
        if cnf is not None:
            claims["cnf"] = cnf
        current = self._ring.current
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": current.kid}
        return jwt.encode(header, claims, current.key, algorithms=[ALGORITHM])

    def _now(self) -> int:
        return int(self._clock.now().timestamp())


def rotated(
    ring: Keyring, profile: Profile, now: int, *, emergency: bool
) -> tuple[Keyring, tuple[PublishedKey, ...]]:
    """The ring after a rotation, and every key whose publication changes by it.

    The overlap covers the life of a token and the time for which others keep our key set.
    """
    if emergency:
        after = new_ring(ring.env, now)
    else:
        after = rotate(ring, now, overlap_s=profile.lifetime_s + SKEW_S + JWKS_MAX_AGE_S)
    kept = {key.kid for key in after.published()}
    gone = (
        msgspec.structs.replace(key, retires_at=now) for key in ring.published() if key.kid not in kept
    )
    return after, (*after.published(), *gone)
