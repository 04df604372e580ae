"""Seals and opens secrets: each under a data key of the secret's own, bound to what the secret is.

What is sealed says by which cipher, and which key wrapped its data key, so that a rotation can wrap it anew
without touching the secret. A new secret always asks the key service; an old one may be opened with a data
key that was unwrapped at most five minutes ago, and not after that: while the service is away nothing is
sealed, and what is open ends. Keeps no secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag

from ordergate.core.ids import Env
from ordergate.ports.keys import Keys, KeysRefused, Wrapped
from ordergate.security.keys import wrapping
from ordergate.security.sealing.ciphers import NONCE_BYTES, Cipher, cipher_of
from ordergate.security.sealing.data_keys import DataKeys
from ordergate.telemetry.secret import Secret

SCHEMA: Final = 1
_OPEN_FAILED: Final = "the secret cannot be opened: it was altered, or belongs to something else"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a secret is and whose. Told to the key service in clear, and authenticated; itself no secret."""

    env: Env
    tenant: str
    account: str
    broker: str
    secret_type: str
    row_id: str
    schema: int = SCHEMA

    def words(self) -> dict[str, str]:
        return {name: str(value) for name, value in msgspec.structs.asdict(self).items()}


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as it may lie anywhere. `algorithm` is the name of the cipher."""

    wrapped: Wrapped
    algorithm: str
    nonce: bytes
    ciphertext: bytes


class Envelope:
    """One per process and environment. Seals by `cipher`, and opens what any of them sealed."""

    def __init__(
        self, keys: Keys, monotonic: Callable[[], float], cipher: Cipher = Cipher.AES_256_GCM
    ) -> None:
        self._keys = keys
        self._cipher = cipher
        self._data_keys = DataKeys(monotonic)

    async def seal(self, secret: Secret, about: About) -> Sealed:
        """Raises KeysUnavailable and KeysRefused; then nothing was sealed."""
        words = about.words()
        made = await self._keys.generate_data_key(words)
        nonce = os.urandom(NONCE_BYTES)
        bound = _bound(self._cipher, words)
        ciphertext = self._cipher.under(made.plain).encrypt(nonce, secret.reveal().encode(), bound)
        return Sealed(wrapped=made.wrapped, algorithm=self._cipher.value, nonce=nonce, ciphertext=ciphertext)

    async def open(self, sealed: Sealed, about: About) -> Secret:
        """Raises KeysRefused where it is not what `about` says, and KeysUnavailable."""
        words = about.words()
        wrapping.check_context(self._keys.env, words)
        cipher = cipher_of(sealed.algorithm)
        if cipher is None:
            raise KeysRefused(_OPEN_FAILED)
        context = wrapping.canonical(words)
        key = self._data_keys.take(sealed.wrapped.blob, context)
        if key is None:
            key = await self._keys.decrypt(sealed.wrapped, words)
            self._data_keys.put(sealed.wrapped.blob, context, key)
        try:
            plain = cipher.under(key).decrypt(sealed.nonce, sealed.ciphertext, _bound(cipher, words))
            return Secret(plain.decode())
        except (InvalidTag, ValueError) as error:
            raise KeysRefused(_OPEN_FAILED) from error

    def is_current(self, sealed: Sealed, version: int) -> bool:
        """Whether it is sealed by the cipher of the moment, and wrapped by this version of the key."""
        return sealed.algorithm == self._cipher.value and sealed.wrapped.version == version

    async def renew(self, sealed: Sealed, about: About) -> Sealed:
        """The same by the cipher of the moment, under the newest key; where it is already, exactly the same.

        Only what another cipher sealed is opened for it. Raises as `seal` and `open` do.
        """
        if sealed.algorithm != self._cipher.value:
            return await self.seal(await self.open(sealed, about), about)
        wrapped = await self._keys.rewrap(sealed.wrapped, about.words())
        return msgspec.structs.replace(sealed, wrapped=wrapped)

    def forget(self) -> None:
        """Let no data key stay in memory."""
        self._data_keys.clear()


def _bound(cipher: Cipher, words: dict[str, str]) -> bytes:
    """What the ciphertext authenticates besides itself. Not the key that wraps: that one changes."""
    return f"ordergate secret {cipher.value} ".encode() + wrapping.canonical(words)
