"""Differences that could still be news under way: sure only when they are seen again, later.

A broker's answers lag behind each other. What was seen once is remembered; what is seen twice, far
enough apart and after everything about it had time to settle, is a fact. How far apart is told by the
monotonic clock: the wall clock, which dates them, may jump.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import msgspec

from ordergate.core.accounts.breaks import Difference, Nature


class Sighting(msgspec.Struct):
    """`run` is the number of the latest reconciliation that saw it; `first_s` is the monotonic second of the

    first time, and `theirs` the broker's side as it was then.
    """

    first_at: datetime
    first_s: float
    theirs: str
    last_at: datetime
    run: int


class Sightings:
    """One account's; a difference that a whole run did not see is forgotten."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Sighting] = {}
        self._run = 0

    def __len__(self) -> int:
        return len(self._seen)

    def begin(self) -> None:
        """A whole reconciliation begins."""
        self._run += 1

    def see(self, item: Difference, *, now: datetime, steady_s: float, apart_s: float) -> Sighting | None:
        """Remember it; the sighting once it is sure, None before."""
        known = self._seen.get(item.key)
        if known is None or _has_come(item, known):
            self._seen[item.key] = Sighting(now, steady_s, item.theirs, now, self._run)
            return None
        known.last_at, known.run = now, self._run
        return known if steady_s - known.first_s >= apart_s else None

    def put_off(self, subjects: Iterable[str]) -> None:
        """This run has no time to ask about these: that it does not see them says nothing."""
        unasked = frozenset(subjects)
        for (_, subject), seen in self._seen.items():
            if subject in unasked:
                seen.run = self._run

    def end(self) -> None:
        """What this run did not see, and could have, was news under way."""
        self._seen = {key: seen for key, seen in self._seen.items() if seen.run == self._run}


def _has_come(item: Difference, known: Sighting) -> bool:
    """What was missing then is in our books: while an order fills, what is missing now is news of its own."""
    return item.nature is Nature.EXECUTION_MISSING and Decimal(item.ours) >= Decimal(known.theirs)
