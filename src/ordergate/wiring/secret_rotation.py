"""Rotates the secrets that lie in files: the database's password, and those that sign webhooks.

A new secret is durable beside the old one before anything depends on it, so that a rotation that died
anywhere is ended by running it again. The running gateway reads the files again by itself.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from ordergate.security.keys.local import read_private, write_private
from ordergate.security.scram import SALT_BYTES, verifier
from ordergate.security.statements import sql
from ordergate.telemetry.secret import Secret
from ordergate.wiring.settings import CannotStart, Settings

PASSWORD_BYTES: Final = 32
WEBHOOK_BYTES: Final = 32
TIMEOUT_S: Final = 10.0
PREFIX: Final = "whsec_"

_ALTER: Final = sql("alter_own_password")


def database_password(settings: Settings) -> Path:
    """A new password of the gateway's own role, in its passfile. Raises CannotStart."""
    if settings.database_url is None:
        raise CannotStart("the embedded database has no password: it listens on a socket of its own")
    address = settings.database_url.read()
    named = parse_qs(urlsplit(address.reveal()).query).get("passfile")
    if not named:
        raise CannotStart("give the database's password in a file: end its address with ?passfile=/path")
    file = Path(named[0])
    following = file.with_name(f"{file.name}.next")
    try:
        asyncio.run(_change(address, file, following))
        following.replace(file)
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise CannotStart(f"the database's password was not changed: {type(error).__name__}") from error
    return file


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
    made = Secret(PREFIX + base64.b64encode(secrets.token_bytes(WEBHOOK_BYTES)).decode())
    try:
        # First the old one is in both: a message is signed with it whatever happens next.
        write_private(before.parent, before.name, read_private(current))
        write_private(current.parent, current.name, made.reveal().encode())
    except OSError as error:
        raise CannotStart(f"the secret of {name} cannot be replaced: {error.strerror}") from error
    return made
