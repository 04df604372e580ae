"""The promise of whoever keeps the access tables: what is in them, and how they are changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ordergate.core.tenancy import Access, Assignment


class AccessBook(Protocol):
    """A change is durable and in force here when it returns. All raise Fault, and ValueError for nonsense.

    `noted` goes into the record of identity: who did it, and why.
    """

    @property
    def access(self) -> Access: ...

    async def assign(self, assignment: Assignment, change: str | None = None) -> None:
        """Give a role. With the id of an approved change a second time is the same as once."""
        ...

    async def withdraw(self, assignment: Assignment, noted: Mapping[str, str]) -> None: ...

    async def keep_out(self, tenant: str, subject: str, noted: Mapping[str, str]) -> None: ...
