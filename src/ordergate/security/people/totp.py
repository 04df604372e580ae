"""The second factor: codes of six digits that change every thirty seconds (RFC 6238).

The secret has to be known to check a code, so it is sealed: AES-256-GCM with a key of its own, under the
names of environment and person, so that a row copied to somebody else opens nothing.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from ordergate.core.ids import Env
from ordergate.telemetry.secret import Secret

SECRET_BYTES: Final = 20
NONCE_BYTES: Final = 12
DIGITS: Final = 6
STEP_S: Final = 30


class Totp:
    """Makes, seals and checks second factors of one environment."""

    def __init__(self, env: Env, key: bytes) -> None:
        self._env = env
        self._cipher = AESGCM(key)

    def fresh(self, user_id: str) -> tuple[bytes, Secret]:
        """A new factor, sealed, and what the person's app needs to know, this once."""
        secret = secrets.token_bytes(SECRET_BYTES)
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret, self._name(user_id))
        uri = _totp(secret).get_provisioning_uri(user_id, f"Ordergate {self._env.value}")
        return sealed, Secret(uri)

    def step_of(self, user_id: str, sealed: bytes, code: str, now: float) -> int | None:
        """The time step of now, when this is its code, to be used once; None for a wrong code.

        The code of the step before is wrong: nobody has longer than a step to use what they have seen.
        """
        try:
            secret = self._cipher.decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._name(user_id)
            )
        except (InvalidTag, ValueError):
            return None
        current = int(now) // STEP_S
        given = code.encode("ascii", "replace")
        return current if hmac.compare_digest(_totp(secret).generate(current * STEP_S), given) else None

    def _name(self, user_id: str) -> bytes:
        return f"ordergate totp {self._env.value} {user_id}".encode()


def _totp(secret: bytes) -> TOTP:
    # Authenticator apps know SHA-1 only; what makes a code hard to guess here is that there are few tries.
    return TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303  # RFC 6238's own
