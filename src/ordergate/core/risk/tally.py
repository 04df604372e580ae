"""What breakers count of an account: errors, and executions by strategy, each with its time.

Part of the account's books: folded from its events, so that a restart forgets nothing that a window still
holds. Decides neither what too many are nor what follows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, NamedTuple

from ordergate.core.orders import events as e
from ordergate.core.orders.lifecycle import NEVER_SENT

COUNTED_MAX: Final = 10_000
COUNTED_FOR: Final = timedelta(hours=1)


Nth = Callable[[int], datetime | None]
"""When the nth latest of something was; None where there were not as many."""


class Executed(NamedTuple):
    """`actor` asked for the order; `strategy` is None where it named none."""

    at: datetime
    strategy: str | None
    actor: str | None


class Tally:
    """Of errors and of each strategy's executions the latest ten thousand, for an hour at most.

    Orders that name no strategy are counted together, as one.
    """

    __slots__ = ("_errors", "_executions")

    def __init__(self) -> None:
        self._errors: deque[datetime] = deque(maxlen=COUNTED_MAX)
        self._executions: dict[str | None, deque[Executed]] = {}

    def failed(self, at: datetime) -> None:
        self._errors.append(at)
        while self._errors[0] < at - COUNTED_FOR:
            self._errors.popleft()

    def executed(self, one: Executed) -> None:
        """Whose latest execution is too old is let go whole: they are in the order of their latest."""
        oldest = one.at - COUNTED_FOR
        row = self._executions.pop(one.strategy, None) or deque(maxlen=COUNTED_MAX)
        row.append(one)
        while row[0].at < oldest:
            row.popleft()
        self._executions[one.strategy] = row
        while (first := next(iter(self._executions.values())))[-1].at < oldest:
            del self._executions[first[-1].strategy]

    @property
    def strategies(self) -> tuple[str | None, ...]:
        return tuple(self._executions)

    def latest(self, strategy: str | None) -> Executed | None:
        row = self._executions.get(strategy)
        return None if row is None else row[-1]

    def error(self, nth: int) -> datetime | None:
        """When the nth latest was, from 1 on; None where there were not as many."""
        return self._errors[-nth] if nth <= len(self._errors) else None

    def execution(self, strategy: str | None, nth: int) -> datetime | None:
        """The same of a strategy's executions."""
        row = self._executions.get(strategy)
        return row[-nth].at if row is not None and nth <= len(row) else None

    def kept(self) -> tuple[tuple[datetime, ...], tuple[Executed, ...]]:
        """Errors and executions, the oldest first; `show` is its inverse."""
        return tuple(self._errors), tuple(chain.from_iterable(self._executions.values()))

    def show(self, errors: Iterable[datetime], executions: Iterable[Executed]) -> None:
        """Count what another one counted; for one that has counted nothing yet."""
        self._errors.extend(errors)
        for one in executions:
            self._executions.setdefault(one.strategy, deque(maxlen=COUNTED_MAX)).append(one)


def is_error(event: object) -> bool:
    """True of what an order or a replacement came to wrongly: refused by the broker, or without an answer.

    What certainly never left is none, and neither is a cancel: that has to be asked again.
    """
    match event:
        case e.OutcomeUnknown(asked=asked):
            return asked is not e.Asked.CANCEL
        case e.OrderRejected(evidence=evidence):
            return NEVER_SENT not in evidence
        case e.ReplaceRejected(unsent=unsent):
            return not unsent
        case _:
            return False


def many(nth: Nth, count: int, *, since: datetime, after: datetime | None) -> int:
    """How many of the latest are within a window and after that moment; `count` at most.

    Asked at every execution, so it looks at few of them. Where a clock was set back in between it may count
    too many.
    """
    found, most = 0, count
    while found < most:
        middle = (found + most + 1) // 2
        at = nth(middle)
        if at is None or at < since or (after is not None and at <= after):
            most = middle - 1
        else:
            found = middle
    return found
