"""People, their grants, passkeys and resets on PostgreSQL; every change is whole or has not been."""

from __future__ import annotations

import json
from typing import Final

import asyncpg

from ordergate.core.access import Scope
from ordergate.core.ids import Env
from ordergate.security.passkeys import OF_ONE_MAX, Passkey, check_passkey
from ordergate.security.persons import IDLE_S, Grant, Person, check_person
from ordergate.security.resets import NewPassword, Reset
from ordergate.security.statements import TIMEOUT_S, sql, told_as_unavailable

_SCOPES: Final = frozenset(scope.value for scope in Scope)

_PUT_PERSON: Final = sql("put_person")
_PUT_GRANT: Final = sql("put_grant")
_GRANT_OF_CODE: Final = sql("grant_of_code")
_GRANT: Final = sql("grant")
_REDEEM: Final = sql("redeem_grant")
_REFRESH: Final = sql("refresh_grant")
_END: Final = sql("end_grant")
_END_LOGINS: Final = sql("end_logins")
_PRUNE: Final = sql("prune_grants")
_PUT_PASSKEY: Final = sql("put_passkey")
_PASSKEY: Final = sql("load_passkey")
_PASSKEYS_OF: Final = sql("load_passkeys_of")
_USE_PASSKEY: Final = sql("use_passkey")
_DROP_PASSKEY: Final = sql("drop_passkey")
_DROP_PASSKEYS_OF: Final = sql("drop_passkeys_of")
_PUT_RESET: Final = sql("put_reset")
_RESET: Final = sql("load_reset")
_CHANGE_PASSWORD: Final = sql("change_password")
_RESEAL_FACTOR: Final = sql("reseal_factor")
_NOTED: Final = sql("noted")


class PostgresPeople:
    """A PeopleStore over a pool that somebody else closes."""

    def __init__(self, env: Env, pool: asyncpg.Pool) -> None:
        self._env = env
        self._pool = pool

    async def put_person(self, person: Person) -> None:
        await self._value(_PUT_PERSON, *self._columns(person))

    async def replace_person(self, person: Person, *, ends_logins: bool, now: int) -> None:
        env, user_id, columns = self._env.value, person.user_id, self._columns(person)
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection, connection.transaction():
                await connection.execute(_PUT_PERSON, env, *columns, timeout=TIMEOUT_S)
                await connection.execute(_DROP_PASSKEYS_OF, env, user_id, timeout=TIMEOUT_S)
                if ends_logins:
                    await connection.execute(_END_LOGINS, env, user_id, 0, now, IDLE_S, timeout=TIMEOUT_S)

    def _columns(self, person: Person) -> tuple[object, ...]:
        """ValueError where no person of this environment looks like that."""
        check_person(self._env, person)
        return (
            person.user_id,
            person.tenant,
            person.password_hash,
            person.totp,
            sorted(scope.value for scope in person.scopes),
            sorted(person.accounts),
            person.enabled,
        )

    async def reseal_factor(self, user_id: str, before: bytes, after: bytes) -> bool:
        noted = json.dumps({"with": "the same second factor, sealed anew"})
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection, connection.transaction():
                await connection.execute(_NOTED, noted, timeout=TIMEOUT_S)
                told = await connection.fetchval(
                    _RESEAL_FACTOR, self._env.value, user_id, before, after, timeout=TIMEOUT_S
                )
        return told is not None

    async def put_grant(self, grant: Grant) -> None:
        await self._value(
            _PUT_GRANT,
            grant.grant_id,
            grant.client_id,
            grant.user_id,
            sorted(scope.value for scope in grant.scopes),
            grant.auth_time,
            grant.acr,
            grant.bound_to,
            grant.redirect_uri,
            grant.challenge,
            grant.code_hash,
            grant.code_expires_at,
            grant.used_at,
        )

    async def grant_of_code(self, code_hash: str) -> Grant | None:
        return await self._one(_GRANT_OF_CODE, code_hash)

    async def grant(self, grant_id: str) -> Grant | None:
        return await self._one(_GRANT, grant_id)

    async def redeem(self, grant_id: str, refresh_hash: str, bound_to: str | None, now: int) -> bool:
        return await self._value(_REDEEM, grant_id, refresh_hash, bound_to, now) is not None

    async def refresh(self, grant_id: str, old: str, new: str, now: int) -> bool:
        return await self._value(_REFRESH, grant_id, old, new, now) is not None

    async def end(self, grant_id: str, until: int) -> None:
        await self._value(_END, grant_id, until)

    async def end_logins(self, user_id: str, *, keep: int, now: int) -> int:
        return int(str(await self._value(_END_LOGINS, user_id, keep, now, IDLE_S)))

    async def prune_grants(self, before: int) -> None:
        await self._value(_PRUNE, before)

    async def put_passkey(self, passkey: Passkey) -> bool:
        check_passkey(passkey)
        put = await self._value(
            _PUT_PASSKEY,
            passkey.credential_id,
            passkey.user_id,
            passkey.label,
            passkey.user_handle,
            passkey.public_key,
            passkey.sign_count,
            passkey.backed_up,
            passkey.made_at,
            OF_ONE_MAX,
        )
        return put is not None

    async def passkey(self, credential_id: str) -> Passkey | None:
        rows = await self._rows(_PASSKEY, credential_id)
        return Passkey(**dict(rows[0])) if rows else None

    async def passkeys_of(self, user_id: str) -> tuple[Passkey, ...]:
        return tuple(Passkey(**dict(row)) for row in await self._rows(_PASSKEYS_OF, user_id))

    async def use_passkey(self, credential_id: str, sign_count: int, now: int) -> bool:
        return await self._value(_USE_PASSKEY, credential_id, sign_count, now) is True

    async def drop_passkey(self, user_id: str, label: str) -> bool:
        return await self._value(_DROP_PASSKEY, user_id, label) is not None

    async def put_reset(self, reset: Reset) -> bool:
        put = await self._value(_PUT_RESET, reset.user_id, reset.code_hash, reset.expires_at)
        return put is not None

    async def reset_of(self, user_id: str) -> Reset | None:
        rows = await self._rows(_RESET, user_id)
        return Reset(**dict(rows[0])) if rows else None

    async def change_password(self, new: NewPassword, now: int) -> int | None:
        env, user_id = self._env.value, new.user_id
        noted = {"by": user_id, "with": "the password before" if new.reset is None else "a reset"}
        said = (new.old_hash, new.new_hash, new.reset, now)
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection, connection.transaction():
                await connection.execute(_NOTED, json.dumps(noted), timeout=TIMEOUT_S)
                if not await connection.fetchval(_CHANGE_PASSWORD, env, user_id, *said, timeout=TIMEOUT_S):
                    return None
                if not new.ends_logins:
                    return 0
                ended = await connection.fetchval(
                    _END_LOGINS, env, user_id, 0, now, IDLE_S, timeout=TIMEOUT_S
                )
                return int(ended)

    async def _one(self, statement: str, name: str) -> Grant | None:
        rows = await self._rows(statement, name)
        if not rows:
            return None
        described = dict(rows[0])
        described["scopes"] = frozenset(Scope(scope) for scope in described["scopes"] if scope in _SCOPES)
        described["spent_hashes"] = tuple(described["spent_hashes"])
        return Grant(**described)

    async def _rows(self, statement: str, name: str) -> list[asyncpg.Record]:
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                return await connection.fetch(statement, self._env.value, name, timeout=TIMEOUT_S)

    async def _value(self, statement: str, *arguments: object) -> object:
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                return await connection.fetchval(statement, self._env.value, *arguments, timeout=TIMEOUT_S)
