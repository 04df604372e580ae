"""The client order ids that an account has ever used, eight bytes each.

Says "certainly never" without asking anybody, or "perhaps". The digests are the same in every
process, so that they can be written down. Never forgets one.
"""

from __future__ import annotations

import hashlib
from struct import unpack
from typing import Final

_BYTES: Final = 8


class Labels:
    def __init__(self, packed: bytes = b"") -> None:
        """`packed` is what `pack` said. Raises ValueError where it cannot be."""
        if len(packed) % _BYTES:
            raise ValueError(f"{len(packed)} bytes are not whole digests")
        self._packed = bytearray(packed)
        self._digests = set(unpack(f"<{len(packed) // _BYTES}Q", packed))

    def add(self, label: str) -> None:
        digest = _digest(label)
        number = int.from_bytes(digest, "little")
        if number not in self._digests:
            self._digests.add(number)
            self._packed += digest

    def may_have(self, label: str) -> bool:
        """False when the label was certainly never added."""
        return int.from_bytes(_digest(label), "little") in self._digests

    def pack(self) -> bytes:
        """All digests in the order in which they came."""
        return bytes(self._packed)


def _digest(label: str) -> bytes:
    return hashlib.blake2b(label.encode(), digest_size=_BYTES).digest()
