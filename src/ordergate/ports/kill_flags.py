"""The promise of a way to stop that does not lead through the API.

Whoever can write a file on this machine, or a row in the database, can stop. What was raised there counts
at once, and is taken down only when the journal has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from ordergate.core.risk.trading_state import Grade, Level


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """One stop that was asked for beside the API.

    Two with the same `id` and `at` are one, in whatever ways they are seen.
    """

    id: str
    level: Level = Level.GLOBAL
    target: str = ""
    grade: Grade = Grade.BLOCK_NEW
    actor: str
    reason: str
    at: datetime


class KillFlags(Protocol):
    """`poll_s` is how often to look."""

    name: str
    poll_s: float

    async def raised(self) -> Sequence[Flag]:
        """Every flag that was not taken down. What cannot be understood is a stop of everything.

        Raises Fault when nothing can be seen.
        """
        ...

    async def lower(self, flag: Flag) -> None:
        """Take it down: the journal has it. Harmless to repeat. Raises Fault."""
        ...


class SharedFlags(KillFlags, Protocol):
    """Stops that several gateways hold together. While it is silent nothing new passes."""

    async def tell(self, stops: Sequence[Flag]) -> None:
        """All that is stopped here and concerns others, and nothing else. Raises Fault."""
        ...
