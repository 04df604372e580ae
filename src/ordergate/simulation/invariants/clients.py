"""I4, I5, I18, I21, I24: what clients may rely on, and that the house stays within its bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ordergate.core.ids import OrderId
from ordergate.core.refusals import Code
from ordergate.core.risk.trading_state import Level
from ordergate.journal.tails import Linked
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.witness import Answered, Read

TASKS_MAX: Final = 5_000
STEPS_PER_S_MAX: Final = 100_000
EVENTS_A_TICK_MAX: Final = 2_000


class OneOrderPerKey(SightedChecker):
    """I4: every good answer to a client's key names the same order, and the key bought one.

    A key that is used for another request buys nothing, and its owner is told so.
    """

    id = "I4"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._named: dict[tuple[str, str], str] = {}

    def answered(self, answered: Answered) -> None:
        if answered.verb == "misuse" and answered.refused != Code.IDEMPOTENCY_KEY_REUSED:
            told = answered.refused or answered.order
            self.violated(f"key {answered.key} was used for another request and answered with {told}")
        if answered.verb != "place" or not answered.order:
            return
        first = self._named.setdefault((answered.client, answered.key), answered.order)
        if first != answered.order:
            self.violated(f"key {answered.key} was answered with {first} and with {answered.order}")

    def ended(self) -> None:
        for (account, key), orders in self.sight.audit.by_key.items():
            if len(orders) > 1:
                self.violated(f"key {key} of {account} bought {', '.join(orders)}")


class AnsweredIsDurable(SightedChecker):
    """I5: what was answered with a yes is in the journal, then and for ever.

    So is what a no rests on, and a stop whose engagement was answered.
    """

    id = "I5"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._promised: set[OrderId] = set()

    def answered(self, answered: Answered) -> None:
        if answered.refused == Code.ORDER_FINAL:
            self._rests(answered)
        if answered.verb == "stop" and not answered.refused:
            self._stopped(answered)
        if not answered.order:
            return
        order_id = OrderId(answered.order)
        self._promised.add(order_id)
        if self.sight.audit.order(order_id) is None:
            self.violated(f"{order_id} was answered and is not in the journal")

    def _rests(self, answered: Answered) -> None:
        """An order that was over for somebody was over in the journal, when they asked or since."""
        order = self.sight.audit.order(OrderId(answered.about))
        if order is not None and order.is_open and order.turned_s < answered.asked_s:
            self.violated(f"{answered.client} was told that {order.id} is over, and the journal has it open")

    def _stopped(self, answered: Answered) -> None:
        level, _, target = answered.about.partition(" ")
        if self.sight.audit.stopped_s.get((Level(level), target), -1.0) < answered.asked_s:
            self.violated(f"the stop of {answered.about} was answered and is not in the journal")

    def ended(self) -> None:
        stored = {
            entry.order_id for books in self.sight.server.store.books.values() for entry, _ in books.events
        }
        for order_id in sorted(self._promised - stored):
            self.violated(f"{order_id} was answered and is gone from the journal")


class TenantsApart(SightedChecker):
    """I18: another tenant's order does not exist."""

    id = "I18"

    def answered(self, answered: Answered) -> None:
        if answered.verb == "trespass" and answered.refused != "not-found":
            told = answered.refused or answered.order
            self.violated(f"{answered.client} was answered {told} about another's order")

    def read(self, read: Read) -> None:
        for order_id in read.found:
            order = self.sight.audit.order(OrderId(order_id))
            if order is not None and order.account != read.account:
                self.violated(f"{read.client} was shown {order_id}, which is another's")


class Bounded(SightedChecker):
    """I21: tasks under their cap, and nothing that spins, whether in memory or by way of the journal."""

    id = "I21"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._steps = 0
        self._events = 0
        self._at = 0.0

    def committed(self, linked: Linked, by: str) -> None:
        self._events += len(linked.unit.entries)
        if self._events > EVENTS_A_TICK_MAX:
            self.sight.ground.loop.give_up(f"{self._events} events in one tick")

    def ticked(self) -> None:
        loop = self.sight.ground.loop
        done, elapsed = loop.steps - self._steps, loop.time() - self._at
        if done > STEPS_PER_S_MAX * max(elapsed, 1.0):
            self.violated(f"{done} steps in {elapsed:.1f} s")
        self._steps, self._events, self._at = loop.steps, 0, loop.time()

    def ended(self) -> None:
        tasks = len(asyncio.all_tasks(self.sight.ground.loop))
        if tasks > TASKS_MAX:
            self.violated(f"{tasks} tasks are left")


class Liveness(SightedChecker):
    """I24: in the end everything is answered, and the gateway is ready without anybody's help."""

    id = "I24"

    def ended(self) -> None:
        for trader in self.sight.traders:
            if not trader.is_quiet:
                self.violated(f"{trader.client.name} still waits for {trader.client.waiting} answers")
        living = [one for one in self.sight.gateways() if one.alive]
        if not any(one.serves and not one.recovering for one in living):
            reasons = [one.node.gate.readiness() for one in living if one.node is not None]
            self.violated(f"no gateway is ready: {reasons or 'none lives'}")
