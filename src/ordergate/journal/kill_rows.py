"""The way to stop that needs the database and nothing else, and what the nodes on it say of themselves.

One connection of its own, made anew when it is lost, so that neither a busy pool nor the writer's fence is
in the way. Decides nothing about what a row means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import msgspec

from ordergate.core.faults import JournalUnavailable
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.journal import session, sqlfiles
from ordergate.ports.kill_flags import Flag
from ordergate.ports.nodes import Node

TIMEOUT_S: Final = 2.0
POLL_S: Final = 0.5

_SERVER_SETTINGS: Final = {"application_name": "ordergate kill", "jit": "off"}
_SQL: Final = sqlfiles.statements("kill")


class KillRows:
    """Implements ports.kill_flags.KillFlags and ports.nodes.Nodes."""

    name = "rows"
    poll_s = POLL_S

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection | None = None
        self._ourselves: Node | None = None
        self._asking = asyncio.Lock()

    async def raised(self) -> Sequence[Flag]:
        return [flag_of(dict(row)) for row in await self._ask("raised")]

    async def lower(self, flag: Flag) -> None:
        await self._ask("lower", flag.id)

    async def put(self, flag: Flag) -> None:
        """Raise a flag. Raises JournalUnavailable."""
        await self._ask("put", flag.id, flag.level, flag.target, flag.grade, flag.actor, flag.reason, flag.at)

    async def announce(self, node: Node) -> None:
        self._ourselves = node
        await self._ask("announce", node.name, node.build, node.config)

    async def withdraw(self, node: Node) -> None:
        """It ends in order, and is not missed. Raises JournalUnavailable."""
        self._ourselves = None
        await self._ask("withdraw", node.name)

    async def seen(self, within_s: float) -> Sequence[Node]:
        rows = await self._ask("nodes", within_s)
        return [
            Node(name=row["node"], build=row["build"], config=row["config"], ended=row["ended"])
            for row in rows
        ]

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _ask(self, name: str, *arguments: object) -> list[Any]:
        async with self._asking:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    if self._connection is None or self._connection.is_closed():
                        await self._connect()
                    assert self._connection is not None
                    rows: list[Any] = await self._connection.fetch(_SQL[name], *arguments)
                    return rows
            except (*session.WIRE_FAULTS, ValueError) as error:
                await self.close()
                raise JournalUnavailable(f"the database cannot be asked: {session.said(error)}") from error

    async def _connect(self) -> None:
        """A new session. Before anything else we say who we are, as with the last one we had ended."""
        self._connection = await asyncpg.connect(
            self._dsn, timeout=TIMEOUT_S, server_settings=_SERVER_SETTINGS
        )
        if (us := self._ourselves) is not None:
            await self._connection.execute(_SQL["announce"], us.name, us.build, us.config)


def flag_of(row: dict[str, Any]) -> Flag:
    """What a person wrote by hand need not be understood to count."""
    try:
        return msgspec.convert(row, Flag)
    except msgspec.ValidationError:
        return Flag(
            id=row["id"],
            level=Level.GLOBAL,
            grade=Grade.BLOCK_NEW,
            actor=row["actor"],
            reason=row["reason"],
            at=row["at"],
        )
