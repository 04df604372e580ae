"""Rotates keys from the command line, beside a running gateway or without one.

The gateway notices by itself: it signs with the newest key within seconds, and unwraps with every one that is
enabled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from ordergate.core.faults import Fault
from ordergate.ports.keys import Keys, KeyVersion, Purpose
from ordergate.security.clients import StoreUnavailable
from ordergate.security.credentials import store
from ordergate.security.directory import Directory
from ordergate.security.factor_key import FactorKeyStore, factor_key
from ordergate.security.people.postgres import PostgresPeople
from ordergate.security.people.resealing import reseal_factors
from ordergate.security.people.totp import Totp
from ordergate.security.postgres import connected
from ordergate.security.profile import profile
from ordergate.security.sealing import rewrapping
from ordergate.security.sealing.rewrapping import Rewrapped, Several
from ordergate.security.signing import Signer
from ordergate.wiring import databases, key_service
from ordergate.wiring.settings import CannotStart, Settings
from ordergate.wiring.system import SystemClock

T = TypeVar("T")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a key. `kid` is what verifiers call a key for tokens, where it was just made."""

    purpose: str
    version: int
    enabled: bool
    created_at: int
    key: str
    kid: str | None = None


def listed(settings: Settings) -> list[Told]:
    """Every version of every key, newest first. Raises CannotStart."""

    async def ask(keys: Keys) -> list[Told]:
        return [_told(one) for purpose in Purpose for one in await keys.describe(purpose)]

    return _with_keys(settings, ask)


def rotate_tokens(settings: Settings, *, emergency: bool) -> Told:
    """A new key for tokens, published before it signs. Raises CannotStart."""

    async def ask(keys: Keys) -> Told:
        clock = SystemClock()
        async with (
            databases.reached(databases.of(settings)) as dsn,
            connected(settings.environment, dsn) as identity,
        ):
            directory = Directory(settings.environment, identity, clock)
            await directory.refresh()
            known_as = profile(settings.environment, settings.base_url)
            signer = Signer(known_as, keys, directory, clock)
            await signer.publish()
            await signer.rotate(emergency=emergency)
        made = _told((await keys.describe(Purpose.TOKENS))[0])
        return msgspec.structs.replace(made, kid=signer.kid)

    return _with_keys(settings, ask)


def rotate_secrets(settings: Settings) -> Rewrapped:
    """A new wrapping key, and everything that is stored under it. Raises CannotStart."""

    async def ask(keys: Keys) -> Rewrapped:
        await keys.rotate(Purpose.SECRETS)
        return await _rewrap(settings, keys)

    return _with_keys(settings, ask)


def rewrap(settings: Settings) -> Rewrapped:
    """Go on with what a rotation left, and seal anew by the cipher of the settings. Raises CannotStart."""

    async def ask(keys: Keys) -> Rewrapped:
        return await _rewrap(settings, keys)

    return _with_keys(settings, ask)


async def _rewrap(settings: Settings, keys: Keys) -> Rewrapped:
    async with (
        databases.reached(databases.of(settings)) as dsn,
        store.connected(settings.environment, dsn) as rows,
        connected(settings.environment, dsn) as identity,
    ):
        env, envelope = settings.environment, key_service.envelope(settings, keys)
        factor_keys = FactorKeyStore(env, identity.pool)
        told = await rewrapping.rewrap(keys, envelope, Several((rows, factor_keys)))
        everybody = (await identity.load(int(time.time()))).people
        having = [person for person in everybody if person.totp is not None]
        if not having:
            return told
        totp = Totp(env, await factor_key(env, keys, envelope, factor_keys), settings.keys.cipher)
        factors, unopened = await reseal_factors(having, totp, PostgresPeople(env, identity.pool))
        return msgspec.structs.replace(told, factors=factors, left=told.left + unopened)


def _with_keys(settings: Settings, ask: Callable[[Keys], Awaitable[T]]) -> T:
    async def asked() -> T:
        async with key_service.opened(settings) as keys:
            return await ask(keys)

    try:
        return asyncio.run(asked())
    except (Fault, OSError, StoreUnavailable, ValueError) as error:
        raise CannotStart(str(error)) from error


def _told(one: KeyVersion) -> Told:
    return Told(
        purpose=one.purpose.value,
        version=one.version,
        enabled=one.enabled,
        created_at=one.created_at,
        key=one.key,
    )
