"""The promise of whoever keeps identity: every change of it waits until somebody has recorded it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a row. `number` is never used twice; secrets are not in `facts`."""

    number: int
    at: datetime
    what: str
    operation: str
    subject: str
    by: str
    facts: dict[str, str]


class IdentityChanges(Protocol):
    async def waiting(self, most: int) -> Sequence[Change]:
        """The oldest changes that nobody has recorded yet. Raises Fault."""
        ...

    async def recorded(self, numbers: Sequence[int]) -> None:
        """These are in the journal for good. Raises Fault."""
        ...
