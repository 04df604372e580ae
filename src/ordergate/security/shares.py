"""Who has how many of something that there is only so much room for, and whose oldest leaves first. Pure.

It is one of the tenant that has the most, and there of the client that has the most: whoever fills the room
makes room himself, and nobody else does.
"""

from __future__ import annotations

Ids = dict[str, None]
"""In the order in which they came."""


class Shares:
    """The ids of what each client of each tenant has."""

    def __init__(self) -> None:
        self._clients: dict[str, dict[str, Ids]] = {}
        self._counts: dict[str, int] = {}

    def add(self, tenant: str, client: str, name: str) -> None:
        its = self._clients.setdefault(tenant, {}).setdefault(client, {})
        if name not in its:
            its[name] = None
            self._counts[tenant] = self._counts.get(tenant, 0) + 1

    def drop(self, tenant: str, client: str, name: str) -> None:
        clients = self._clients.get(tenant, {})
        its = clients.get(client, {})
        if name not in its:
            return
        del its[name]
        self._counts[tenant] -= 1
        if not its:
            del clients[client]
        if not clients:
            del self._clients[tenant], self._counts[tenant]

    def first_to_leave(self) -> str:
        """Raises ValueError where nobody has anything."""
        tenant = max(self._counts, key=self._counts.__getitem__)
        most = max(self._clients[tenant].values(), key=len)
        return next(iter(most))
