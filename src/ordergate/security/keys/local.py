"""Development keys: the ring in one file that only its owner can read.

For paper trading on one machine. The live environment is refused here: its keys belong in a
module that does not hand them out. A file that others can read, or that belongs to another
environment, is refused as well and never repaired silently.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from ordergate.core.faults import Fault
from ordergate.core.ids import Env
from ordergate.security.keys.ring import Keyring, SigningKey, new_ring

FILE: Final = "signing-keys.json"
OWNER_ONLY: Final = 0o600


class KeysRefused(Fault):
    """The key file must not be used as it is; the message says what to do."""


class _StoredKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    created_at: int
    retires_at: int | None
    jwk: dict[str, str]


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    env: Env
    keys: list[_StoredKey]
    coming: _StoredKey | None = None


def load_or_create(folder: Path, env: Env, now: int) -> Keyring:
    """The ring in the folder, made on first use."""
    try:
        return load(folder, env)
    except FileNotFoundError:
        ring = new_ring(env, now)
        save(folder, ring)
        return ring


def load(folder: Path, env: Env) -> Keyring:
    """The ring in the folder. Raises FileNotFoundError and KeysRefused."""
    refuse_live(env)
    return _load(folder / FILE, env)


def save(folder: Path, ring: Keyring) -> None:
    """Write the ring in one step: either the old file or the new one is there, never a half."""
    refuse_live(ring.env)
    coming = None if ring.coming is None else _stored(ring.coming)
    stored = _Stored(ring.env, [_stored(key) for key in (ring.current, *ring.previous)], coming)
    write_private(folder, FILE, msgspec.json.encode(stored))


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
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise KeysRefused(f"{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")
        return file.read()


def refuse_live(env: Env) -> None:
    if env is Env.LIVE:
        raise KeysRefused("keys in a file are for paper trading; configure a key service for live")


def _load(path: Path, env: Env) -> Keyring:
    content = read_private(path)
    try:
        stored = msgspec.json.decode(content, type=_Stored)
        keys = [_signing(key) for key in stored.keys]
        coming = None if stored.coming is None else _signing(stored.coming)
    except (msgspec.DecodeError, JoseError, ValueError) as error:
        raise KeysRefused(f"{path} is not a key file; move it away to have new keys made") from error
    if stored.env is not env:
        raise KeysRefused(f"{path} holds keys of the {stored.env.value} environment, not of {env.value}")
    if not keys or keys[0].retires_at is not None:
        raise KeysRefused(f"{path} holds no current key; move it away to have new keys made")
    return Keyring(env=env, current=keys[0], previous=tuple(keys[1:]), coming=coming)


def _stored(key: SigningKey) -> _StoredKey:
    jwk = {name: str(value) for name, value in key.key.as_dict(private=True).items()}
    return _StoredKey(key.created_at, key.retires_at, jwk)


def _signing(stored: _StoredKey) -> SigningKey:
    key = ECKey.import_key(dict(stored.jwk))
    if not key.is_private:
        raise ValueError("a signing key needs its private half")
    return SigningKey(
        kid=key.thumbprint(), key=key, created_at=stored.created_at, retires_at=stored.retires_at
    )
