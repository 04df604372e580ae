"""What may befall a call on its way to the paper exchange and back.

A fate is chosen before the call, by a script or by seeded chance; the exchange itself never
misbehaves. With these the engine is shown every answer a real wire can give, and every one it
can fail to give.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum

import msgspec


class Call(StrEnum):
    PLACE = "place"
    CANCEL = "cancel"
    REPLACE = "replace"
    DEAD_MAN = "dead_man"
    QUERY = "query"


class Delivered(msgspec.Struct, frozen=True):
    """The call arrives and its answer comes back."""


class NotSent(msgspec.Struct, frozen=True):
    """Not a byte leaves."""

    why: str = "no connection"
    retry_after_s: float = 0.0


class LostCall(msgspec.Struct, frozen=True):
    """Bytes leave and never arrive: unknown, and the exchange knows nothing."""

    why: str = "the call was lost"


class LostAnswer(msgspec.Struct, frozen=True):
    """The call is carried out and nobody hears of it: unknown."""

    why: str = "the answer was lost"


class LateCall(msgspec.Struct, frozen=True):
    """Unknown now; the call arrives when the exchange is told to let late ones in."""

    why: str = "the call is on its way"


class TurnedAway(msgspec.Struct, frozen=True):
    """A definite no that the exchange itself would not have given."""

    reason: str


Fate = Delivered | NotSent | LostCall | LostAnswer | LateCall | TurnedAway
Fates = Callable[[Call], Fate]

DELIVERED = Delivered()


def always_delivered(call: Call) -> Fate:
    return DELIVERED


class Script:
    """Fates written down beforehand, per kind of call; what is not written down is delivered."""

    def __init__(self) -> None:
        self._next: dict[Call, deque[Fate]] = {call: deque() for call in Call}

    def add(self, call: Call, *fates: Fate) -> None:
        self._next[call].extend(fates)

    def __call__(self, call: Call) -> Fate:
        waiting = self._next[call]
        return waiting.popleft() if waiting else DELIVERED
