"""Every secret replaced under a hundred orders a second, one after another: how long each took, what failed.

The ground, the load and the drills are the tests' own (`tests/e2e/drills.py`): a real gateway, a real venue,
a database whose role has a password. An order has failed when it was not taken, or is not at the venue
afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.e2e.drills import DRILLS
from tests.e2e.ground import RATE_HZ, ground
from tests.e2e.pacing import PACE

AROUND_S: Final = 3.0
SHARES: Final = {"p50_ms": 0.5, "p99_ms": 0.99, "longest_ms": 1.0}


async def measure(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Raises AssertionError where a drill does not hold, or an order failed."""
    drills: dict[str, Any] = {}
    async with ground(folder) as here:
        await PACE.sleep(AROUND_S)
        for name, drill in DRILLS.items():
            say(f"rotating under {RATE_HZ} orders/s: {name.replace('_', ' ')}")
            orders, refused = len(here.load.orders), not_taken(here.load.answers)
            logins, answered, began = here.load.logins, len(here.load.ms), time.monotonic()
            told = await drill(here)
            await PACE.sleep(AROUND_S)
            drills[name] = {
                **{key: round(value, 3) for key, value in told.items()},
                "watched_s": round(time.monotonic() - began, 1),
                "orders": len(here.load.orders) - orders,
                "not_taken": not_taken(here.load.answers) - refused,
                "logins_again": here.load.logins - logins,
                "answer": _shares(here.load.ms[answered:]),
            }
    return {
        "rate": RATE_HZ,
        "orders": len(here.load.orders),
        "orders_per_s": round(len(here.load.orders) / here.load.took_s, 1),
        "failed_orders": not_taken(here.load.answers),
        "drills": drills,
    }


def not_taken(answers: dict[str, int]) -> int:
    return sum(count for answer, count in answers.items() if answer != "201")


def _shares(ms: list[float]) -> dict[str, float]:
    ordered = sorted(ms)
    if not ordered:
        return {}
    return {name: round(ordered[int(share * (len(ordered) - 1))], 1) for name, share in SHARES.items()}
