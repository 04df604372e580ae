"""Which environment this machine is for, said in a file that somebody signed; live does not start without.

A signed note: the environment and the name of the gateway's log, under a key of which the settings name the
public half. Whoever copies a paper machine's settings to live, or flips a word in them, has no such file. A
variable that names an environment is refused wherever it is: one place says it, or two could differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ordergate.audit import notes
from ordergate.core.ids import Env
from ordergate.ports.keys import KeysRefused
from ordergate.security.keys.local import read_private, write_private
from ordergate.wiring.settings import CannotStart, Settings

VARIABLE: Final = "ORDERGATE_ENVIRONMENT"
FORM: Final = "ordergate environment v1"
SIGNER: Final = "ordergate.declaration"


def check(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raises CannotStart unless this process may be what its settings say."""
    if VARIABLE in environment:
        raise CannotStart(f"unset {VARIABLE}: the environment is said by the settings and a signed file")
    said = settings.declaration
    if said is None:
        if settings.environment is Env.LIVE:
            raise CannotStart("live needs a signed file that says so: ordergate declare, and `declaration`")
        return
    try:
        note = notes.parse_note(said.file.read_text(encoding="utf-8"))
        name, public = notes.parse_verifier_key(said.key)
    except OSError as error:
        raise CannotStart(f"cannot read the declaration {said.file}: {error.strerror}") from error
    except (notes.Malformed, UnicodeDecodeError) as error:
        raise CannotStart(f"the declaration {said.file}, or its key, cannot be read: {error}") from error
    if not _is_signed(note, name, public):
        raise CannotStart(f"the declaration {said.file} is not signed by {name}")
    if note.text != text_of(settings.environment, settings.log_origin):
        us = f"{settings.log_origin} in {settings.environment}"
        raise CannotStart(f"the declaration {said.file} is not for {us}")


def declare(settings: Settings, key_file: Path, file: Path) -> str:
    """Sign it with the key in a file, made on first use; what the settings say of it. Raises CannotStart."""
    try:
        key = _key(key_file)
        public = key.public_key().public_bytes_raw()
        text = text_of(settings.environment, settings.log_origin)
        note = notes.signed(text, SIGNER, public, key.sign(text.encode()))
        write_private(file.parent, file.name, note.encode())
    except (OSError, KeysRefused, ValueError) as error:
        raise CannotStart(f"cannot sign the declaration: {error}") from error
    return notes.verifier_key(SIGNER, public)


def text_of(env: Env, origin: str) -> str:
    """What is signed."""
    return f"{FORM}\n{env.value}\n{origin}\n"


def _is_signed(note: notes.Note, name: str, public: bytes) -> bool:
    wanted = notes.key_id(name, public)
    for signer, key, signature in note.signatures:
        if (signer, key) == (name, wanted):
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signature, note.text.encode())
            except InvalidSignature:
                return False
            return True
    return False


def _key(file: Path) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(read_private(file).decode().strip()))
    except FileNotFoundError:
        key = Ed25519PrivateKey.generate()
        write_private(file.parent, file.name, key.private_bytes_raw().hex().encode())
        return key
