"""How a call gets to the paper exchange and its answer back.

A carrier decides what is lost and when; what the exchange does about a call that arrives is given
to it as a function, run at the moment of arrival. The one here follows fates chosen beforehand; a
simulation brings its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar, assert_never

from ordergate.brokers.paper import fates as f
from ordergate.ports.broker import BrokerUnavailable, Outcome, Rejected, Unknown, Unsent, Veto, no_veto
from ordergate.ports.clock import Clock

LATE_MAX: Final = 1_000

T = TypeVar("T")


class Carrier(Protocol):
    async def carry(
        self, call: f.Call, subject: str, act: Callable[[], Outcome], veto: Veto = no_veto
    ) -> Outcome:
        """Send a command about `subject`, a client order id, and bring back what came of it."""
        ...

    async def ask(self, question: str, read: Callable[[], T]) -> T:
        """Bring back what `read` finds at the exchange. Raises BrokerUnavailable."""
        ...


class FatedCarrier:
    """Asks for a fate per call. Latency, if any, is slept on the clock it is given."""

    def __init__(self, clock: Clock, fates: f.Fates, latency_s: float) -> None:
        self._clock = clock
        self._fates = fates
        self._latency_s = latency_s
        self._late: deque[Callable[[], Any]] = deque(maxlen=LATE_MAX)

    async def carry(
        self, call: f.Call, subject: str, act: Callable[[], Outcome], veto: Veto = no_veto
    ) -> Outcome:
        """Send, let the exchange act, and bring back the answer, as far as fate lets it."""
        fate = self._fates(call)
        if isinstance(fate, f.NotSent):
            return Unsent(fate.why, fate.retry_after_s)
        if (why := veto()) is not None:
            return Unsent(why)
        await self._travel()
        outcome: Outcome
        match fate:
            case f.Delivered():
                outcome = act()
            case f.TurnedAway(reason):
                outcome = Rejected(reason)
            case f.LostCall(why):
                return Unknown(why)
            case f.LateCall(why):
                self._late.append(act)
                return Unknown(why)
            case f.LostAnswer(why):
                act()
                return Unknown(why)
            case _:
                assert_never(fate)
        await self._travel()
        return outcome

    async def ask(self, question: str, read: Callable[[], T]) -> T:
        fate = self._fates(f.Call.QUERY)
        await self._travel()
        if not isinstance(fate, f.Delivered):
            raise BrokerUnavailable(f"no answer: {type(fate).__name__}")
        await self._travel()
        return read()

    def let_late_calls_in(self) -> None:
        """Everything that was on its way arrives now, in the order it was sent."""
        while self._late:
            self._late.popleft()()

    async def _travel(self) -> None:
        if self._latency_s > 0:
            await self._clock.sleep(self._latency_s)
