"""The way to the twin broker, as far as a test has to see it or to hold it up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from ordergate.brokers.paper import fates
from ordergate.brokers.paper.carriers import FatedCarrier
from ordergate.ports.broker import Outcome, Veto, no_veto
from ordergate.ports.clock import Clock

T = TypeVar("T")


class NotingCarrier(FatedCarrier):
    """Notes every question that is asked of the broker; commands wait until it is `connected`."""

    def __init__(
        self,
        asked: list[str],
        connected: asyncio.Event,
        clock: Clock,
        fates: fates.Fates,
        latency_s: float,
    ) -> None:
        super().__init__(clock, fates, latency_s)
        self._asked = asked
        self._connected = connected

    async def carry(
        self, call: fates.Call, subject: str, act: Callable[[], Outcome], veto: Veto = no_veto
    ) -> Outcome:
        await self._connected.wait()
        return await super().carry(call, subject, act, veto)

    async def ask(self, question: str, read: Callable[[], T]) -> T:
        self._asked.append(question)
        return await super().ask(question, read)
