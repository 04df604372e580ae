"""The key of second factors: one for an environment, made once, wrapped by the key service."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from ordergate.core.ids import Env
from ordergate.ports.keys import KeysRefused, Purpose
from ordergate.security.factor_key import FactorKeyStore, factor_key
from ordergate.security.keys.software import SoftwareKeys
from ordergate.security.people.totp import Totp
from ordergate.security.postgres import connected
from ordergate.security.sealing.envelope import Envelope
from ordergate.security.sealing.rewrapping import Several, rewrap
from ordergate.telemetry.secret import Secret
from tests.security.world import SetClock, keys_of

CLOCK = SetClock()


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[FactorKeyStore]:
    async with connected(Env.PAPER, dsn) as identity:
        yield FactorKeyStore(Env.PAPER, identity.pool)


def envelope(keys: SoftwareKeys) -> Envelope:
    return Envelope(keys, CLOCK.monotonic)


@pytest.fixture
def keys() -> SoftwareKeys:
    return keys_of(Env.PAPER, lambda: CLOCK.epoch)


async def test_it_is_made_once_whoever_asks_at_once(store: FactorKeyStore, keys: SoftwareKeys) -> None:
    await keys.rotate(Purpose.SECRETS)
    made = await asyncio.gather(*(factor_key(Env.PAPER, keys, envelope(keys), store) for _ in range(4)))

    assert len(set(made)) == 1
    assert len(made[0]) == 32
    assert await factor_key(Env.PAPER, keys, envelope(keys), store) == made[0]


async def test_the_database_has_it_only_sealed(store: FactorKeyStore, keys: SoftwareKeys) -> None:
    made = await factor_key(Env.PAPER, keys, envelope(keys), store)
    (row,) = await store.sealed_rows()

    assert made.hex().encode() not in row.sealed.ciphertext
    others = keys_of(Env.PAPER, lambda: CLOCK.epoch)
    await others.rotate(Purpose.SECRETS)
    with pytest.raises(KeysRefused):
        await factor_key(Env.PAPER, others, envelope(others), store)


async def test_a_rotation_wraps_it_anew_and_it_stays_the_same(
    store: FactorKeyStore, keys: SoftwareKeys
) -> None:
    made = await factor_key(Env.PAPER, keys, envelope(keys), store)
    await keys.rotate(Purpose.SECRETS)

    told = await rewrap(keys, envelope(keys), Several((store,)))

    assert (told.done, told.left, told.disabled) == (1, 0, (1,))
    assert await factor_key(Env.PAPER, keys, envelope(keys), store) == made


async def test_where_it_was_taken_away_another_is_made_and_no_code_of_before_serves(
    store: FactorKeyStore, keys: SoftwareKeys
) -> None:
    """As the runbook has it for a key that leaked."""
    before = Totp(Env.PAPER, await factor_key(Env.PAPER, keys, envelope(keys), store))
    sealed, told = before.fresh("alice")
    now = float(CLOCK.epoch)
    assert before.step_of("alice", sealed, code_of(told, CLOCK.epoch), now) is not None

    async with store._pool.acquire() as owner:
        await owner.execute("delete from factor_key where env = 'paper'")
    after = Totp(Env.PAPER, await factor_key(Env.PAPER, keys, envelope(keys), store))

    assert after.step_of("alice", sealed, code_of(told, CLOCK.epoch), now) is None
    sealed, told = after.fresh("alice")
    assert after.step_of("alice", sealed, code_of(told, CLOCK.epoch), now) is not None


def code_of(told: Secret, at: int) -> str:
    secret = parse_qs(urlsplit(told.reveal()).query)["secret"][0]
    raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    return TOTP(raw, 6, SHA1(), 30).generate(at).decode()
