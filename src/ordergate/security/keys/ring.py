"""A key ring: one key signs, the ones before it still verify for a while.

Values only: a rotation makes a new ring. Keys are ES256 (P-256), which verifies faster than
Ed25519 here; a key's id is its RFC 7638 thumbprint, so that an id cannot name two keys.
"""

from __future__ import annotations

import json

import msgspec
from joserfc.jwk import ECKey

from ordergate.core.ids import Env
from ordergate.security.clients import PublishedKey

ALGORITHM = "ES256"


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """A private key. `retires_at` (seconds since the epoch) is None for the one that signs."""

    kid: str
    key: ECKey
    created_at: int
    retires_at: int | None = None

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r})"

    def published(self) -> PublishedKey:
        return PublishedKey(kid=self.kid, jwk=public_jwk(self.key, self.kid), retires_at=self.retires_at)


class Keyring(msgspec.Struct, frozen=True, kw_only=True):
    """The current key first, then the previous ones, newest first. All of one environment.

    `coming` is published already and signs after the next rotation.
    """

    env: Env
    current: SigningKey
    previous: tuple[SigningKey, ...] = ()
    coming: SigningKey | None = None

    def published(self) -> tuple[PublishedKey, ...]:
        ahead = () if self.coming is None else (self.coming,)
        return tuple(key.published() for key in (self.current, *self.previous, *ahead))


def fresh_key(now: int) -> SigningKey:
    key = ECKey.generate_key("P-256", private=True)
    return SigningKey(kid=key.thumbprint(), key=key, created_at=now)


def new_ring(env: Env, now: int) -> Keyring:
    return Keyring(env=env, current=fresh_key(now))


def announce(ring: Keyring, now: int) -> Keyring:
    """A ring whose coming key is known, so that everybody has seen it before it signs."""
    return ring if ring.coming is not None else msgspec.structs.replace(ring, coming=fresh_key(now))


def rotate(ring: Keyring, now: int, *, overlap_s: int) -> Keyring:
    """A ring with a new key, the coming one where there is one. The old one verifies for `overlap_s` more.

    The overlap must cover the life of a token and the time for which others may keep our key set.
    When a key was stolen there is no overlap: begin again with `new_ring`.
    """
    outgoing = msgspec.structs.replace(ring.current, retires_at=now + overlap_s)
    kept = tuple(key for key in (outgoing, *ring.previous) if not retired(key.retires_at, now))
    return Keyring(env=ring.env, current=ring.coming or fresh_key(now), previous=kept)


def retired(retires_at: int | None, now: int) -> bool:
    return retires_at is not None and retires_at <= now


def public_jwk(key: ECKey, kid: str) -> str:
    """The public half as JSON, with its use and algorithm: a verifier needs no guess."""
    jwk = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": ALGORITHM}
    return json.dumps(jwk, sort_keys=True, separators=(",", ":"))
