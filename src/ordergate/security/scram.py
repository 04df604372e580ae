"""A password as PostgreSQL keeps it: the SCRAM-SHA-256 verifier of RFC 5803, made on this side of the wire.

So that a new password is in no statement, and in no log of the server's. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from ordergate.telemetry.secret import Secret

ITERATIONS: Final = 4_096
SALT_BYTES: Final = 16


def verifier(password: Secret, salt: bytes) -> str:
    """For a password of printable ASCII, which needs no preparation."""
    said = password.reveal()
    if not said.isascii() or not said.isprintable():
        raise ValueError("a password is printable ASCII here")
    salted = hashlib.pbkdf2_hmac("sha256", said.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${ITERATIONS}:{_encoded(salt)}${_encoded(stored)}:{_encoded(server)}"


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()
