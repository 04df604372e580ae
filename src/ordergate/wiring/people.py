"""Registers the people who may log in, straight in a gateway's database.

A running gateway notices within seconds.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from ordergate.core.access import Scope
from ordergate.core.ids import AccountId
from ordergate.security.code_grants import secret_hash
from ordergate.security.factor_key import FactorKeyStore, factor_key
from ordergate.security.hashing import hash_secret
from ordergate.security.people.breaches import BreachedPasswords, NoList
from ordergate.security.people.passwords import refuse_password
from ordergate.security.people.postgres import PostgresPeople
from ordergate.security.people.totp import Totp
from ordergate.security.persons import Person
from ordergate.security.postgres import PostgresStore
from ordergate.security.resets import RESET_S, Reset
from ordergate.telemetry.secret import Secret
from ordergate.wiring import key_service
from ordergate.wiring.registry import CannotRegister, on_store
from ordergate.wiring.settings import CannotStart, Settings

RESET_BYTES: Final = 32


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A person without their password, which nobody else knows."""

    user_id: str
    tenant: str
    scopes: tuple[str, ...]
    accounts: tuple[str, ...]
    second_factor: bool
    enabled: bool


class StartedReset(msgspec.Struct, frozen=True):
    """The code is told this once."""

    code: Secret
    expires_in_s: int


def add(
    settings: Settings,
    user_id: str,
    password: Secret,
    *,
    scopes: Sequence[Scope],
    accounts: Sequence[AccountId],
    second_factor: bool,
    replace: bool,
    end_logins: bool = True,
) -> Secret | None:
    """The new person's second factor, told this once. Raises CannotRegister and CannotStart.

    With `end_logins` whatever somebody got by the password or the factor before is over.
    """
    unknown = sorted(set(accounts) - settings.accounts.keys())
    if unknown:
        raise CannotRegister(f"the gateway has no account {', '.join(unknown)}")
    _check_password(settings, user_id, password)
    person = Person(
        user_id=user_id,
        tenant=settings.tenant,
        password_hash=hash_secret(password),
        scopes=frozenset(scopes),
        accounts=frozenset(accounts),
    )

    async def put(store: PostgresStore) -> Secret | None:
        if not replace and user_id in await everybody(store):
            raise CannotRegister(f"there is a person {user_id}: --replace gives them a new password")
        sealed, told = await _factor(settings, store, user_id) if second_factor else (None, None)
        people = PostgresPeople(settings.environment, store.pool)
        # Whoever knew the password before may have made a passkey, and would be let in by it for ever. All of
        # it or nothing: a factor is told only at the end, and who has another one by then logs in no more.
        whole = msgspec.structs.replace(person, totp=sealed)
        await people.replace_person(whole, ends_logins=end_logins, now=int(time.time()))
        return told

    return on_store(settings, put)


def breached_passwords(settings: Settings) -> BreachedPasswords | None:
    """The list of the settings, if they name one. Raises CannotStart where it is none."""
    if settings.breached_passwords is None:
        return None
    named = BreachedPasswords(settings.breached_passwords)
    try:
        named.check()
    except NoList as error:
        raise CannotStart(f"{error}: see `breached_passwords`") from error
    return named


def listed(settings: Settings) -> list[Shown]:
    """Everybody, by name. Raises CannotStart."""

    async def ask(store: PostgresStore) -> list[Shown]:
        return [_shown(person) for _, person in sorted((await everybody(store)).items())]

    return on_store(settings, ask)


def disable(settings: Settings, user_id: str) -> Shown:
    """No more logins, and what they let programs do is over. Raises CannotRegister."""

    async def put(store: PostgresStore) -> Shown:
        person = (await everybody(store)).get(user_id)
        if person is None:
            raise CannotRegister(f"there is no person {user_id}")
        disabled = msgspec.structs.replace(person, enabled=False)
        await PostgresPeople(settings.environment, store.pool).put_person(disabled)
        return _shown(disabled)

    return on_store(settings, put)


def reset(settings: Settings, user_id: str) -> StartedReset:
    """What they choose a new password by, themselves. Raises CannotRegister."""
    code = Secret(secrets.token_urlsafe(RESET_BYTES))

    async def put(store: PostgresStore) -> StartedReset:
        person = (await everybody(store)).get(user_id)
        if person is None:
            raise CannotRegister(f"there is no person {user_id}")
        expires_at = int(time.time()) + RESET_S
        made = Reset(user_id=user_id, code_hash=secret_hash(code.reveal()), expires_at=expires_at)
        if not await PostgresPeople(settings.environment, store.pool).put_reset(made):
            raise CannotRegister(
                f"{user_id} is disabled, or has no second factor to show who they are: `users add --replace`"
            )
        return StartedReset(code, RESET_S)

    return on_store(settings, put)


def _check_password(settings: Settings, user_id: str, password: Secret) -> None:
    names = (user_id, settings.tenant)
    try:
        no = refuse_password(password, names, breached_passwords(settings))
    except NoList as error:
        raise CannotRegister(str(error)) from error
    if no is not None:
        raise CannotRegister(no)


async def _factor(settings: Settings, store: PostgresStore, user_id: str) -> tuple[bytes, Secret]:
    env = settings.environment
    async with key_service.opened(settings) as keys:
        envelope = key_service.envelope(settings, keys)
        key = await factor_key(env, keys, envelope, FactorKeyStore(env, store.pool))
    return Totp(env, key, settings.keys.cipher).fresh(user_id)


async def everybody(store: PostgresStore) -> dict[str, Person]:
    """By name."""
    return {person.user_id: person for person in (await store.load(int(time.time()))).people}


def _shown(person: Person) -> Shown:
    return Shown(
        user_id=person.user_id,
        tenant=person.tenant,
        scopes=tuple(sorted(person.scopes)),
        accounts=tuple(sorted(person.accounts)),
        second_factor=person.totp is not None,
        enabled=person.enabled,
    )
