"""Cuts a failing plan down to the faults that the failure needs: delta debugging.

A smaller plan counts when it violates the same invariant. The search is bounded; what it returns fails
in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ordergate.simulation.plan import Plan, Strike
from ordergate.simulation.town import run

RUNS_MAX: Final = 150


def minimise(plan: Plan, invariant: str, *, runs_max: int = RUNS_MAX) -> Plan:
    """The plan with as few strikes as still violate the invariant."""
    left = runs_max

    def fails(strikes: Sequence[Strike]) -> bool:
        nonlocal left
        left -= 1
        found = run(plan.only(strikes)).violations
        return any(one.invariant == invariant for one in found)

    return plan.only(_smallest(list(plan.strikes), fails, lambda: left > 0))


def _smallest(
    strikes: list[Strike], fails: Callable[[Sequence[Strike]], bool], may_go_on: Callable[[], bool]
) -> list[Strike]:
    """ddmin: leave ever smaller parts out, as long as it still fails."""
    if may_go_on() and fails(()):
        return []
    parts = 2
    while len(strikes) >= 2 and may_go_on():
        size = max(len(strikes) // parts, 1)
        for start in range(0, len(strikes), size):
            rest = strikes[:start] + strikes[start + size :]
            if may_go_on() and fails(rest):
                strikes, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(strikes))
    return strikes
