"""The drop copy as one reader may see it: of its accounts, and what concerns everybody.

What is stopped concerns everybody. Changes of limits name accounts, so they are shown to whoever may see
every account of the gateway. Writes nothing, and never answers out of memory.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId, Env
from ordergate.ports.surveillance import Copy, SeenCopies


class DropCopy:
    def __init__(self, copies: SeenCopies, env: Env, accounts: Collection[AccountId]) -> None:
        self._copies = copies
        self._accounts = frozenset(accounts)
        self._control = AccountId(f"{env.letter}-CONTROL")
        self._limits = AccountId(f"{env.letter}-LIMITS")

    async def page(self, principal: Principal, after: int, most: int) -> Sequence[Copy]:
        """What has a higher number, in order. Raises JournalUnavailable."""
        accounts = principal.accounts_for(Scope.SURVEILLANCE_READ)
        shown = {*accounts, self._control}
        if self._accounts <= accounts:
            shown.add(self._limits)
        seen = self._copies.seen_by(principal.tenant, accounts)
        return await seen.copies_of(sorted(shown), after, most)

    async def newest(self) -> int:
        """The last number given, whoever may see it; 0 before the first. Raises JournalUnavailable."""
        return await self._copies.last_number()
