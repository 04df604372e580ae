"""How old every secret is, so that somebody is reminded before it is too old. Looks, and rotates nothing.

What cannot be known, such as the age of an environment variable, is not told.
"""

from __future__ import annotations

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
from ordergate.wiring.settings import SecretSource, Settings
from ordergate.wiring.system import SystemClock

EVERY_S: Final = 60.0

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
        self._files = files_of(settings)
        self._keys = keys
        self._credentials = credentials
        self._identity = identity
        self._metrics = metrics
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(EVERY_S)

    async def look(self) -> None:
        for name, since in self._since_files().items():
            self._tell(name, since)
        try:
            for purpose in Purpose:
                found = newest(await self._keys.describe(purpose))
                if found is not None:
                    self._tell(f"key {purpose}", found.created_at)
            for row in await self._credentials.rows():
                if row.state is State.ACTIVE:
                    self._tell(f"broker {row.broker}", row.created_at.timestamp())
                    if row.expires_at is not None:
                        left = row.expires_at - self._clock.now()
                        self._metrics.credential_expires(row.broker).set(left.total_seconds())
            oldest = await self._identity.client_secrets_since()
            if oldest is not None:
                self._tell("clients", oldest.timestamp())
        except (StoreUnavailable, KeysUnavailable, KeysRefused) as fault:
            log.warning("secret_ages.unknown", why=str(fault))

    def _tell(self, name: str, since: float) -> None:
        self._metrics.secret_age(name).set(max(0.0, self._clock.now().timestamp() - since))

    def _since_files(self) -> dict[str, float]:
        found = {}
        for name, file in self._files.items():
            try:
                found[name] = file.stat().st_mtime
            except OSError:
                continue
        return found


def files_of(settings: Settings) -> Mapping[str, Path]:
    """Secrets in files, by what they are for."""
    sources: dict[str, SecretSource | None] = {"database": settings.database_url}
    for login, its in settings.brokers.items():
        sources[f"broker {login}"] = its.secret
        if its.oauth is not None:
            sources[f"broker application {login}"] = its.oauth.client_secret
    for endpoint in settings.surveillance:
        sources[f"webhook {endpoint.name}"] = next(iter(endpoint.secrets), None)
    return {name: source.file for name, source in sources.items() if source and source.file}
