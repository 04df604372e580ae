"""When a broker's list of executions is worth another read from where the account was opened.

A difference that is sure and not explained behind the cursor may be an execution taken back, corrected,
or listed late, behind younger ones. Lists are long, so the first read is at once and each further one waits
twice as long, as long as the difference stands. Waits count from a read's end, and none is shorter than
the read was: half of the time nothing is read. Reads nothing itself.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from collections.abc import Set as AbstractSet
from typing import Final

WAIT_S_MAX: Final = 900.0


class Rereads:
    """One account's."""

    def __init__(self) -> None:
        self._read_for: AbstractSet[Hashable] = frozenset()
        self._wait_s = 0.0
        self._due_at = 0.0
        self._began_at = 0.0
        self._rests_until = -math.inf

    def is_due(self, gaps: AbstractSet[Hashable], *, now: float, wait_s: float) -> bool:
        """Whether to read for these now. True begins a read, of which `ended` has to be told.

        `wait_s` is the first wait, `now` monotonic.
        """
        is_new = not gaps <= self._read_for
        if not gaps or now < self._rests_until or (not is_new and now < self._due_at):
            return False
        self._read_for = gaps
        self._wait_s = wait_s if is_new else min(2 * self._wait_s, WAIT_S_MAX)
        self._began_at, self._due_at = now, math.inf
        return True

    def ended(self, now: float) -> None:
        """The read that was begun is over, however it went."""
        if self._due_at == math.inf:
            self._due_at = now + self._wait_s
            self._rests_until = now + (now - self._began_at)

    def forget(self) -> None:
        """The sides agree."""
        self._read_for = frozenset()
