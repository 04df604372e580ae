"""The key that seals second factors: made once, kept in the database, and sealed by the key service.

Whoever reads the database cannot make anybody's codes, and a rotation of the key service wraps it anew like
every other secret. It is opened once, when a process starts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from ordergate.core.ids import Env
from ordergate.ports.keys import Keys, KeysRefused, Purpose, newest
from ordergate.security.sealing.envelope import About, Envelope, Sealed
from ordergate.security.statements import TIMEOUT_S, sql, told_as_unavailable
from ordergate.telemetry.secret import Secret

ROW_ID: Final = "factor-key"
KEY_BYTES: Final = 32

_LOAD: Final = sql("load_factor_key")
_PUT: Final = sql("put_factor_key")
_RESEAL: Final = sql("reseal_factor_key")


class FactorKeyRow(msgspec.Struct, frozen=True):
    """The one row of an environment."""

    env: Env
    sealed: Sealed

    @property
    def row_id(self) -> str:
        return ROW_ID

    def about(self) -> About:
        return about(self.env)


def about(env: Env) -> About:
    return About(env=env, tenant="", account="", broker="", secret_type=ROW_ID, row_id=ROW_ID)


class FactorKeyStore:
    """Every method raises StoreUnavailable when the database cannot be reached in time."""

    def __init__(self, env: Env, pool: asyncpg.Pool) -> None:
        self._env = env
        self._pool = pool

    async def sealed_rows(self) -> Sequence[FactorKeyRow]:
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                text = await connection.fetchval(_LOAD, self._env.value, timeout=TIMEOUT_S)
        return [] if text is None else [FactorKeyRow(self._env, msgspec.json.decode(text, type=Sealed))]

    async def put_first(self, sealed: Sealed) -> None:
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                await connection.execute(_PUT, self._env.value, _text(sealed), timeout=TIMEOUT_S)

    async def reseal(self, row_id: str, before: Sealed, after: Sealed) -> bool:
        """False where it was sealed otherwise meanwhile."""
        with told_as_unavailable():
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                told = await connection.fetchval(
                    _RESEAL, self._env.value, _text(before), _text(after), timeout=TIMEOUT_S
                )
        return told is not None


async def factor_key(env: Env, keys: Keys, envelope: Envelope, store: FactorKeyStore) -> bytes:
    """The key, made on first use. Raises KeysRefused, KeysUnavailable and StoreUnavailable."""
    rows = await store.sealed_rows()
    if not rows:
        if newest(await keys.describe(Purpose.SECRETS)) is None:
            await keys.rotate(Purpose.SECRETS)
        fresh = Secret(os.urandom(KEY_BYTES).hex())
        await store.put_first(await envelope.seal(fresh, about(env)))
        rows = await store.sealed_rows()  # another process may have been quicker
    opened = bytes.fromhex((await envelope.open(rows[0].sealed, rows[0].about())).reveal())
    if len(opened) != KEY_BYTES:
        raise KeysRefused("the key of second factors is not one")
    return opened


def _text(sealed: Sealed) -> str:
    return msgspec.json.encode(sealed).decode()
