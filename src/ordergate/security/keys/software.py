"""Keys in this process's own memory: the twin of a key service, and what the key files are read into.

A new state is saved before it is used. For paper and for tests: the live environment is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ordergate.core.ids import Env
from ordergate.ports.keys import Context, DataKey, KeysRefused, KeyVersion, Purpose, Wrapped
from ordergate.security.keys import wrapping

HALF: Final = 32


class SoftKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version with its secret: the 32 bytes of a private key or of an AES key."""

    version: int
    created_at: int
    secret: bytes
    enabled: bool = True

    def __repr__(self) -> str:
        return f"SoftKey(version={self.version})"


Ring = tuple[SoftKey, ...]
"""The versions of one purpose, newest first."""


def _nothing(purpose: Purpose, ring: Ring) -> None:
    """Memory alone: there is nothing to save."""


class SoftwareKeys:
    """Keeps the promises of `ports.keys.Keys`; nothing in it waits."""

    kind = "file"

    def __init__(
        self,
        env: Env,
        now: Callable[[], int],
        rings: dict[Purpose, Ring] | None = None,
        save: Callable[[Purpose, Ring], None] = _nothing,
        load: Callable[[Purpose], Ring | None] | None = None,
    ) -> None:
        """`load` tells a ring that somebody else has changed meanwhile, or None where nobody has."""
        refuse_live(env)
        self.env = env
        self._now = now
        self._rings = dict(rings or {})
        self._save = save
        self._load = load

    def __repr__(self) -> str:
        return "SoftwareKeys"

    async def describe(self, purpose: Purpose) -> tuple[KeyVersion, ...]:
        return tuple(self._described(purpose, key) for key in self._ring(purpose))

    async def sign(self, purpose: Purpose, version: int, message: bytes) -> bytes:
        key = self._usable(purpose, version)
        match purpose:
            case Purpose.TOKENS:
                r, s = decode_dss_signature(p256(key).sign(message, ec.ECDSA(SHA256())))
                return r.to_bytes(HALF) + s.to_bytes(HALF)
            case Purpose.AUDIT:
                return Ed25519PrivateKey.from_private_bytes(key.secret).sign(message)
            case _:
                raise KeysRefused(f"a key for {purpose} signs nothing")

    async def generate_data_key(self, context: Context) -> DataKey:
        wrapping.check_context(self.env, context)
        plain = os.urandom(wrapping.DATA_KEY_BYTES)
        return DataKey(plain, self._wrap(plain, context))

    async def decrypt(self, wrapped: Wrapped, context: Context) -> bytes:
        wrapping.check_wrapped(self.env, self._name(Purpose.SECRETS), wrapped, context)
        key = self._usable(Purpose.SECRETS, wrapped.version)
        aad = wrapping.associated_data(wrapped.key, wrapped.version, context)
        nonce, sealed = wrapped.blob[: wrapping.NONCE_BYTES], wrapped.blob[wrapping.NONCE_BYTES :]
        try:
            return AESGCM(key.secret).decrypt(nonce, sealed, aad)
        except (InvalidTag, ValueError) as error:
            raise KeysRefused(wrapping.DECRYPT_FAILED) from error

    async def rewrap(self, wrapped: Wrapped, context: Context) -> Wrapped:
        plain = await self.decrypt(wrapped, context)
        return wrapped if wrapped.version == self._newest().version else self._wrap(plain, context)

    async def rotate(self, purpose: Purpose) -> KeyVersion:
        ring = self._ring(purpose)
        version = wrapping.next_version([key.version for key in ring])
        made = SoftKey(version=version, created_at=self._now(), secret=_fresh(purpose))
        self._put(purpose, (made, *ring))
        return self._described(purpose, made)

    async def disable(self, purpose: Purpose, version: int) -> None:
        ring = self._ring(purpose)
        if not ring or version == ring[0].version:
            raise KeysRefused("the newest version of a key is never disabled: rotate it first")
        if any(key.version == version and key.enabled for key in ring):
            off = (_without(key) if key.version == version else key for key in ring)
            self._put(purpose, tuple(off))

    async def close(self) -> None:
        """Nothing is held open."""

    def _ring(self, purpose: Purpose) -> Ring:
        changed = None if self._load is None else self._load(purpose)
        if changed is not None:
            self._rings[purpose] = changed
        return self._rings.get(purpose, ())

    def _put(self, purpose: Purpose, ring: Ring) -> None:
        self._save(purpose, ring)
        self._rings[purpose] = ring

    def _newest(self) -> SoftKey:
        ring = self._ring(Purpose.SECRETS)
        if not ring:
            raise KeysRefused("there is no key for secrets yet: rotate it once")
        return ring[0]

    def _wrap(self, plain: bytes, context: Context) -> Wrapped:
        key, name = self._newest(), self._name(Purpose.SECRETS)
        nonce = os.urandom(wrapping.NONCE_BYTES)
        aad = wrapping.associated_data(name, key.version, context)
        blob = nonce + AESGCM(key.secret).encrypt(nonce, plain, aad)
        return Wrapped(key=name, version=key.version, algorithm=wrapping.AES_GCM, blob=blob)

    def _usable(self, purpose: Purpose, version: int) -> SoftKey:
        for key in self._ring(purpose):
            if key.version == version and key.enabled:
                return key
        raise KeysRefused(f"there is no usable version {version} of the key for {purpose}")

    def _described(self, purpose: Purpose, key: SoftKey) -> KeyVersion:
        return KeyVersion(
            purpose=purpose,
            version=key.version,
            key=self._name(purpose),
            created_at=key.created_at,
            enabled=key.enabled,
            public=_public(purpose, key),
        )

    def _name(self, purpose: Purpose) -> str:
        return f"{self.kind}/{self.env.value}/{purpose.value}"


def refuse_live(env: Env) -> None:
    """Raises KeysRefused where real money is."""
    if env is Env.LIVE:
        raise KeysRefused("keys in a file are for paper trading; configure a key service for live")


def p256(key: SoftKey) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(key.secret), ec.SECP256R1())


def _fresh(purpose: Purpose) -> bytes:
    if purpose is Purpose.TOKENS:
        return ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value.to_bytes(HALF)
    return os.urandom(HALF)


def _public(purpose: Purpose, key: SoftKey) -> bytes | None:
    if purpose is Purpose.SECRETS:
        return None
    whole = p256(key) if purpose is Purpose.TOKENS else Ed25519PrivateKey.from_private_bytes(key.secret)
    return whole.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _without(key: SoftKey) -> SoftKey:
    return msgspec.structs.replace(key, enabled=False)
