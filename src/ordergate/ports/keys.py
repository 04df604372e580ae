"""The promise of a key service: it signs, it wraps data keys, it rotates, and no private half ever leaves it.

A key has a purpose and versions. The newest version that is enabled does what is new; older ones still
verify and unwrap. What is wrapped is bound to a context, which is no secret, and to the environment: the keys
of one environment never unwrap what is another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

from ordergate.core.faults import Fault
from ordergate.core.ids import Env

Context = Mapping[str, str]


class KeysUnavailable(Fault):
    """The key service did not answer in time; nothing follows from it."""


class KeysRefused(Fault):
    """The key service said no: such a key is not there, is disabled, or does not fit what it was given."""


class Purpose(StrEnum):
    """What a key is for. None does the work of another."""

    TOKENS = "tokens"
    AUDIT = "audit"
    SECRETS = "secrets"

    @property
    def algorithm(self) -> str:
        return {"tokens": "ES256", "audit": "Ed25519", "secrets": "AES-256-GCM"}[self.value]


class KeyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a key. `public` is its public half (SubjectPublicKeyInfo), where it has one.

    `key` is what the service calls it; `created_at` is in seconds since the epoch.
    """

    purpose: Purpose
    version: int
    key: str
    created_at: int
    enabled: bool = True
    public: bytes | None = None


class Wrapped(msgspec.Struct, frozen=True, kw_only=True):
    """A data key that only the service can open, with the version that wrapped it."""

    key: str
    version: int
    algorithm: str
    blob: bytes


class DataKey(msgspec.Struct, frozen=True):
    """A fresh data key: 32 bytes to use now, and the same to keep."""

    plain: bytes
    wrapped: Wrapped

    def __repr__(self) -> str:
        return f"DataKey(wrapped by {self.wrapped.key!r})"


class Keys(Protocol):
    """Every method has a timeout of its own, and raises KeysUnavailable and KeysRefused and nothing else."""

    env: Env
    kind: str

    async def describe(self, purpose: Purpose) -> tuple[KeyVersion, ...]:
        """Every version that is there, newest first, with its public half."""
        ...

    async def sign(self, purpose: Purpose, version: int, message: bytes) -> bytes:
        """64 bytes, as JOSE and signed notes write them: r and s for ES256, R and S for Ed25519."""
        ...

    async def generate_data_key(self, context: Context) -> DataKey: ...

    async def decrypt(self, wrapped: Wrapped, context: Context) -> bytes:
        """The data key, where every word of the context is the one it was made with."""
        ...

    async def rewrap(self, wrapped: Wrapped, context: Context) -> Wrapped:
        """The same data key, wrapped by the newest version. Where the newest did, nothing changes."""
        ...

    async def rotate(self, purpose: Purpose) -> KeyVersion:
        """A new version, which is the newest from then on; the first one where there is none."""
        ...

    async def disable(self, purpose: Purpose, version: int) -> None:
        """Let a version neither sign nor unwrap any more. Again is the same as once; never the newest."""
        ...

    async def close(self) -> None: ...


def newest(versions: tuple[KeyVersion, ...]) -> KeyVersion | None:
    """The version that does what is new."""
    return next((one for one in versions if one.enabled), None)
