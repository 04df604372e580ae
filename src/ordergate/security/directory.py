"""What the process knows about clients, keys, revocations and rights, without asking anybody.

The store is read again every few seconds; what this process changes is in force here at once
and written through. A revocation is never unlearned before its token expires, whatever the
store says. While the store is away the last knowledge stays in force: tokens are short, and
without the same database no order is accepted either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from ordergate.core.access import SCOPES_OF, Role, Scope
from ordergate.core.ids import Env
from ordergate.core.strategies import Registered, Strategy
from ordergate.core.tenancy import Access, Assignment
from ordergate.ports.clock import Clock
from ordergate.security.clients import Client, ClientStore, PublishedKey, StoreUnavailable, check_client
from ordergate.security.persons import Person
from ordergate.security.rights import Registry
from ordergate.telemetry import log

REFRESH_S: Final = 2.0
PRUNE_EVERY: Final = 300

EVERY_SCOPE: Final = frozenset(Scope)

Changed = Callable[[str | None], None]

_log = log.logger("security")


class Directory:
    """Lookups are plain dictionary reads and safe from any thread; changes happen on the event loop."""

    def __init__(self, env: Env, store: ClientStore, clock: Clock) -> None:
        self.env = env
        self._store = store
        self._clock = clock
        self._clients: Mapping[str, Client] = {}
        self._people: Mapping[str, Person] = {}
        self._keys: Mapping[str, PublishedKey] = {}
        self._revoked: dict[str, int] = {}
        self.registry = Registry(Access())
        self._changed: list[Changed] = []
        self._writes = 0
        self.refreshed_at: float | None = None

    def client(self, client_id: str) -> Client | None:
        return self._clients.get(client_id)

    def person(self, user_id: str) -> Person | None:
        """With what they may do at most, their roles aside."""
        found = self._people.get(user_id)
        if found is None or found.scopes:
            return found
        has_had_roles = self.registry.rights(found.tenant, user_id) is not None
        at_most = EVERY_SCOPE if has_had_roles else SCOPES_OF[Role.TRADER]
        return msgspec.structs.replace(found, scopes=at_most)

    def clients(self) -> tuple[Client, ...]:
        return tuple(self._clients.values())

    def published_keys(self) -> tuple[PublishedKey, ...]:
        return tuple(self._keys.values())

    @property
    def access(self) -> Access:
        """Who belongs where, and who has which role."""
        return self.registry.access

    def strategies(self, tenant: str) -> Registered | None:
        """What the tenant has registered; None where that is nothing."""
        return self.registry.strategies.get(tenant)

    def is_revoked(self, token_id: str) -> bool:
        return token_id in self._revoked

    def on_change(self, call: Changed) -> None:
        """Have `call` called after anything a verified token depends on has changed.

        It is told the id of the one token concerned, or None when any token may be.
        """
        self._changed.append(call)

    def stale_s(self) -> float:
        """Seconds since the store was last read, or infinity when it never was."""
        if self.refreshed_at is None:
            return float("inf")
        return self._clock.monotonic() - self.refreshed_at

    async def refresh(self) -> None:
        """Read the store. Raises StoreUnavailable, and then nothing has changed."""
        now = self._now()
        writes, started = self._writes, self._clock.monotonic()
        snapshot = await self._store.load(now)
        if writes != self._writes:
            return  # A write overtook this read, which may not contain it; the next one will.
        clients = {client.client_id: client for client in snapshot.clients}
        people = {person.user_id: person for person in snapshot.people}
        keys = {key.kid: key for key in snapshot.keys}
        revoked = {token: expires for token, expires in self._revoked.items() if expires > now}
        new = snapshot.revoked.keys() - revoked.keys()
        revoked.update(snapshot.revoked)
        changed = bool(new) or (clients, people, keys) != (self._clients, self._people, self._keys)
        if snapshot.access != self.registry.access:
            self.registry, changed = Registry(snapshot.access), True
        self._clients, self._people, self._keys, self._revoked = clients, people, keys, revoked
        self.refreshed_at = started
        if changed:
            self._tell()

    async def read_again(self) -> None:
        """Know at once what has been written past this. Raises StoreUnavailable."""
        self._writes += 1  # a read that is under way may not contain it
        await self.refresh()

    async def run(self) -> None:
        """Keep reading the store until cancelled."""
        rounds = 0
        while True:
            await self._clock.sleep(REFRESH_S)
            rounds += 1
            try:
                await self.refresh()
                if rounds % PRUNE_EVERY == 0:
                    await self._store.prune(self._now())
            except StoreUnavailable as error:
                _log.warning("directory.stale", reason=str(error), stale_s=round(self.stale_s(), 1))

    async def put_client(
        self, client: Client, noted: Mapping[str, str] = {}, change: str | None = None
    ) -> None:
        """Add or replace a client, durably, and from then on in this process.

        What an approved `change` has done once is not done again, and then this reads what there is.
        """
        check_client(self.env, client)
        await self._store.put_client(client, noted, change)
        if change is not None:
            await self.read_again()
            return
        self._writes += 1
        self._clients = {**self._clients, client.client_id: client}
        self._tell()
        _log.info("client.changed", client_id=client.client_id, tenant=client.tenant, enabled=client.enabled)

    async def assign(self, assignment: Assignment, change: str | None = None) -> None:
        """Give a role, durably, and from then on in this process. Raises ValueError for nonsense."""
        await self._store.assign(assignment, change)
        await self.read_again()

    async def withdraw(self, assignment: Assignment, noted: Mapping[str, str]) -> None:
        """Take a role away, durably, and from then on in this process."""
        await self._store.withdraw(assignment)
        facts = {"role": assignment.role, "reach": assignment.reach, "of": assignment.of, **noted}
        await self._store.note("role", "withdrawn", assignment.subject, facts)
        await self.read_again()

    async def keep_out(self, tenant: str, subject: str, noted: Mapping[str, str]) -> None:
        """Let a subject do nothing more, durably, and from then on in this process."""
        await self._store.enable(tenant, subject, enabled=False)
        await self._store.note("subject", "kept_out", subject, {"tenant": tenant, **noted})
        await self.read_again()

    async def put_strategy(self, strategy: Strategy, noted: Mapping[str, str]) -> None:
        """Register a strategy, or change what is said of it, durably, and from then on in this process."""
        await self._store.put_strategy(strategy, noted)
        await self.read_again()

    async def put_keys(self, keys: tuple[PublishedKey, ...]) -> None:
        """Publish keys: everybody who reads the store verifies with them from then on."""
        await self._store.put_keys(keys)
        await self.read_again()  # another process may have given one of them an earlier end

    async def spend(self, what: str, expires_at: int) -> bool:
        """True the first time, wherever it was done. Raises StoreUnavailable."""
        return await self._store.spend(what, expires_at)

    async def revoke(self, token_id: str, expires_at: int) -> None:
        """Revoke here at once, to be remembered until `expires_at`.

        Raises StoreUnavailable when the others could not be told.
        """
        self._writes += 1
        self._revoked[token_id] = expires_at
        self._tell(token_id)
        _log.info("token.revoked", token_id=token_id)
        await self._store.revoke(token_id, expires_at)
        self._writes += 1

    def _tell(self, token_id: str | None = None) -> None:
        for call in self._changed:
            call(token_id)

    def _now(self) -> int:
        return int(self._clock.now().timestamp())
