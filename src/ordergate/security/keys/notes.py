"""The key that signs the audit's checkpoints: Ed25519, in one file that only its owner can read.

A key of its own, so that who can issue tokens cannot sign history. For paper trading on one machine;
live is refused, as it is for the keys that sign tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ordergate.core.ids import Env
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


def load_or_create(folder: Path, env: Env) -> LocalNoteKey:
    """The key in the folder, made on first use. Raises KeysRefused."""
    try:
        return load(folder, env)
    except FileNotFoundError:
        key = Ed25519PrivateKey.generate()
        stored = {"env": env.value, "ed25519": key.private_bytes_raw().hex()}
        local.write_private(folder, FILE, json.dumps(stored).encode())
        return LocalNoteKey(key)


def load(folder: Path, env: Env) -> LocalNoteKey:
    """The key in the folder. Raises FileNotFoundError and KeysRefused."""
    local.refuse_live(env)
    file = folder / FILE
    content = local.read_private(file)
    try:
        found = json.loads(content)
        kept_for, key = found["env"], Ed25519PrivateKey.from_private_bytes(bytes.fromhex(found["ed25519"]))
    except (ValueError, KeyError, TypeError) as error:
        raise local.KeysRefused(f"{file} is not a key file; put the right one back") from error
    if kept_for != env.value:
        raise local.KeysRefused(f"{file} is of the {kept_for} environment, not of {env.value}")
    return LocalNoteKey(key)
