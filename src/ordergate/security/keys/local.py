"""Development keys: one file for each purpose, which only its owner can read.

For paper trading on one machine. The live environment is refused here: its keys belong in a
module that does not hand them out. A file that others can read, or that belongs to another
environment, is refused as well and never repaired silently.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ordergate.core.ids import Env
from ordergate.ports.keys import KeysRefused, Purpose
from ordergate.security.keys.software import Ring, SoftKey, SoftwareKeys, refuse_live

FILES: Final = {
    Purpose.TOKENS: "signing-keys.json",
    Purpose.AUDIT: "audit-key.json",
    Purpose.SECRETS: "data-keys.json",
}
OWNER_ONLY: Final = 0o600
SECRET_BYTES: Final = 32


class _StoredKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    created_at: int
    enabled: bool
    secret: str


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    env: Env
    keys: list[_StoredKey]
    coming: _StoredKey | None = None


def open_keys(folder: Path, env: Env, now: Callable[[], int]) -> SoftwareKeys:
    """The keys in the folder; what is not there yet is made by its first rotation. Raises KeysRefused."""
    refuse_live(env)
    files = _Files(folder, env)
    rings = {purpose: ring for purpose in FILES if (ring := files.load(purpose)) is not None}
    return SoftwareKeys(env, now, rings, files.save, files.load)


class _Files:
    """The folder. A file that another process has written meanwhile is read again before it is used."""

    def __init__(self, folder: Path, env: Env) -> None:
        self._folder = folder
        self._env = env
        self._seen: dict[Purpose, tuple[int, int] | None] = {}

    def load(self, purpose: Purpose) -> Ring | None:
        """The ring, where the file is another than the last time."""
        now = self._state(purpose)
        if now is None or now == self._seen.get(purpose):
            return None
        ring = _load(self._folder / FILES[purpose], self._env)
        self._seen[purpose] = now
        return ring

    def save(self, purpose: Purpose, ring: Ring) -> None:
        _save(self._folder, self._env, purpose, ring)
        self._seen[purpose] = self._state(purpose)

    def _state(self, purpose: Purpose) -> tuple[int, int] | None:
        try:
            found = (self._folder / FILES[purpose]).lstat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns


def write_private(folder: Path, name: str, content: bytes) -> None:
    """Write a file for its owner alone, in one step and durably."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f"{name}.new"
    beside.unlink(missing_ok=True)
    # Created with its final permissions: there is no moment at which others could open it.
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / name)
    folder_descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(folder_descriptor)
    finally:
        os.close(folder_descriptor)


def read_private(path: Path) -> bytes:
    """What such a file says. Raises FileNotFoundError, and KeysRefused where others can read it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeysRefused(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise KeysRefused(f"{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")
        return file.read()


def _save(folder: Path, env: Env, purpose: Purpose, ring: Ring) -> None:
    """Either the old file or the new one is there, never a half."""
    stored = _Stored(
        env, [_StoredKey(one.version, one.created_at, one.enabled, one.secret.hex()) for one in ring]
    )
    try:
        write_private(folder, FILES[purpose], msgspec.json.encode(stored))
    except OSError as error:
        raise KeysRefused(f"{folder / FILES[purpose]} cannot be written: {error.strerror}") from error


def _load(path: Path, env: Env) -> Ring:
    content = read_private(path)
    try:
        plain = msgspec.json.decode(content)
        stored = msgspec.convert(_today(plain, int(path.stat().st_mtime)), _Stored)
        ring = tuple(_key(one) for one in stored.keys)
    except (msgspec.DecodeError, JoseError, ValueError, KeyError, TypeError) as error:
        raise KeysRefused(f"{path} is not a key file; put the right one back, or move it away") from error
    if stored.env is not env:
        raise KeysRefused(f"{path} holds keys of the {stored.env.value} environment, not of {env.value}")
    if not ring or not ring[0].enabled:
        raise KeysRefused(f"{path} holds no current key; put the right one back, or move it away")
    return ring


def _key(stored: _StoredKey) -> SoftKey:
    secret = bytes.fromhex(stored.secret)
    if len(secret) != SECRET_BYTES:
        raise ValueError("a key is 32 bytes")
    return SoftKey(
        version=stored.version, created_at=stored.created_at, enabled=stored.enabled, secret=secret
    )


def _today(plain: Any, written_at: int) -> Any:
    """What the first releases wrote, in today's form: the audit's key is what old checkpoints are held to."""
    if "ed25519" in plain:
        only = {"version": 1, "created_at": written_at, "enabled": True, "secret": plain["ed25519"]}
        return {"env": plain["env"], "keys": [only]}
    if any("jwk" in one for one in plain["keys"]):
        rows = list(enumerate(reversed(plain["keys"]), start=1))
        return {"env": plain["env"], "keys": [_from_jwk(one, version) for version, one in reversed(rows)]}
    return plain


def _from_jwk(one: Any, version: int) -> dict[str, Any]:
    key = ECKey.import_key(one["jwk"])
    if key.private_key is None:
        raise ValueError("a signing key needs its private half")
    secret = key.private_key.private_numbers().private_value.to_bytes(SECRET_BYTES)
    return {"version": version, "created_at": one["created_at"], "enabled": True, "secret": secret.hex()}
