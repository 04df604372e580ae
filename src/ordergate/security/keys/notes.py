"""The key that signs the audit's checkpoints: Ed25519, in one file that only its owner can read.

A key of its own, so that who can issue tokens cannot sign history. While it is changed the file has the next
one too; of those that were changed only the public half stays. For paper trading on one machine; live is
refused, as it is for the keys that sign tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ordergate.core.ids import Env
from ordergate.ports.audit import NoteKey
from ordergate.security.keys import local

FILE: Final = "audit-key.json"


class LocalNoteKey:
    """Keeps the promises of `ports.audit.NoteKey`."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "LocalNoteKey"

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    async def sign(self, text: bytes) -> bytes:
        return self._key.sign(text)


class _Stored(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Private keys in hex; `next` while the key is changed. `past` are public halves, the oldest first."""

    env: str
    ed25519: str
    next: str | None = None
    past: list[str] = []


class LocalNoteKeys:
    """Keeps the promises of `ports.audit.NoteKeys`. Read anew each time: a command may change the file."""

    def __init__(self, folder: Path, env: Env) -> None:
        self._folder = folder
        self._env = env

    async def versions(self) -> Sequence[LocalNoteKey]:
        stored = _read(self._folder, self._env)
        current = _key(stored.ed25519)
        return [current] if stored.next is None else [_key(stored.next), current]

    async def past(self) -> Sequence[bytes]:
        return [bytes.fromhex(one) for one in _read(self._folder, self._env).past]

    async def retire(self, key: NoteKey) -> None:
        stored = _read(self._folder, self._env)
        if stored.next is None or _key(stored.ed25519).public != key.public:
            return
        past = [*stored.past, key.public.hex()]
        _write(self._folder, _Stored(stored.env, stored.next, past=past))

    def rotate(self) -> bytes:
        """Make the next key; its public half. Raises KeysRefused where the last change is not done yet."""
        stored = _read(self._folder, self._env)
        if stored.next is not None:
            raise local.KeysRefused("the audit's key is being changed already: let the gateway sign once")
        key = Ed25519PrivateKey.generate()
        stored.next = key.private_bytes_raw().hex()
        _write(self._folder, stored)
        return key.public_key().public_bytes_raw()


def load_or_create(folder: Path, env: Env) -> LocalNoteKey:
    """The key in the folder, made on first use. Raises KeysRefused."""
    try:
        return load(folder, env)
    except FileNotFoundError:
        key = Ed25519PrivateKey.generate()
        _write(folder, _Stored(env.value, key.private_bytes_raw().hex()))
        return LocalNoteKey(key)


def load(folder: Path, env: Env) -> LocalNoteKey:
    """The key in the folder. Raises FileNotFoundError and KeysRefused."""
    return _key(_read(folder, env).ed25519)


def _read(folder: Path, env: Env) -> _Stored:
    local.refuse_live(env)
    file = folder / FILE
    try:
        stored = msgspec.json.decode(local.read_private(file), type=_Stored)
        for private in (stored.ed25519, stored.next):
            if private is not None:
                _key(private)
    except (msgspec.DecodeError, ValueError) as error:
        raise local.KeysRefused(f"{file} is not a key file; put the right one back") from error
    if stored.env != env.value:
        raise local.KeysRefused(f"{file} is of the {stored.env} environment, not of {env.value}")
    return stored


def _write(folder: Path, stored: _Stored) -> None:
    local.write_private(folder, FILE, msgspec.json.encode(stored))


def _key(private: str) -> LocalNoteKey:
    return LocalNoteKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private)))
