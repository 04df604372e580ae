"""The promise that nodes of one database can see each other's build and settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One process that serves, or waits to serve, and what it runs on.

    `ended` when its session of the database has. Then so has the process, or it hears no control stream
    and has stopped by itself; one that lives says who it is before it asks for anything again.
    """

    name: str
    build: str
    config: str
    ended: bool = False


class Nodes(Protocol):
    async def announce(self, node: Node) -> None:
        """Say so, again and again. Raises Fault."""
        ...

    async def seen(self, within_s: float) -> Sequence[Node]:
        """Every node that said so within these seconds, ourselves and the ended included. Raises Fault."""
        ...
