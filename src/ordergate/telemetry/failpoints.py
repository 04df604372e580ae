"""Named places where this process can be told to die, to stop or to stall, for tests and drills.

A place is reached by name and does nothing unless it was armed. Arming belongs to whoever puts a
gateway together: from ORDERGATE_FAILPOINTS in paper, and never in live. Decides nothing about
orders; a process that dies here dies as by kill -9, with nothing tidied.

    ORDERGATE_FAILPOINTS="C3=die@5 C15=pause:2"   the fifth time at C3, and two seconds at C15
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

VARIABLE: Final = "ORDERGATE_FAILPOINTS"
PAUSE_S_MAX: Final = 60.0

PLACES: Final[Mapping[str, str]] = {
    "C1": "decided, and the commit not yet asked for",
    "C2": "the commit asked for, and its answer not yet read",
    "C3": "committed, and nobody told yet",
    "C4": "durable, and about to be spoken of to the broker",
    "C5": "a connection to the broker is free, and no byte has left",
    "C6": "half of a request has left",
    "C7": "a whole request has left, and no answer was read",
    "C8": "the broker's answer is known, and not yet recorded",
    "C9": "the broker's answer is on its way to the journal",
    "C10": "recorded, and the streams not yet told",
    "C11": "the streams told, and what follows the commit not yet begun",
    "C12": "a reconciliation has absorbed executions, and not yet its cursor",
    "C13": "the kill switch is engaged, and its cancels not yet asked for",
    "C14": "a new signing key is saved, and not yet published",
    "C15": "an account is taken, and not yet folded",
    "C16": "between two migrations",
    "C17": "the journal's fence is held, and nothing written under it yet",
    "C18": "an account's books are written down, and not yet kept as a snapshot",
    "C19": "a snapshot is kept, and nobody knows of it yet",
}
"""Every place, and what is so when it is reached."""

_ORDER: Final = re.compile(
    r"(?P<place>\w+)=(?P<action>die|stop|pause:(?P<seconds>[0-9]{1,3}(?:\.[0-9]+)?))(?:@(?P<at>[0-9]{1,9}))?"
)


class Action(StrEnum):
    DIE = "die"
    STOP = "stop"  # as SIGSTOP does, until somebody sends SIGCONT
    PAUSE = "pause"  # nothing of the process runs for so many seconds


class Order(msgspec.Struct, kw_only=True):
    """What to do the `at`-th time that a place is reached; once."""

    action: Action
    at: int = 1
    seconds: float = 0.0
    reached: int = 0


class Orders:
    """What was armed, by place. Called with the name of each place that is reached."""

    def __init__(self, orders: Mapping[str, Order]) -> None:
        self._orders = dict(orders)

    def __call__(self, place: str) -> None:
        order = self._orders.get(place)
        if order is None:
            return
        order.reached += 1
        if order.reached == order.at:
            _carry_out(place, order)

    def strikes_next(self, place: str) -> bool:
        """Whether the next time at the place is the one that counts."""
        order = self._orders.get(place)
        return order is not None and order.reached + 1 == order.at


class Failpoints:
    """The places of this process. `reach` costs one `is None` while nothing is armed."""

    def __init__(self) -> None:
        self._strike: Callable[[str], None] | None = None

    def arm(self, strike: Callable[[str], None] | None) -> None:
        """Call `strike` with the name of every place that is reached; None disarms."""
        self._strike = strike

    def reach(self, place: str) -> None:
        if self._strike is not None:
            self._strike(place)

    def reach_soon(self, place: str) -> None:
        """The place is a moment away: what was handed to a socket leaves in the loop's next turns."""
        if self._strike is not None:
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._strike, place)

    def torn(self, place: str, data: bytes) -> bytes:
        """All of `data`; half of it, and the place soon, when the place is to be struck now."""
        if self._strike is None:
            return data
        if not isinstance(self._strike, Orders) or not self._strike.strikes_next(place):
            self._strike(place)
            return data
        self.reach_soon(place)
        return data[: len(data) // 2]


def parse(text: str) -> Orders:
    """The orders in words, separated by blanks. Raises ValueError with a sentence."""
    orders: dict[str, Order] = {}
    for words in text.split():
        said = _ORDER.fullmatch(words)
        if said is None or said["place"] not in PLACES:
            raise ValueError(f"{VARIABLE} has {words!r}: it is <place>=die|stop|pause:<seconds>, then @<n>")
        seconds = float(said["seconds"] or 0)
        if seconds > PAUSE_S_MAX:
            raise ValueError(f"{VARIABLE} has {words!r}: a pause is {PAUSE_S_MAX:g} seconds at most")
        action = Action(said["action"].partition(":")[0])
        orders[said["place"]] = Order(action=action, at=int(said["at"] or 1), seconds=seconds)
    return Orders(orders)


def _carry_out(place: str, order: Order) -> None:
    os.write(2, f"failpoint {place} reached: {order.action}\n".encode())
    match order.action:
        case Action.DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        case Action.STOP:
            os.kill(os.getpid(), signal.SIGSTOP)
        case Action.PAUSE:
            time.sleep(order.seconds)


FAILPOINTS: Final = Failpoints()
reach: Final = FAILPOINTS.reach
reach_soon: Final = FAILPOINTS.reach_soon
torn: Final = FAILPOINTS.torn
arm: Final = FAILPOINTS.arm
