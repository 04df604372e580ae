"""Shows and takes away people's passkeys, straight in a gateway's database. Only their owners make one."""

from __future__ import annotations

import time

from ordergate.security.passkeys import Passkey
from ordergate.security.people.postgres import PostgresPeople
from ordergate.security.postgres import PostgresStore
from ordergate.wiring.people import everybody
from ordergate.wiring.registry import CannotRegister, on_store
from ordergate.wiring.settings import Settings


def listed(settings: Settings, user_id: str) -> tuple[Passkey, ...]:
    """By name. Raises CannotRegister and CannotStart."""

    async def ask(store: PostgresStore) -> tuple[Passkey, ...]:
        if user_id not in await everybody(store):
            raise CannotRegister(f"there is no person {user_id}")
        return await PostgresPeople(settings.environment, store.pool).passkeys_of(user_id)

    return on_store(settings, ask)


def remove(settings: Settings, user_id: str, label: str, *, end_logins: bool = True) -> None:
    """Nobody logs in with it any more. Raises CannotRegister and CannotStart.

    With `end_logins` whatever its owner's logins led to is over: which of them it let in is not kept.
    """

    async def drop(store: PostgresStore) -> None:
        people = PostgresPeople(settings.environment, store.pool)
        if not await people.drop_passkey(user_id, label):
            raise CannotRegister(f"{user_id} has no passkey {label!r}")
        if end_logins:
            await people.end_logins(user_id, keep=0, now=int(time.time()))

    on_store(settings, drop)
