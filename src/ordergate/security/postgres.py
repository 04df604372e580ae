"""The store on PostgreSQL. One statement per file in `sql/`; tables come from `migrations/`.

Every statement has a time limit, and whatever goes wrong below is told as StoreUnavailable: the
caller keeps what it has in memory and tries again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from importlib.resources import files
from typing import Final

import asyncpg

from ordergate.core.access import Scope
from ordergate.core.ids import AccountId, Env
from ordergate.ports.privileged import Change
from ordergate.security.clients import (
    Client,
    PublishedKey,
    Snapshot,
    StoreUnavailable,
    check_client,
)

TIMEOUT_S: Final = 3.0
POOL_MAX: Final = 2

_SCOPES: Final = frozenset(scope.value for scope in Scope)


def statement(name: str) -> str:
    """What the file of that name in `sql/` says."""
    return files("ordergate.security").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


_LOAD_CLIENTS: Final = statement("load_clients")
_LOAD_KEYS: Final = statement("load_keys")
_LOAD_REVOCATIONS: Final = statement("load_revocations")
_PUT_CLIENT: Final = statement("put_client")
_PUT_KEYS: Final = statement("put_keys")
_REVOKE: Final = statement("revoke")
_PRUNE_KEYS: Final = statement("prune_keys")
_PRUNE_REVOCATIONS: Final = statement("prune_revocations")
_CLIENTS_SINCE: Final = statement("client_secrets_since")
_NOTE_CHANGE: Final = statement("note_change")
_LOAD_CHANGES: Final = statement("load_changes")
_CHANGES_RECORDED: Final = statement("changes_recorded")


@asynccontextmanager
async def connected(env: Env, dsn: str) -> AsyncIterator[PostgresStore]:
    """A store with a small pool of its own. Raises StoreUnavailable."""
    with told_as_unavailable():
        pool = await asyncpg.create_pool(
            dsn, min_size=1, max_size=POOL_MAX, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S,
            server_settings={"application_name": "ordergate identity"},
        )
    try:
        yield PostgresStore(env, pool)
    finally:
        pool.terminate()


class PostgresStore:
    """A ClientStore over a pool that somebody else closes."""

    def __init__(self, env: Env, pool: asyncpg.Pool) -> None:
        self._env = env
        self._pool = pool

    async def load(self, now: int) -> Snapshot:
        # One snapshot, so that a key and a client written together are seen together.
        with told_as_unavailable():
            async with (
                self._pool.acquire(timeout=TIMEOUT_S) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                clients = await connection.fetch(_LOAD_CLIENTS, self._env.value, timeout=TIMEOUT_S)
                keys = await connection.fetch(_LOAD_KEYS, self._env.value, now, timeout=TIMEOUT_S)
                revoked = await connection.fetch(_LOAD_REVOCATIONS, self._env.value, now, timeout=TIMEOUT_S)
        return Snapshot(
            clients=tuple(_client(row) for row in clients),
            keys=tuple(PublishedKey(kid=r["kid"], jwk=r["jwk"], retires_at=r["retires_at"]) for r in keys),
            revoked={row["token_id"]: row["expires_at"] for row in revoked},
        )

    async def put_client(self, client: Client) -> None:
        check_client(self._env, client)
        await self._execute(
            _PUT_CLIENT,
            client.client_id,
            client.tenant,
            client.secret_hash,
            sorted(scope.value for scope in client.scopes),
            sorted(client.accounts),
            client.enabled,
        )

    async def put_keys(self, keys: tuple[PublishedKey, ...]) -> None:
        await self._execute(
            _PUT_KEYS,
            [key.kid for key in keys],
            [key.jwk for key in keys],
            [key.retires_at for key in keys],
        )

    async def revoke(self, token_id: str, expires_at: int) -> None:
        await self._execute(_REVOKE, token_id, expires_at)

    async def waiting(self, most: int) -> Sequence[Change]:
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                rows = await connection.fetch(_LOAD_CHANGES, self._env.value, most, timeout=TIMEOUT_S)
        return [
            Change(
                number=row["id"],
                at=row["at"],
                what=row["what"],
                operation=row["operation"],
                subject=row["subject"],
                by=row["made_by"],
                facts=json.loads(row["facts"]),
            )
            for row in rows
        ]

    async def note(self, what: str, operation: str, subject: str, facts: Mapping[str, str]) -> None:
        """Something else that a person with power did, to be recorded as changes of identity are."""
        await self._execute(_NOTE_CHANGE, what, operation, subject, json.dumps(dict(facts)))

    async def client_secrets_since(self) -> datetime | None:
        """When the enabled client that has stood unchanged longest was last changed."""
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                found: datetime | None = await connection.fetchval(
                    _CLIENTS_SINCE, self._env.value, timeout=TIMEOUT_S
                )
        return found

    async def recorded(self, numbers: Sequence[int]) -> None:
        await self._execute(_CHANGES_RECORDED, list(numbers))

    async def prune(self, now: int) -> None:
        await self._execute(_PRUNE_KEYS, now)
        await self._execute(_PRUNE_REVOCATIONS, now)

    async def _execute(self, statement: str, *arguments: object) -> None:
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                await connection.execute(statement, self._env.value, *arguments, timeout=TIMEOUT_S)


@contextmanager
def told_as_unavailable() -> Iterator[None]:
    """Whatever goes wrong below is a StoreUnavailable."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"the identity store did not answer: {type(error).__name__}") from error


def _client(row: asyncpg.Record) -> Client:
    """A scope that this version does not know gives nothing, and is not an error."""
    return Client(
        client_id=row["client_id"],
        tenant=row["tenant"],
        secret_hash=row["secret_hash"],
        scopes=frozenset(Scope(scope) for scope in row["scopes"] if scope in _SCOPES),
        accounts=frozenset(AccountId(account) for account in row["accounts"]),
        enabled=row["enabled"],
    )
