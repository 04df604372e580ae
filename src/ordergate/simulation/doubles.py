"""B25: the calls of which a broker that refuses no name made two orders, and who has heard of them.

Both orders carry the same client order id. Which of them is ours is for the journal to say: the one whose
broker's id it has under our order. The other is somebody else's, once it is there at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ordergate.core.orders.reports import OrderSnapshot
from ordergate.ports.broker import Acknowledged, BrokerExecution, News

Ours = Callable[[str, tuple[str, str]], str]


class Doubles:
    """Of one account. `of` is the broker's ids of both orders, by the name that they share.

    `struck` are those names from just before the second order is made.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self.of: dict[str, tuple[str, str]] = {}
        self.ours: Ours = lambda subject, both: both[0]
        self._time = time
        self.struck: set[str] = set()
        self._ids: set[str] = set()
        self._told_s: dict[tuple[str, str], float] = {}

    def made(self, subject: str, first: str, second: str) -> None:
        self.of[subject] = (first, second)
        self._ids.update((first, second))

    def ours_of(self, subject: str) -> str | None:
        """Which of two is ours; None where there are no two."""
        both = self.of.get(subject)
        return None if both is None else self.ours(subject, both)

    def tell(self, gateway: str, word: Any) -> None:
        """A gateway hears this from its broker, whatever it is."""
        if not self._ids:
            return
        for one in _named_in(word):
            if one in self._ids:
                self._told_s.setdefault((gateway, one), self._time())

    def told_s(self, gateway: str, broker_order_id: str) -> float | None:
        """Since when this gateway has been able to know of that order."""
        return self._told_s.get((gateway, broker_order_id))


def _named_in(word: Any) -> Iterator[str]:
    match word:
        case Acknowledged() | OrderSnapshot():
            yield word.broker_order_id
        case News() | BrokerExecution():
            yield word.report.broker_order_id
        case list():
            for one in word:
                yield from _named_in(one)
        case _:
            return
