"""Credentials in PostgreSQL, one statement per file in `sql/`. Never sees one that is not sealed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import asyncpg

from ordergate.core.ids import Env
from ordergate.ports.keys import Wrapped
from ordergate.security.credentials.slots import Credential, State
from ordergate.security.sealing.envelope import Sealed
from ordergate.security.statements import TIMEOUT_S, small_pool, sql, told_as_unavailable

_LOAD: Final = sql("load_credentials")
_ADD: Final = sql("add_credential")
_MOVE: Final = sql("move_credential")
_SWITCH: Final = sql("switch_credential")
_REVOKE: Final = sql("revoke_credential")
_OWN: Final = sql("own_credential")
_RESEAL: Final = sql("reseal_credential")


@asynccontextmanager
async def connected(env: Env, dsn: str) -> AsyncIterator[CredentialStore]:
    """A store with a small pool of its own. Raises StoreUnavailable."""
    async with small_pool(dsn, "ordergate credentials") as pool:
        yield CredentialStore(env, pool)


class CredentialStore:
    """Every method raises StoreUnavailable when the database cannot be reached in time."""

    def __init__(self, env: Env, pool: asyncpg.Pool) -> None:
        self._env = env
        self._pool = pool

    async def rows(self, broker: str | None = None, *, revoked: bool = False) -> list[Credential]:
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                rows = await connection.fetch(_LOAD, self._env.value, broker, revoked, timeout=TIMEOUT_S)
        return [self._row(row) for row in rows]

    async def sealed_rows(self) -> Sequence[Credential]:
        """Everything that is sealed here."""
        return [row for row in await self.rows() if row.sealed is not None]

    async def add(self, row: Credential) -> bool:
        """False where one that follows is there already."""
        assert row.sealed is not None
        return await self._did(
            _ADD, row.row_id, row.broker, row.tenant, row.account, row.kind, row.expires_at,
            *_columns(row.sealed),
        )  # fmt: skip

    async def move(self, row_id: str, before: State, after: State, fingerprint: str | None = None) -> bool:
        """False where the row is in another state by now."""
        return await self._did(_MOVE, row_id, before.value, after.value, fingerprint)

    async def switch(self, row: Credential) -> bool:
        """The verified one is in use and the one in use drains, both or neither."""
        with told_as_unavailable():
            try:
                async with self._pool.acquire(timeout=TIMEOUT_S) as connection, connection.transaction():
                    await connection.execute(_SWITCH, self._env.value, row.broker, timeout=TIMEOUT_S)
                    moved = await connection.fetchval(
                        _MOVE, self._env.value, row.row_id, State.VERIFIED.value, State.ACTIVE.value, None,
                        timeout=TIMEOUT_S,
                    )  # fmt: skip
                    if moved is None:
                        raise _Overtaken
            except (_Overtaken, asyncpg.UniqueViolationError):
                return False
        return True

    async def revoke(self, row_id: str, before: State) -> bool:
        """The secret is gone with it."""
        return await self._did(_REVOKE, row_id, before.value)

    async def reseal(
        self, row_id: str, before: Sealed, after: Sealed, expires_at: datetime | None = None
    ) -> bool:
        """False where the row was sealed otherwise meanwhile."""
        return await self._did(_RESEAL, row_id, before.wrapped.blob, *_columns(after), expires_at)

    @asynccontextmanager
    async def owned(self, row_id: str) -> AsyncIterator[bool]:
        """True for one at a time in the whole database, for as long as the block lasts."""
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection, connection.transaction():
                yield await connection.fetchval(_OWN, self._env.value, row_id, timeout=TIMEOUT_S)

    async def _did(self, said: str, *arguments: object) -> bool:
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                told = await connection.fetchval(said, self._env.value, *arguments, timeout=TIMEOUT_S)
        return told is not None

    def _row(self, row: asyncpg.Record) -> Credential:
        return Credential(
            env=self._env,
            row_id=row["row_id"],
            broker=row["broker"],
            tenant=row["tenant"],
            account=row["account"],
            kind=row["kind"],
            state=State(row["state"]),
            sealed=_sealed(row),
            fingerprint=row["fingerprint"],
            expires_at=row["expires_at"],
            created_at=row["created_at"],
            changed_at=row["changed_at"],
        )


class _Overtaken(Exception):
    """Somebody else moved the row; the transaction is undone."""


def _columns(sealed: Sealed) -> tuple[object, ...]:
    wrapped = sealed.wrapped
    return (
        wrapped.key, wrapped.version, wrapped.algorithm, wrapped.blob,
        sealed.algorithm, sealed.nonce, sealed.ciphertext,
    )  # fmt: skip


def _sealed(row: asyncpg.Record) -> Sealed | None:
    if row["ciphertext"] is None:
        return None
    wrapped = Wrapped(
        key=row["kek"], version=row["kek_version"], algorithm=row["kek_algorithm"], blob=row["wrapped"]
    )
    return Sealed(
        wrapped=wrapped, algorithm=row["algorithm"], nonce=row["nonce"], ciphertext=row["ciphertext"]
    )
