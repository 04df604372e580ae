"""Where a tenant's strategies are registered and disabled.

Registering one, or enabling it again, takes a login of a moment ago; one is disabled at once. Nothing is ever
taken out, so that a tenant that has registered strategies does not trade others for want of any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from ordergate.core.access import Principal, Scope
from ordergate.core.faults import Fault
from ordergate.core.refusals import Code, Refusal
from ordergate.core.strategies import STRATEGIES_MAX, Strategy
from ordergate.core.tenancy import Access
from ordergate.core.two_persons import stale_login
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("strategies")


class StrategyBook(Protocol):
    """Whoever keeps the access tables. A change is durable and in force here when it returns.

    Raises Fault, and ValueError for nonsense. `noted` goes into the record of the change.
    """

    @property
    def access(self) -> Access: ...

    async def put_strategy(self, strategy: Strategy, noted: Mapping[str, str]) -> None: ...


class StrategyView(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy as it stands; without a `version` it stands for each that is not listed itself."""

    name: str
    version: str
    owner: str
    enabled: bool


class StrategiesDesk:
    def __init__(self, book: StrategyBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock

    def listed(self, principal: Principal) -> list[StrategyView]:
        return [_view(one) for one in sorted(self._of(principal))]

    async def add(
        self, principal: Principal, *, name: str, version: str, owner: str, reason: str
    ) -> StrategyView | Refusal:
        """Let it trade, from now on by this owner's answer."""
        if not principal.may(Scope.ACCESS_WRITE):
            return _FORBIDDEN
        no = stale_login(principal, self._clock.now())
        if no is not None:
            return no
        wanted = Strategy(principal.tenant, name, version, owner)
        standing = self._of(principal)
        if wanted in standing:
            return Refusal(Code.NOTHING_TO_CHANGE, f"{name} is registered so already")
        if len(standing) >= STRATEGIES_MAX:
            return Refusal(Code.INVALID, f"a tenant has {STRATEGIES_MAX} strategies at most")
        return await self._put(principal, wanted, reason)

    async def disable(
        self, principal: Principal, *, name: str, version: str, reason: str
    ) -> StrategyView | Refusal:
        """No more orders of it; what it has open can still be canceled."""
        if not principal.may(Scope.ACCESS_WRITE):
            return _FORBIDDEN
        for one in self._of(principal):
            if (one.name, one.version) == (name, version):
                if not one.enabled:
                    return Refusal(Code.NOTHING_TO_CHANGE, f"{name} is disabled already")
                return await self._put(principal, msgspec.structs.replace(one, enabled=False), reason)
        return Refusal(Code.NOT_FOUND, f"there is no strategy {name} {version}".rstrip())

    def _of(self, principal: Principal) -> list[Strategy]:
        return [one for one in self._book.access.strategies if one.tenant == principal.tenant]

    async def _put(self, principal: Principal, strategy: Strategy, reason: str) -> StrategyView | Refusal:
        noted = {"by": principal.subject, "client": principal.client_id, "reason": reason}
        try:
            await self._book.put_strategy(strategy, noted)
        except ValueError as wrong:
            return Refusal(Code.INVALID, str(wrong))
        except Fault as fault:
            log.error("strategies.unrecorded", why=str(fault))
            return Refusal(Code.UNAVAILABLE, "not known to be durable; look before you ask again")
        return _view(strategy)


def _view(strategy: Strategy) -> StrategyView:
    return StrategyView(
        name=strategy.name, version=strategy.version, owner=strategy.owner, enabled=strategy.enabled
    )


_FORBIDDEN: Final = Refusal(Code.FORBIDDEN, f"the token lacks the scope {Scope.ACCESS_WRITE}")
