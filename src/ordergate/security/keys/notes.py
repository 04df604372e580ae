"""The key that signs the audit's checkpoints, asked of the key service.

A key of its own, so that who can issue tokens cannot sign history. While it is changed there are two that
sign; of those that were changed only the public half is of use.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ordergate.ports.audit import NoteKey
from ordergate.ports.keys import Keys, KeysRefused, KeyVersion, Purpose


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


class KeptNoteKeys:
    """Keeps the promises of `ports.audit.NoteKeys`. Asked anew each time: a command may change the key."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def versions(self) -> Sequence[KeptNoteKey]:
        found = [KeptNoteKey(self._keys, one) for one in await self._known() if one.enabled]
        if not found:
            raise KeysRefused("there is no key for the audit yet")
        return found

    async def past(self) -> Sequence[bytes]:
        return [_raw(one) for one in reversed(await self._known()) if not one.enabled]

    async def retire(self, key: NoteKey) -> None:
        newest, *older = (one for one in await self._known() if one.enabled)
        for one in older:
            if _raw(one) == key.public and one.version != newest.version:
                await self._keys.disable(Purpose.AUDIT, one.version)

    async def made(self) -> KeptNoteKeys:
        """The same, with a first key where there was none."""
        if not await self._known():
            await self._keys.rotate(Purpose.AUDIT)
        return self

    async def rotate(self) -> bytes:
        """Make the next key; its public half. Raises KeysRefused where the last change is not done yet."""
        if len(await self.versions()) > 1:
            raise KeysRefused("the audit's key is being changed already: let the gateway sign once")
        return _raw(await self._keys.rotate(Purpose.AUDIT))

    async def _known(self) -> tuple[KeyVersion, ...]:
        return await self._keys.describe(Purpose.AUDIT)


def _raw(version: KeyVersion) -> bytes:
    key = None if version.public is None else load_der_public_key(version.public)
    if not isinstance(key, Ed25519PublicKey):
        raise KeysRefused("the audit's key must be an Ed25519 key")
    return key.public_bytes_raw()
