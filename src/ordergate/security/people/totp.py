"""The second factor: codes of six digits that change every thirty seconds (RFC 6238).

The secret has to be known to check a code, so it is sealed with a key of its own, under the names of
environment and person, so that a row copied to somebody else opens nothing. Which cipher sealed it the first
byte says.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from ordergate.core.ids import Env
from ordergate.security.sealing.ciphers import NONCE_BYTES, Cipher
from ordergate.telemetry.secret import Secret

SECRET_BYTES: Final = 20
DIGITS: Final = 6
STEP_S: Final = 30

_MARKS: Final = {Cipher.AES_256_GCM: b"\x01", Cipher.CHACHA20_POLY1305: b"\x02"}
_SEALED_BY: Final = {mark: cipher for cipher, mark in _MARKS.items()}
# Until there was a second cipher nothing said which: nonce, secret and tag of the only one.
_UNMARKED_BYTES: Final = NONCE_BYTES + SECRET_BYTES + 16


class Totp:
    """Makes, seals and checks second factors of one environment.

    Seals by `cipher`, and opens what any of them sealed.
    """

    def __init__(self, env: Env, key: bytes, cipher: Cipher = Cipher.AES_256_GCM) -> None:
        self._env = env
        self._cipher = cipher
        self._ciphers = {each: each.under(_key_for(each, key)) for each in Cipher}

    def fresh(self, user_id: str) -> tuple[bytes, Secret]:
        """A new factor, sealed, and what the person's app needs to know, this once."""
        secret = secrets.token_bytes(SECRET_BYTES)
        sealed = self._sealed(user_id, secret)
        uri = _totp(secret).get_provisioning_uri(user_id, f"Ordergate {self._env.value}")
        return sealed, Secret(uri)

    def step_of(self, user_id: str, sealed: bytes, code: str, now: float) -> int | None:
        """The time step of now, when this is its code, to be used once; None for a wrong code.

        The code of the step before is wrong: nobody has longer than a step to use what they have seen.
        """
        secret = self._opened(user_id, sealed)
        if secret is None:
            return None
        current = int(now) // STEP_S
        given = code.encode("ascii", "replace")
        return current if hmac.compare_digest(_totp(secret).generate(current * STEP_S), given) else None

    def is_current(self, sealed: bytes) -> bool:
        """Whether the cipher of the moment has sealed it."""
        return sealed[:1] == _MARKS[self._cipher] and len(sealed) != _UNMARKED_BYTES

    def renewed(self, user_id: str, sealed: bytes) -> bytes | None:
        """The same factor by the cipher of the moment; None where it cannot be opened."""
        secret = self._opened(user_id, sealed)
        return None if secret is None else self._sealed(user_id, secret)

    def _sealed(self, user_id: str, secret: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        ciphertext = self._ciphers[self._cipher].encrypt(nonce, secret, self._name(user_id))
        return _MARKS[self._cipher] + nonce + ciphertext

    def _opened(self, user_id: str, sealed: bytes) -> bytes | None:
        marked = sealed if len(sealed) != _UNMARKED_BYTES else _MARKS[Cipher.AES_256_GCM] + sealed
        cipher = _SEALED_BY.get(marked[:1])
        if cipher is None:
            return None
        nonce, ciphertext = marked[1 : 1 + NONCE_BYTES], marked[1 + NONCE_BYTES :]
        try:
            return self._ciphers[cipher].decrypt(nonce, ciphertext, self._name(user_id))
        except (InvalidTag, ValueError):
            return None

    def _name(self, user_id: str) -> bytes:
        return f"ordergate totp {self._env.value} {user_id}".encode()


def _totp(secret: bytes) -> TOTP:
    # Authenticator apps know SHA-1 only; what makes a code hard to guess here is that there are few tries.
    return TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303  # RFC 6238's own


def _key_for(cipher: Cipher, key: bytes) -> bytes:
    """One key serves one cipher: the first has it as it is, each other one derives its own."""
    if cipher is Cipher.AES_256_GCM:
        return key
    return HKDF(SHA256(), len(key), None, f"ordergate totp {cipher.value}".encode()).derive(key)
