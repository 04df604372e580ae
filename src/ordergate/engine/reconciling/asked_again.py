"""How long an order is left alone whose cancel or replacement the broker has taken and not carried out.

A broker may keep one pending for hours, such as while its market is closed. It is asked after, and a cancel
is asked again, soon at first and then after waits that double: each costs a part of the broker's rate limit,
of which new orders need theirs. One that is not proven to be there is none of these: nothing waits for it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders.order import Order
from ordergate.engine.accounts.books import Books

WAIT_S_MIN: Final = 1.0
WAIT_S_MAX: Final = 30.0


class _Asked(msgspec.Struct):
    """`what` tells one request from the next; the others are monotonic seconds."""

    what: tuple[int, int]
    wait_s: float
    due_at: float


class AskedAgain:
    """One for all accounts."""

    def __init__(self) -> None:
        self._of: dict[tuple[AccountId, OrderId], _Asked] = {}

    def __len__(self) -> int:
        return len(self._of)

    def is_due(self, order: Order, now: float) -> bool:
        """Whether to ask about the order now."""
        known = self._of.get((order.terms.account, order.id))
        return known is None or known.what != _what(order) or now >= known.due_at

    def asked(self, order: Order, now: float) -> None:
        """It was asked about, and its request is still open."""
        is_lost = order.replacement is not None and order.unknown_since is not None
        if is_lost or not (order.is_proven and order.is_asked):
            return  # whether a lost replacement is in force has to be known soon
        key, what = (order.terms.account, order.id), _what(order)
        known = self._of.get(key)
        is_new = known is None or known.what != what
        wait_s = WAIT_S_MIN if known is None or is_new else min(2 * known.wait_s, WAIT_S_MAX)
        self._of[key] = _Asked(what, wait_s, now + wait_s)

    def forget_settled(self, account: AccountId, books: Books) -> None:
        """Drop the account's orders of which nothing is open any more."""
        for key in tuple(self._of):
            order = books.order(key[1]) if key[0] == account else None
            if key[0] == account and (order is None or order.is_final or not order.is_asked):
                del self._of[key]


def _what(order: Order) -> tuple[int, int]:
    return order.cancels_asked, order.versions_used
