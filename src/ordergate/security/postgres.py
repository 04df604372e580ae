"""The store on PostgreSQL. One statement per file in `sql/`; tables come from `migrations/`.

Every statement has a time limit, and whatever goes wrong below is told as StoreUnavailable: the
caller keeps what it has in memory and tries again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from ipaddress import ip_network
from typing import Final

import asyncpg

from ordergate.core.access import KeyBounds, Scope, Sender
from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.strategies import Strategy, check_strategy
from ordergate.core.tenancy import Access, AccountPlace, Assignment, Desk, check_name
from ordergate.ports.privileged import Change
from ordergate.security import access_postgres as access_tables
from ordergate.security.clients import (
    Client,
    PublishedKey,
    Snapshot,
    StoreUnavailable,
    check_client,
)
from ordergate.security.persons import Person
from ordergate.security.statements import TIMEOUT_S, small_pool, sql, told_as_unavailable

REFUSED_BY_TABLE: Final = "OG002"

_SCOPES: Final = frozenset(scope.value for scope in Scope)


_LOAD_CLIENTS: Final = sql("load_clients")
_LOAD_PEOPLE: Final = sql("load_people")
_LOAD_BOUNDS: Final = sql("load_bounds")
_PUT_BOUNDS: Final = sql("put_bounds")
_DROP_BOUNDS: Final = sql("drop_bounds")
_LOAD_KEYS: Final = sql("load_keys")
_LOAD_REVOCATIONS: Final = sql("load_revocations")
_PUT_CLIENT: Final = sql("put_client")
_NOTED: Final = sql("noted")
_CARRY_OUT: Final = sql("carry_out")
_PUT_KEYS: Final = sql("put_keys")
_REVOKE: Final = sql("revoke")
_SPEND: Final = sql("spend")
_PRUNE_SPENT: Final = sql("prune_spent")
_PRUNE_KEYS: Final = sql("prune_keys")
_PRUNE_REVOCATIONS: Final = sql("prune_revocations")
_CLIENTS_SINCE: Final = sql("client_secrets_since")
_NOTE_CHANGE: Final = sql("note_change")
_LOAD_CHANGES: Final = sql("load_changes")
_CHANGES_RECORDED: Final = sql("changes_recorded")


@asynccontextmanager
async def connected(env: Env, dsn: str) -> AsyncIterator[PostgresStore]:
    """A store with a small pool of its own. Raises StoreUnavailable."""
    async with small_pool(dsn, "ordergate identity") as pool:
        yield PostgresStore(env, pool)


class PostgresStore:
    """A ClientStore over a pool that somebody else closes."""

    def __init__(self, env: Env, pool: asyncpg.Pool) -> None:
        self._env = env
        self.pool = pool

    async def load(self, now: int) -> Snapshot:
        # One snapshot, so that a key and a client written together are seen together.
        with told_as_unavailable():
            async with (
                self.pool.acquire(timeout=TIMEOUT_S) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                clients = await connection.fetch(_LOAD_CLIENTS, self._env.value, timeout=TIMEOUT_S)
                people = await connection.fetch(_LOAD_PEOPLE, self._env.value, timeout=TIMEOUT_S)
                keys = await connection.fetch(_LOAD_KEYS, self._env.value, now, timeout=TIMEOUT_S)
                revoked = await connection.fetch(_LOAD_REVOCATIONS, self._env.value, now, timeout=TIMEOUT_S)
                bounds = await connection.fetch(_LOAD_BOUNDS, self._env.value, timeout=TIMEOUT_S)
                access = await access_tables.read(connection, self._env)
        bounded = {row["client_id"]: _bounds(row) for row in bounds}
        return Snapshot(
            clients=tuple(_client(row, bounded.get(row["client_id"])) for row in clients),
            people=tuple(_person(row) for row in people),
            keys=tuple(PublishedKey(kid=r["kid"], jwk=r["jwk"], retires_at=r["retires_at"]) for r in keys),
            revoked={row["token_id"]: row["expires_at"] for row in revoked},
            access=access,
        )

    async def put_client(
        self, client: Client, noted: Mapping[str, str] = {}, change: str | None = None
    ) -> None:
        check_client(self._env, client)
        statements: list[tuple[str, tuple[object, ...]]] = [(_PUT_CLIENT, _columns(client))]
        if client.bounds is not None:
            statements.append((_PUT_BOUNDS, (client.client_id, *_plain(client.bounds))))
        else:
            statements.append((_DROP_BOUNDS, (client.client_id,)))
        env = self._env.value
        with told_as_unavailable():
            async with self.pool.acquire(timeout=TIMEOUT_S) as connection, connection.transaction():
                if noted:
                    await connection.execute(_NOTED, json.dumps(dict(noted)), timeout=TIMEOUT_S)
                if change is not None and not await connection.fetchval(
                    _CARRY_OUT, env, change, timeout=TIMEOUT_S
                ):
                    return
                for statement, arguments in statements:
                    await connection.execute(statement, env, *arguments, timeout=TIMEOUT_S)

    async def put_keys(self, keys: tuple[PublishedKey, ...]) -> None:
        await self._execute(
            _PUT_KEYS,
            [key.kid for key in keys],
            [key.jwk for key in keys],
            [key.retires_at for key in keys],
        )

    async def revoke(self, token_id: str, expires_at: int) -> None:
        await self._execute(_REVOKE, token_id, expires_at)

    async def spend(self, what: str, expires_at: int) -> bool:
        with told_as_unavailable():
            async with self.pool.acquire(timeout=TIMEOUT_S) as connection:
                said = await connection.fetchval(_SPEND, self._env.value, what, expires_at, timeout=TIMEOUT_S)
        return said is not None

    async def load_access(self) -> Access:
        with told_as_unavailable():
            async with (
                self.pool.acquire(timeout=TIMEOUT_S) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                return await access_tables.read(connection, self._env)

    async def put_tenant(self, tenant: str) -> None:
        check_name(tenant, "tenant")
        await self._execute(access_tables.PUT_TENANT, tenant)

    async def put_desk(self, desk: Desk) -> None:
        check_name(desk.name, "desk")
        with _refused_as_nonsense(f"there is no tenant {desk.tenant}"):
            await self._execute(access_tables.PUT_DESK, desk.tenant, desk.name)

    async def place_accounts(self, places: Iterable[AccountPlace]) -> None:
        statements = access_tables.placing(places)
        with _refused_as_nonsense("an account never changes its tenant"), told_as_unavailable():
            async with self.pool.acquire(timeout=TIMEOUT_S) as connection, connection.transaction():
                for statement, arguments in statements:
                    await connection.execute(statement, self._env.value, *arguments, timeout=TIMEOUT_S)

    async def assign(self, assignment: Assignment, change: str | None = None) -> None:
        with _refused_as_nonsense(f"there is no tenant {assignment.tenant}, or no such subject"):
            await self._execute(access_tables.ASSIGN, *access_tables.plain(assignment), change)

    async def withdraw(self, assignment: Assignment) -> None:
        await self._execute(access_tables.WITHDRAW, *access_tables.plain(assignment))

    async def put_strategy(self, strategy: Strategy, noted: Mapping[str, str] = {}) -> None:
        check_strategy(strategy)
        one, env = strategy, self._env.value
        said = (one.tenant, one.name, one.version, one.owner, one.enabled)
        with _refused_as_nonsense(f"there is no tenant {one.tenant}"), told_as_unavailable():
            async with self.pool.acquire(timeout=TIMEOUT_S) as connection, connection.transaction():
                if noted:
                    await connection.execute(_NOTED, json.dumps(dict(noted)), timeout=TIMEOUT_S)
                await connection.execute(access_tables.PUT_STRATEGY, env, *said, timeout=TIMEOUT_S)

    async def enable(self, tenant: str, subject: str, *, enabled: bool) -> None:
        with _refused_as_nonsense(f"there is no tenant {tenant}, or no such subject"):
            await self._execute(access_tables.ENABLE, tenant, subject, enabled)

    async def waiting(self, most: int) -> Sequence[Change]:
        with told_as_unavailable():
            async with self.pool.acquire(timeout=TIMEOUT_S) as connection:
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

    async def client_secrets_since(self, most: int) -> dict[str, datetime]:
        """Since when enabled clients have the secret or the keys of now; the oldest, `most` of them."""
        with told_as_unavailable():
            async with self.pool.acquire(timeout=TIMEOUT_S) as connection:
                rows = await connection.fetch(_CLIENTS_SINCE, self._env.value, most, timeout=TIMEOUT_S)
        return {row["client_id"]: row["since"] for row in rows}

    async def recorded(self, numbers: Sequence[int]) -> None:
        await self._execute(_CHANGES_RECORDED, list(numbers))

    async def prune(self, now: int) -> None:
        await self._execute(_PRUNE_KEYS, now)
        await self._execute(_PRUNE_REVOCATIONS, now)
        await self._execute(_PRUNE_SPENT, now)

    async def _execute(self, statement: str, *arguments: object) -> None:
        with told_as_unavailable():
            async with self.pool.acquire(timeout=TIMEOUT_S) as connection:
                await connection.execute(statement, self._env.value, *arguments, timeout=TIMEOUT_S)


@contextmanager
def _refused_as_nonsense(words: str) -> Iterator[None]:
    """What the tables' own rules refuse is the asker's mistake, and no outage."""
    try:
        yield
    except StoreUnavailable as unavailable:
        cause = unavailable.__cause__
        if isinstance(cause, asyncpg.IntegrityConstraintViolationError) or (
            isinstance(cause, asyncpg.PostgresError) and cause.sqlstate == REFUSED_BY_TABLE
        ):
            raise ValueError(words) from cause
        raise


def _client(row: asyncpg.Record, bounds: KeyBounds | None) -> Client:
    """A scope that this version does not know gives nothing, and is not an error."""
    return Client(
        client_id=row["client_id"],
        tenant=row["tenant"],
        secret_hash=row["secret_hash"],
        scopes=frozenset(Scope(scope) for scope in row["scopes"] if scope in _SCOPES),
        accounts=frozenset(AccountId(account) for account in row["accounts"]),
        enabled=row["enabled"],
        keys=row["keys"],
        redirect_uris=tuple(row["redirect_uris"]),
        sender=Sender(row["sender"]),
        bounds=bounds,
        old_secret_hash=row["old_secret_hash"],
        old_secret_until=row["old_secret_until"],
    )


def _columns(client: Client) -> tuple[object, ...]:
    """The arguments of the statement that puts it, after the environment."""
    return (
        client.client_id,
        client.tenant,
        client.secret_hash,
        sorted(scope.value for scope in client.scopes),
        sorted(client.accounts),
        client.enabled,
        client.keys,
        list(client.redirect_uris),
        client.sender.value,
        client.old_secret_hash,
        client.old_secret_until,
    )


def _bounds(row: asyncpg.Record) -> KeyBounds:
    return KeyBounds(
        instruments=frozenset(Symbol(symbol) for symbol in row["instruments"]),
        strategies=frozenset(row["strategies"]),
        notional_max=row["notional_max"],
        networks=tuple(ip_network(network) for network in row["networks"]),
        expires_at=row["expires_at"],
        signed_requests=row["signed_requests"],
    )


def _plain(bounds: KeyBounds) -> tuple[object, ...]:
    return (
        sorted(bounds.instruments),
        sorted(bounds.strategies),
        bounds.notional_max,
        [str(network) for network in bounds.networks],
        bounds.expires_at,
        bounds.signed_requests,
    )


def _person(row: asyncpg.Record) -> Person:
    described = dict(row)
    described["scopes"] = frozenset(Scope(scope) for scope in row["scopes"] if scope in _SCOPES)
    described["accounts"] = frozenset(AccountId(account) for account in row["accounts"])
    return Person(**described)
