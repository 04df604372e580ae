"""How old every secret is, so that somebody is reminded before it is too old. Looks, and rotates nothing.

What cannot be known, such as the age of an environment variable, is not told. While the database, the key
service or AWS is away, what was last known of them grows older.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ordergate.ports.keys import Keys, KeysRefused, KeysUnavailable, Purpose, newest
from ordergate.security.clients import StoreUnavailable
from ordergate.security.credentials.slots import State
from ordergate.security.credentials.store import CredentialStore
from ordergate.security.postgres import PostgresStore
from ordergate.telemetry.log import logger
from ordergate.telemetry.metrics import Metrics
from ordergate.wiring.secret_rotation import passfile_of
from ordergate.wiring.secret_sources import AwsSecret
from ordergate.wiring.settings import CannotStart, HsmKeys, SecretSource, Settings
from ordergate.wiring.system import SystemClock

EVERY_S: Final = 60.0
AWS_EVERY_S: Final = 900.0
"""What AWS keeps is asked about less often: each look reads the secret itself."""
CLIENTS_MAX: Final = 100
"""How many clients' secrets are told: the oldest ones."""

log = logger("credentials")


class SecretAges:
    """One per gateway."""

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        credentials: CredentialStore,
        identity: PostgresStore,
        metrics: Metrics,
        *,
        clock: SystemClock,
    ) -> None:
        self._settings = settings
        self._files: Mapping[str, Path] | None = None
        self._of_aws: Mapping[str, AwsSecret] = {}
        self._keys = keys
        self._credentials = credentials
        self._identity = identity
        self._metrics = metrics
        self._clock = clock
        self._stored: dict[str, float] = {}
        self._in_aws: dict[str, float] = {}
        self._ask_aws_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(EVERY_S)

    async def look(self) -> None:
        if self._files is None:
            self._files = await asyncio.to_thread(files_of, self._settings)
            self._of_aws = await asyncio.to_thread(of_aws, self._settings)
        try:
            self._stored = await self._since_stored()
        except (StoreUnavailable, KeysUnavailable, KeysRefused) as fault:
            log.warning("secret_ages.unknown", why=str(fault))
        if self._of_aws and self._clock.monotonic() >= self._ask_aws_at:
            self._ask_aws_at = self._clock.monotonic() + AWS_EVERY_S
            self._in_aws |= await asyncio.to_thread(_since_in_aws, self._of_aws)
        now = self._clock.now().timestamp()
        known = {**self._stored, **self._in_aws, **_since(self._files)}
        self._metrics.secret_ages({name: max(0.0, now - since) for name, since in known.items()})

    async def _since_stored(self) -> dict[str, float]:
        """What the key service and the database know."""
        found = {}
        for purpose in Purpose:
            version = newest(await self._keys.describe(purpose))
            if version is not None:
                found[f"key {purpose}"] = float(version.created_at)
        for row in await self._credentials.rows():
            if row.state is State.ACTIVE:
                since = row.created_at if row.expires_at is None else row.changed_at  # when it was refreshed
                found[f"broker {row.broker}"] = since.timestamp()
                if row.expires_at is not None:
                    left = row.expires_at - self._clock.now()
                    self._metrics.credential_expires(row.broker).set(left.total_seconds())
        for client, since in (await self._identity.client_secrets_since(CLIENTS_MAX)).items():
            found[f"client {client}"] = since.timestamp()
        return found


def files_of(settings: Settings) -> Mapping[str, Path]:
    """Secrets in files, by what they are for. May ask AWS for a database's address: for a thread then."""
    found = {name: source.file for name, source in _named(settings).items() if source.file}
    for name, address in _addresses(settings).items():
        file = _file_of_password(address)
        if file is not None:
            found[name] = file
    if settings.tls is not None:
        found["tls key"] = settings.tls.key
    return found


def of_aws(settings: Settings) -> Mapping[str, AwsSecret]:
    """Secrets that AWS keeps, by what they are for. Asks AWS for a database's address: for a thread."""
    found = {name: source.aws for name, source in _named(settings).items() if source.aws}
    for name, address in _addresses(settings).items():
        if address.aws is not None and _file_of_password(address) is None:
            found[name] = address.aws
    return found


def _addresses(settings: Settings) -> Mapping[str, SecretSource]:
    """Of databases: the password is in the address, or in the passfile that it names."""
    named = {"database": settings.database_url, "shared database": settings.kill_switch.shared_database_url}
    return {name: address for name, address in named.items() if address is not None}


def _named(settings: Settings) -> Mapping[str, SecretSource]:
    """Where every secret is that the settings name by itself, by what it is for."""
    sources: dict[str, SecretSource | None] = {}
    for login, its in settings.brokers.items():
        sources[f"broker {login}"] = its.secret
        if its.oauth is not None:
            sources[f"broker application {login}"] = its.oauth.client_secret
    for endpoint in settings.surveillance:
        sources[f"webhook {endpoint.name}"] = next(iter(endpoint.secrets), None)
    for name, hook in settings.hooks.items():
        sources[f"hook {name}"] = next(iter(hook.secrets), None)
    if isinstance(settings.keys, HsmKeys):
        sources["module pin"] = settings.keys.pin
    return {name: source for name, source in sources.items() if source is not None}


def _file_of_password(source: SecretSource) -> Path | None:
    """The passfile that the address names, or the file of an address that has the password in it."""
    try:
        address = source.read()
    except CannotStart:
        return None
    return passfile_of(address) or source.file


def _since_in_aws(secrets: Mapping[str, AwsSecret]) -> dict[str, float]:
    found = {}
    for name, secret in secrets.items():
        try:
            found[name] = secret.since().timestamp()
        except CannotStart as cannot:
            log.warning("secret_ages.unknown", why=str(cannot))
    return found


def _since(files: Mapping[str, Path]) -> dict[str, float]:
    found = {}
    for name, file in files.items():
        try:
            found[name] = file.stat().st_mtime
        except OSError:
            continue
    return found
