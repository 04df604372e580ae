"""Which faults are in the air now, which have struck, and what was seen of them.

Parts ask before they act: `strike` takes a fault that waits for a moment like this one, `spell` says
whether a lasting one holds. A fault counts when its effect was seen, which is for the part to say.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from contextvars import Context
from math import inf

from ordergate.simulation.loop import VirtualLoop
from ordergate.simulation.plan import Plan, Strike
from ordergate.simulation.trace import Trace


class Weather:
    def __init__(self, loop: VirtualLoop, plan: Plan, trace: Trace, context: Context) -> None:
        self.hits: Counter[str] = Counter()
        self._loop = loop
        self._plan = plan
        self._trace = trace
        self._context = context
        self._waiting: dict[str, deque[Strike]] = defaultdict(deque)
        self._spells: dict[str, list[Strike]] = defaultdict(list)
        self._on_begin: dict[str, list[Callable[[Strike], None]]] = defaultdict(list)
        self._on_end: dict[str, list[Callable[[Strike], None]]] = defaultdict(list)
        self.healed = False
        self.healed_s = inf

    def begin(self) -> None:
        """Arm every strike of the plan at its time."""
        for one in self._plan.strikes:
            self._loop.call_at(one.at, self._arm, one, context=self._context)

    def on(
        self,
        fault: str,
        begin: Callable[[Strike], None],
        end: Callable[[Strike], None] | None = None,
    ) -> None:
        """Do this when the fault's time comes, and that when its spell is over."""
        self._on_begin[fault].append(begin)
        if end is not None:
            self._on_end[fault].append(end)

    def strike(self, fault: str, account: int | None = None, *, above: float = 0.0) -> Strike | None:
        """A fault of this kind, of that dose at least, that waits to strike once; it is used up."""
        waiting = self._waiting.get(fault)
        if not waiting or (account is not None and waiting[0].account != account):
            return None
        if waiting[0].dose < above:
            return None
        one = waiting.popleft()
        self._trace.note("strike", f"{one.number} {fault}")
        return one

    def spell(self, fault: str, account: int | None = None) -> Strike | None:
        """The spell of this kind that holds now, if any."""
        for one in self._spells.get(fault, ()):
            if account is None or one.account == account:
                return one
        return None

    def seen(self, fault: str, what: str = "") -> None:
        """The fault's effect was seen."""
        self.hits[fault] += 1
        self._trace.note("effect", f"{fault} {what}")

    def heal(self) -> None:
        """End every spell and forget what has not struck: from now on nothing goes wrong."""
        self.healed, self.healed_s = True, self._loop.time()
        self._waiting.clear()
        for fault in sorted(self._spells):
            for one in tuple(self._spells[fault]):
                self._over(one)

    def _arm(self, one: Strike) -> None:
        if self.healed:
            return
        if one.lasts > 0:
            self._spells[one.fault].append(one)
            self._loop.call_later(one.lasts, self._over, one, context=self._context)
            self._trace.note("spell", f"{one.number} {one.fault} for {one.lasts}")
        elif one.fault not in self._on_begin:
            self._waiting[one.fault].append(one)
        for begin in self._on_begin.get(one.fault, ()):
            begin(one)

    def _over(self, one: Strike) -> None:
        if one not in self._spells[one.fault]:
            return
        self._spells[one.fault].remove(one)
        self._trace.note("over", f"{one.number} {one.fault}")
        for end in self._on_end.get(one.fault, ()):
            end(one)
