"""The store's twin in memory: the same promises, kept until the process ends."""

from __future__ import annotations

from ordergate.core.ids import Env
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

    async def load(self, now: int) -> Snapshot:
        return Snapshot(
            clients=tuple(sorted(self._clients.values(), key=lambda client: client.client_id)),
            people=tuple(person for _, person in sorted(self.people.items())),
            keys=tuple(key for _, key in sorted(self._keys.items()) if not _retired(key, now)),
            revoked={token: expires for token, expires in self._revoked.items() if expires > now},
        )

    async def put_client(self, client: Client) -> None:
        check_client(self._env, client)
        self._clients[client.client_id] = client

    async def put_keys(self, keys: tuple[PublishedKey, ...]) -> None:
        self._keys.update((key.kid, key) for key in keys)

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


def _retired(key: PublishedKey, now: int) -> bool:
    return key.retires_at is not None and key.retires_at <= now
