"""The key that signs the audit's checkpoints, asked of the key service.

A key of its own, so that who can issue tokens cannot sign history.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ordergate.ports.keys import Keys, KeysRefused, KeyVersion, Purpose, newest


class KeptNoteKey:
    """Keeps the promises of `ports.audit.NoteKey`: one version of the audit's key."""

    def __init__(self, keys: Keys, version: KeyVersion) -> None:
        self._keys = keys
        self._version = version.version
        self._public = _raw(version)

    @property
    def public(self) -> bytes:
        return self._public

    async def sign(self, text: bytes) -> bytes:
        return await self._keys.sign(Purpose.AUDIT, self._version, text)


async def note_key(keys: Keys) -> KeptNoteKey:
    """The audit's key. Raises KeysRefused where there is none, KeysUnavailable."""
    found = newest(await keys.describe(Purpose.AUDIT))
    if found is None:
        raise KeysRefused("there is no key for the audit yet")
    return KeptNoteKey(keys, found)


async def note_key_made(keys: Keys) -> KeptNoteKey:
    """The same, made on first use."""
    found = newest(await keys.describe(Purpose.AUDIT)) or await keys.rotate(Purpose.AUDIT)
    return KeptNoteKey(keys, found)


def _raw(version: KeyVersion) -> bytes:
    key = None if version.public is None else load_der_public_key(version.public)
    if not isinstance(key, Ed25519PublicKey):
        raise KeysRefused("the audit's key must be an Ed25519 key")
    return key.public_bytes_raw()
