"""The store's twin in memory: the same promises, kept until the process ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from ordergate.core.ids import Env
from ordergate.core.strategies import Strategy, check_strategy
from ordergate.core.tenancy import Access, AccountPlace, Assignment, Desk, Subject, check_name
from ordergate.security.clients import Client, PublishedKey, Snapshot, check_client
from ordergate.security.persons import Person


class MemoryStore:
    """A ClientStore for tests, benches and demonstrations."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._clients: dict[str, Client] = {}
        self._keys: dict[str, PublishedKey] = {}
        self._revoked: dict[str, int] = {}
        self._spent: dict[str, int] = {}
        self.people: dict[str, Person] = {}
        self._access = Access()
        self._carried_out: set[str] = set()

    async def load(self, now: int) -> Snapshot:
        return Snapshot(
            clients=tuple(sorted(self._clients.values(), key=lambda client: client.client_id)),
            people=tuple(person for _, person in sorted(self.people.items())),
            keys=tuple(key for _, key in sorted(self._keys.items()) if not _retired(key, now)),
            revoked={token: expires for token, expires in self._revoked.items() if expires > now},
            access=self._access,
        )

    async def put_client(
        self, client: Client, noted: Mapping[str, str] = {}, change: str | None = None
    ) -> None:
        check_client(self._env, client)
        if self._is_first(change):
            self._clients[client.client_id] = client

    async def put_keys(self, keys: tuple[PublishedKey, ...]) -> None:
        for key in keys:
            known = self._keys.get(key.kid, key)
            ends = [end for end in (known.retires_at, key.retires_at) if end is not None]
            self._keys[key.kid] = msgspec.structs.replace(key, retires_at=min(ends, default=None))

    async def revoke(self, token_id: str, expires_at: int) -> None:
        self._revoked.setdefault(token_id, expires_at)

    async def spend(self, what: str, expires_at: int) -> bool:
        first = what not in self._spent
        self._spent.setdefault(what, expires_at)
        return first

    async def prune(self, now: int) -> None:
        self._spent = {what: expires for what, expires in self._spent.items() if expires > now}
        self._keys = {kid: key for kid, key in self._keys.items() if not _retired(key, now)}
        self._revoked = {token: expires for token, expires in self._revoked.items() if expires > now}

    async def load_access(self) -> Access:
        return self._access

    async def put_tenant(self, tenant: str) -> None:
        check_name(tenant, "tenant")
        self._put(tenants={*self._access.tenants, tenant})

    async def put_desk(self, desk: Desk) -> None:
        check_name(desk.name, "desk")
        if desk.tenant not in self._access.tenants:
            raise ValueError(f"there is no tenant {desk.tenant}")
        self._put(desks={*self._access.desks, desk})

    async def place_accounts(self, places: Iterable[AccountPlace]) -> None:
        wanted = sorted(places)
        standing = {place.account: place for place in self._access.accounts}
        if any(standing.get(place.account, place).tenant != place.tenant for place in wanted):
            raise ValueError("an account never changes its tenant")
        for place in wanted:
            await self.put_tenant(place.tenant)
            if place.desk is not None:
                await self.put_desk(Desk(place.tenant, place.desk))
            if standing.get(place.account, place).desk != place.desk:
                for subject in self._access.subjects:
                    if subject.tenant == place.tenant:
                        self._move(subject)
        self._put(accounts={**standing, **{place.account: place for place in wanted}}.values())

    async def assign(self, assignment: Assignment, change: str | None = None) -> None:
        if assignment.tenant not in self._access.tenants:
            raise ValueError(f"there is no tenant {assignment.tenant}, or no such subject")
        if self._is_first(change) and assignment not in self._access.assignments:
            self._put(assignments={*self._access.assignments, assignment})
            self._move(self._subject(assignment.tenant, assignment.subject))

    async def note(self, what: str, operation: str, subject: str, facts: Mapping[str, str]) -> None:
        """The twin keeps no record."""

    async def withdraw(self, assignment: Assignment) -> None:
        if assignment in self._access.assignments:
            self._put(assignments={*self._access.assignments} - {assignment})
            self._move(self._subject(assignment.tenant, assignment.subject))

    async def enable(self, tenant: str, subject: str, *, enabled: bool) -> None:
        if tenant not in self._access.tenants:
            raise ValueError(f"there is no tenant {tenant}, or no such subject")
        found = self._subject(tenant, subject)
        if found in self._access.subjects and found.enabled is not enabled:
            self._move(msgspec.structs.replace(found, enabled=enabled))
        elif found not in self._access.subjects and not enabled:
            self._put(subjects={*self._access.subjects, msgspec.structs.replace(found, enabled=False)})

    async def put_strategy(self, strategy: Strategy, noted: Mapping[str, str] = {}) -> None:
        check_strategy(strategy)
        if strategy.tenant not in self._access.tenants:
            raise ValueError(f"there is no tenant {strategy.tenant}")
        named = (strategy.tenant, strategy.name, strategy.version)
        others = {one for one in self._access.strategies if (one.tenant, one.name, one.version) != named}
        self._put(strategies={*others, strategy})

    def _is_first(self, change: str | None) -> bool:
        if change is None:
            return True
        first = change not in self._carried_out
        self._carried_out.add(change)
        return first

    def _subject(self, tenant: str, name: str) -> Subject:
        named = (one for one in self._access.subjects if (one.tenant, one.name) == (tenant, name))
        return next(named, Subject(tenant, name))

    def _move(self, subject: Subject) -> None:
        whose = (subject.tenant, subject.name)
        others = {one for one in self._access.subjects if (one.tenant, one.name) != whose}
        self._put(subjects={*others, msgspec.structs.replace(subject, version=subject.version + 1)})

    def _put(self, **changed: Iterable[object]) -> None:
        self._access = msgspec.structs.replace(
            self._access,
            **{name: tuple(sorted(values)) for name, values in changed.items()},  # type: ignore[type-var]  # one kind, which orders
        )


def _retired(key: PublishedKey, now: int) -> bool:
    return key.retires_at is not None and key.retires_at <= now
