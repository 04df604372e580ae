"""Strategies that a tenant has registered: who answers for each version, and whether it may trade.

Where a tenant has registered any, an order that names a strategy names one of them. One that was registered
without a version stands for each that is not registered itself. An order of no strategy is a person's, and
whether there may be such is a limit's to say (R28).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from ordergate.core.refusals import Code, Refusal

STRATEGIES_MAX: Final = 5_000
"""Of one tenant."""

_LABEL: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_OWNER: Final = re.compile(r"[\x21-\x7e]{1,255}")


class Strategy(msgspec.Struct, frozen=True, order=True):
    """One version of a strategy, or all of its versions. `owner` is the person who answers for it."""

    tenant: str
    name: str
    version: str = ""
    owner: str = ""
    enabled: bool = True


Registered = Mapping[tuple[str, str], bool]
"""Whether a tenant's strategy of this name and version is enabled."""


def by_tenant(strategies: Iterable[Strategy]) -> dict[str, Registered]:
    found: defaultdict[str, dict[tuple[str, str], bool]] = defaultdict(dict)
    for one in strategies:
        found[one.tenant][one.name, one.version] = one.enabled
    return dict(found)


def refuse_strategy(registered: Registered | None, name: str | None, version: str | None) -> Refusal | None:
    """Of an order of this strategy; None registers nothing."""
    if registered is None or name is None:
        return None
    enabled = registered.get((name, version or ""))
    if enabled is None and version:
        enabled = registered.get((name, ""))
    if enabled:
        return None
    called = f"{name} {version}" if version else name
    if enabled is None:
        return Refusal(Code.STRATEGY_UNKNOWN, f"no strategy {called} is registered in the tenant")
    return Refusal(Code.STRATEGY_DISABLED, f"the strategy {called} is disabled")


def check_strategy(strategy: Strategy) -> None:
    """ValueError when a strategy cannot be registered so."""
    for said, what in ((strategy.name, "name"), (strategy.version or "-", "version")):
        if _LABEL.fullmatch(said) is None:
            raise ValueError(f"a strategy's {what} is 1 to 64 letters, digits and _ . : -")
    if _OWNER.fullmatch(strategy.owner) is None:
        raise ValueError("whoever answers for a strategy is 1 to 255 visible characters")
