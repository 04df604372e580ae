"""Client secrets: made here, kept only as argon2id hashes, checked in constant work.

One check takes tens of milliseconds and 19 MiB on purpose. So checks run outside the event loop,
few at a time, and whoever finds too many waiting is told to come back.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ordergate.telemetry.secret import Secret

SECRET_BYTES: Final = 32
SECRET_LENGTH_MAX: Final = 256
WORKERS: Final = 2
WAITING_MAX: Final = 64

_argon2: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Checked when there is no such client, so that "no such client" takes as long as "wrong secret".
_NOBODY: Final = _argon2.hash(secrets.token_urlsafe(SECRET_BYTES))

Result = TypeVar("Result")


class Busy(Exception):
    """Too many wait for a worker already."""


def new_secret() -> Secret:
    return Secret(secrets.token_urlsafe(SECRET_BYTES))


def hash_secret(secret: Secret) -> str:
    return _argon2.hash(secret.reveal())


def matches(secret_hash: str | None, secret: Secret) -> bool:
    """Whether the secret has this hash. Without a hash the work is the same and the answer no."""
    try:
        _argon2.verify(secret_hash or _NOBODY, secret.reveal())
    except (VerificationError, InvalidHashError):
        return False
    return secret_hash is not None


def matches_either(current: str | None, old: str | None, secret: Secret) -> bool:
    """The same of a secret and the one it took the place of. A no costs both, be there two or none."""
    return matches(current, secret) or matches(old, secret)


class Workers:
    """Runs blocking calls in threads: `WORKERS` at once, `WAITING_MAX` in line, then Busy."""

    def __init__(self, at_once: int = WORKERS, waiting_max: int = WAITING_MAX) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._inside = 0
        self._inside_max = at_once + waiting_max

    async def call(self, work: Callable[[], Result]) -> Result:
        if self._inside >= self._inside_max:
            raise Busy
        self._inside += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        finally:
            self._inside -= 1
