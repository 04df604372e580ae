"""How much of what all accounts share one of them may take, so that none stands in another's way.

At most half of what nobody has: whoever fills his part, a third if he is alone, leaves twice as much to
the others, and however many do, the next one still finds room.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from ordergate.core.ids import AccountId
from ordergate.core.refusals import Code, Refusal

TOO_MUCH_WAITS: Final = Refusal(
    Code.UNAVAILABLE, "too much of this account waits to be written or sent; try again"
)


def is_too_much(own: int, free: int) -> bool:
    """Whether an account that has so much may have no more of what is free."""
    return 2 * own >= free


class Shares:
    """One room, and what each account has taken of it."""

    def __init__(self, room: int) -> None:
        self._free = room
        self._taken: Counter[AccountId] = Counter()

    def take(self, account: AccountId) -> None:
        self._taken[account] += 1
        self._free -= 1

    def give_back(self, account: AccountId) -> None:
        self._free += 1
        self._taken[account] -= 1
        if not self._taken[account]:
            del self._taken[account]

    def is_full_for(self, account: AccountId) -> bool:
        return is_too_much(self._taken[account], self._free)
