"""Rotates the secrets that lie in files: the database's password, those that sign webhooks, and hooks' own.

A new secret is durable beside the old one before anything depends on it, so that a rotation that died
anywhere is ended by running it again. The running gateway reads the files again by itself.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from ordergate.ports.keys import KeysRefused
from ordergate.security.keys.local import read_private, write_private
from ordergate.security.scram import SALT_BYTES, verifier
from ordergate.security.statements import sql
from ordergate.telemetry.secret import Secret
from ordergate.wiring.client_settings import HookSettings
from ordergate.wiring.hooks import ending
from ordergate.wiring.settings import CannotStart, Settings

PASSWORD_BYTES: Final = 32
WEBHOOK_BYTES: Final = 32
PASSPHRASE_BYTES: Final = 32
TIMEOUT_S: Final = 10.0
PREFIX: Final = "whsec_"

_ALTER: Final = sql("alter_own_password")


def database_password(settings: Settings) -> Path:
    """A new password of the gateway's own role, in its passfile. Raises CannotStart."""
    if settings.database_url is None:
        raise CannotStart("the embedded database has no password: it listens on a socket of its own")
    address = settings.database_url.read()
    file = passfile_of(address)
    if file is None:
        raise CannotStart("give the database's password in a file: end its address with ?passfile=/path")
    following = file.with_name(f"{file.name}.next")
    try:
        asyncio.run(_change(address, file, following))
        following.replace(file)
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise CannotStart(f"the database's password was not changed: {type(error).__name__}") from error
    return file


def passfile_of(address: Secret) -> Path | None:
    """Where an address of a database says that its password is."""
    named = parse_qs(urlsplit(address.reveal()).query).get("passfile")
    return None if not named else Path(named[0])


async def _change(address: Secret, file: Path, following: Path) -> None:
    connection = await _connected(address, file, following)
    try:
        password = Secret(secrets.token_urlsafe(PASSWORD_BYTES))
        await asyncio.to_thread(write_private, file.parent, following.name, _line(password))
        said = verifier(password, secrets.token_bytes(SALT_BYTES))
        change = await connection.fetchval(_ALTER, said, timeout=TIMEOUT_S)
        await connection.execute(change, timeout=TIMEOUT_S)
    finally:
        await connection.close(timeout=TIMEOUT_S)


async def _connected(address: Secret, file: Path, following: Path) -> asyncpg.Connection:
    """With the password of now, or with the one of a rotation that died before its last step."""
    try:
        return await asyncpg.connect(address.reveal(), passfile=str(file), timeout=TIMEOUT_S)
    except asyncpg.InvalidPasswordError:
        return await asyncpg.connect(address.reveal(), passfile=str(following), timeout=TIMEOUT_S)


def _line(password: Secret) -> bytes:
    return f"*:*:*:*:{password.reveal()}\n".encode()


def webhook(settings: Settings, name: str) -> Secret:
    """A new secret for an endpoint, told this once; the one of now is kept beside it. Raises CannotStart."""
    endpoint = next((one for one in settings.surveillance if one.name == name), None)
    if endpoint is None:
        raise CannotStart(f"the settings name no endpoint {name!r}")
    files = [source.file for source in endpoint.secrets if source.file is not None]
    if len(files) != 2:
        raise CannotStart(f"give the endpoint {name} two secrets in files: of now, and the one before")
    current, before = files
    made = _signing_secret()
    try:
        # First the old one is in both: a message is signed with it whatever happens next.
        write_private(before.parent, before.name, read_private(current))
        write_private(current.parent, current.name, made.reveal().encode())
    except OSError as error:
        raise CannotStart(f"the secret of {name} cannot be replaced: {error.strerror}") from error
    except KeysRefused as error:
        raise CannotStart(str(error)) from error
    return made


def hook(settings: Settings, name: str, overlap: timedelta, now: datetime) -> tuple[Secret, datetime]:
    """A new secret for a hook's sender, told this once, and until when the one before is accepted beside it.

    Raises CannotStart.
    """
    its = settings.hooks.get(name)
    if its is None:
        raise CannotStart(f"the settings have no hook {name!r}")
    files = [source.file for source in its.secrets if source.file is not None]
    if len(files) != 2 or len(its.secrets) != 2:
        raise CannotStart(f"give the hook {name} two secrets in files: of now, and the one before")
    current, before = files
    made, until = _secret_for(its), now + overlap
    try:
        # First the old one is in both: it is accepted whatever happens next.
        old = read_private(current).decode().partition("\n")[0].strip()
        write_private(before.parent, before.name, ending(old, until).encode())
        write_private(current.parent, current.name, made.reveal().encode())
    except OSError as error:
        raise CannotStart(f"the secret of {name} cannot be replaced: {error.strerror}") from error
    except KeysRefused as error:
        raise CannotStart(str(error)) from error
    return made, until


def _secret_for(its: HookSettings) -> Secret:
    if its.passphrase is not None:
        return Secret(secrets.token_urlsafe(PASSPHRASE_BYTES))
    return _signing_secret()


def _signing_secret() -> Secret:
    return Secret(PREFIX + base64.b64encode(secrets.token_bytes(WEBHOOK_BYTES)).decode())
