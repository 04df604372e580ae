"""Tenants, desks, roles, strategies, straight in a gateway's database: whence the first administrator is.

A running gateway notices within seconds, and the database notes every change. What one person may not do
alone through the API can be done here by whoever administers the database itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TypeVar

import msgspec

from ordergate.core.refusals import Refusal
from ordergate.core.strategies import Strategy
from ordergate.core.tenancy import Access, AccountPlace, Assignment, Desk, Subject, misfit
from ordergate.security.postgres import PostgresStore
from ordergate.wiring.registry import CannotRegister, on_store
from ordergate.wiring.settings import Settings

T = TypeVar("T")


def places(settings: Settings) -> list[AccountPlace]:
    """Where the settings say that accounts belong."""
    return [
        AccountPlace(account, its.tenant or settings.tenant, its.desk or None)
        for account, its in settings.accounts.items()
    ]


def access(settings: Settings) -> Access:
    """Everything, as it is stored now. Raises CannotStart."""
    return on_store(settings, lambda store: store.load_access())


def add_tenant(settings: Settings, tenant: str) -> None:
    on_store(settings, lambda store: store.put_tenant(tenant))


def add_desk(settings: Settings, desk: Desk) -> None:
    """Raises CannotRegister for a tenant that there is not."""
    on_store(settings, lambda store: store.put_desk(desk))


def give(settings: Settings, assignment: Assignment) -> Subject:
    """The subject as it stands then. Raises CannotRegister."""

    async def put(store: PostgresStore) -> None:
        await store.place_accounts(places(settings))
        no = misfit(settings.environment, await store.load_access(), assignment)
        if isinstance(no, Refusal):
            raise CannotRegister(no.detail)
        await store.assign(assignment)

    return _standing(settings, assignment.tenant, assignment.subject, put)


def take(settings: Settings, assignment: Assignment) -> Subject:
    """Raises CannotRegister for a role that the subject does not have."""

    async def put(store: PostgresStore) -> None:
        if assignment not in (await store.load_access()).assignments:
            raise CannotRegister(f"{assignment.subject} has no such role")
        await store.withdraw(assignment)

    return _standing(settings, assignment.tenant, assignment.subject, put)


def add_strategy(settings: Settings, strategy: Strategy) -> Strategy:
    """Raises CannotRegister for a tenant that there is not, and for what makes no sense."""

    async def put(store: PostgresStore) -> Strategy:
        await store.place_accounts(places(settings))
        await store.put_strategy(strategy)
        return strategy

    return on_store(settings, put)


def disable_strategy(settings: Settings, tenant: str, name: str, version: str) -> Strategy:
    """Raises CannotRegister for one that is not registered."""

    async def put(store: PostgresStore) -> Strategy:
        for one in (await store.load_access()).strategies:
            if (one.tenant, one.name, one.version) == (tenant, name, version):
                disabled = msgspec.structs.replace(one, enabled=False)
                await store.put_strategy(disabled)
                return disabled
        raise CannotRegister(f"there is no strategy {name} {version}".rstrip() + f" in {tenant}")

    return on_store(settings, put)


def enable(settings: Settings, tenant: str, subject: str, *, enabled: bool) -> Subject:
    return _standing(settings, tenant, subject, lambda store: store.enable(tenant, subject, enabled=enabled))


def _standing(
    settings: Settings, tenant: str, subject: str, put: Callable[[PostgresStore], Coroutine[None, None, None]]
) -> Subject:
    async def done(store: PostgresStore) -> Subject:
        await put(store)
        for one in (await store.load_access()).subjects:
            if (one.tenant, one.name) == (tenant, subject):
                return one
        raise CannotRegister(f"{subject} is not known in {tenant}: it has never had a role")

    return on_store(settings, done)
