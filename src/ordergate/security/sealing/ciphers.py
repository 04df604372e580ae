"""The ciphers that secrets at rest may be sealed with, and are opened with whichever sealed them.

Each authenticates, takes a key of 256 bits and a nonce of 96: the settings name the one of the moment, and
should it fall, everything is sealed anew by another.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

NONCE_BYTES: Final = 12


class Cipher(StrEnum):
    """By its name in the settings, and beside everything that it sealed."""

    AES_256_GCM = "AES-256-GCM"
    CHACHA20_POLY1305 = "ChaCha20-Poly1305"

    def under(self, key: bytes) -> AESGCM | ChaCha20Poly1305:
        """This cipher with a key of 32 bytes."""
        match self:
            case Cipher.AES_256_GCM:
                return AESGCM(key)
            case Cipher.CHACHA20_POLY1305:
                return ChaCha20Poly1305(key)


def cipher_of(name: str) -> Cipher | None:
    """The one of that name, if it is one of these."""
    return Cipher(name) if name in _NAMES else None


_NAMES: Final = frozenset(cipher.value for cipher in Cipher)
