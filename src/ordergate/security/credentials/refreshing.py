"""Keeps tokens that users granted from running out: each is refreshed in time, once, by one owner.

A refresh token works once, so two who used the same one would end the grant: whoever refreshes holds a lock
of the database, and looks again at the row under it. What cannot be refreshed is told before it runs out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from ordergate.ports.clock import Clock
from ordergate.ports.keys import KeysUnavailable
from ordergate.security.clients import StoreUnavailable
from ordergate.security.credentials.desk import CredentialDesk
from ordergate.security.credentials.documents import OAuthTokens, written
from ordergate.security.credentials.grants import BrokerAway, GrantRefused, Grants
from ordergate.security.credentials.slots import Credential
from ordergate.security.credentials.store import CredentialStore
from ordergate.security.sealing.envelope import Envelope
from ordergate.telemetry import log

REFRESH_BEFORE: Final = timedelta(minutes=10)
ALERT_BEFORE: Final = timedelta(minutes=5)
RETRY_S: Final = 15.0
KEEP_TRIES: Final = 10
KEEP_PAUSE_S: Final = 1.0

_log = log.logger("security")


class Refresher:
    """`look` at a row as often as one likes."""

    def __init__(
        self,
        store: CredentialStore,
        envelope: Envelope,
        desk: CredentialDesk,
        grants: Mapping[str, Grants],
        clock: Clock,
    ) -> None:
        self._store = store
        self._envelope = envelope
        self._desk = desk
        self._grants = grants
        self._clock = clock
        self._not_before: dict[str, float] = {}

    def due(self, row: Credential) -> bool:
        left = self._left(row)
        return left is not None and left <= REFRESH_BEFORE

    async def look(self, row: Credential) -> bool:
        """True where it was refreshed now. Raises StoreUnavailable and the faults of keys."""
        if not self.due(row) or self._clock.monotonic() < self._not_before.get(row.row_id, 0.0):
            return False
        self._not_before[row.row_id] = self._clock.monotonic() + RETRY_S
        try:
            return await self._refreshed(row)
        except (BrokerAway, GrantRefused) as fault:
            left = self._left(row)
            near = left is not None and left <= ALERT_BEFORE
            tell = _log.error if near or isinstance(fault, GrantRefused) else _log.warning
            tell("credential.not_refreshed", broker=row.broker, why=str(fault), left_s=_seconds(left))
            return False

    async def _refreshed(self, row: Credential) -> bool:
        grants = self._grants.get(row.broker)
        if grants is None:
            raise GrantRefused("the settings name no application to refresh it with")
        async with self._store.owned(row.row_id) as ours:
            if not ours:
                return False
            current = await self._current(row)
            if current is None or current.sealed is None or not self.due(current):
                return False
            document = await self._desk.open(current)
            if not isinstance(document, OAuthTokens):
                return False
            fresh = await grants.refresh(document)
            await self._keep(current, document, fresh)
        _log.info("credential.refreshed", broker=row.broker, row=row.row_id)
        return True

    async def _keep(self, row: Credential, spent: OAuthTokens, fresh: OAuthTokens) -> None:
        """Put what was granted in the place of what is spent, which nobody can be asked for again.

        A rotation of keys may wrap the row anew meanwhile, and the key service or the database be away for a
        moment. Raises BrokerAway where another grant is there by now, and their faults.
        """
        for left in reversed(range(KEEP_TRIES)):
            try:
                if await self._kept(row, spent, fresh):
                    return
            except (KeysUnavailable, StoreUnavailable):
                if not left:
                    raise
                await self._clock.sleep(KEEP_PAUSE_S)
        raise BrokerAway("what was refreshed could not be kept: the row is changed again and again")

    async def _kept(self, row: Credential, spent: OAuthTokens, fresh: OAuthTokens) -> bool:
        """False where the row was changed just then: look again."""
        current = await self._current(row)
        if current is None or current.sealed is None or await self._desk.open(current) != spent:
            raise BrokerAway("what was refreshed could not be kept: the row was changed meanwhile")
        sealed = await self._envelope.seal(written(fresh), current.about())
        expires = datetime.fromtimestamp(fresh.expires_at, UTC)
        return await self._store.reseal(current.row_id, current.sealed, sealed, expires)

    async def _current(self, row: Credential) -> Credential | None:
        rows = await self._store.rows(row.broker)
        return next((one for one in rows if one.row_id == row.row_id), None)

    def _left(self, row: Credential) -> timedelta | None:
        return None if row.expires_at is None else row.expires_at - self._clock.now()


def _seconds(left: timedelta | None) -> int | None:
    return None if left is None else int(left.total_seconds())
