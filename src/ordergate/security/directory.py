"""What the process knows about clients, keys, revocations and rights, without asking anybody.

The store is read again every few seconds; what this process changes is in force here at once
and written through. A revocation is never unlearned before its token expires, whatever the
store says. While the store is away the last knowledge stays in force: tokens are short, and
without the same database no order is accepted either.
"""

from __future__ import annotations

import asyncio
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
STALE_S_MAX: Final = 10.0
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
        self._untold: set[str] = set()
        self._reading = asyncio.Lock()
        self._reads_begun = 0
        self._read_learned = 0
        self._put_meanwhile: dict[str, Client] = {}
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

    def is_revoked_everywhere(self, token_id: str) -> bool:
        """True when every process of the database knows, or learns it with its next look at the store."""
        return token_id in self._revoked and token_id not in self._untold

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
        async with self._reading:
            await self._read()

    async def read_again(self) -> None:
        """Know at once what has been written past this. Raises StoreUnavailable."""
        wanted = self._reads_begun + 1  # one that is under way may not contain it
        async with self._reading:
            if self._read_learned < wanted:
                await self._read()

    async def _read(self) -> None:
        """One at a time, and what it brings is always learned, however much is written meanwhile.

        A client that this process has written meanwhile may not be in it, and stays.
        """
        now, started = self._now(), self._clock.monotonic()
        self._reads_begun += 1
        self._put_meanwhile = {}
        snapshot = await self._store.load(now)
        clients = {client.client_id: client for client in snapshot.clients} | self._put_meanwhile
        people = {person.user_id: person for person in snapshot.people}
        keys = {key.kid: key for key in snapshot.keys}
        revoked = {token: expires for token, expires in self._revoked.items() if expires > now}
        new = snapshot.revoked.keys() - revoked.keys()
        revoked.update(snapshot.revoked)
        changed = bool(new) or (clients, people, keys) != (self._clients, self._people, self._keys)
        if snapshot.access != self.registry.access:
            self.registry, changed = Registry(snapshot.access), True
        self._clients, self._people, self._keys, self._revoked = clients, people, keys, revoked
        self._untold = (self._untold & revoked.keys()) - snapshot.revoked.keys()
        self.refreshed_at, self._read_learned = started, self._reads_begun
        if changed:
            self._tell()

    async def run(self) -> None:
        """Keep reading the store until cancelled."""
        rounds = 0
        while True:
            await self._clock.sleep(REFRESH_S)
            rounds += 1
            try:
                await self.refresh()
                if self.stale_s() > STALE_S_MAX:
                    self._warn("it takes long to read the store")
                if rounds % PRUNE_EVERY == 0:
                    await self._store.prune(self._now())
            except StoreUnavailable as error:
                self._warn(str(error))

    def _warn(self, reason: str) -> None:
        _log.warning("directory.stale", reason=reason, stale_s=round(self.stale_s(), 1))

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
        self._put_meanwhile[client.client_id] = client
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
        """Revoke here at once, to be remembered until `expires_at`; again is nothing.

        Raises StoreUnavailable when the others could not be told; then again tells them.
        """
        if self.is_revoked_everywhere(token_id):
            return
        self._untold.add(token_id)
        self._revoked[token_id] = expires_at
        self._tell(token_id)
        _log.info("token.revoked", token_id=token_id)
        await self._store.revoke(token_id, expires_at)
        self._untold.discard(token_id)

    def _tell(self, token_id: str | None = None) -> None:
        for call in self._changed:
            call(token_id)

    def _now(self) -> int:
        return int(self._clock.now().timestamp())
