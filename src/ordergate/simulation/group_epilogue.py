"""What brokers do to a bracket in a house that is whole: fill its entry bit by bit, and of its exit too much.

Worlds with groups end with it, so that each has seen an exit grow and an overrun undone. It judges nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.contingent.terms import Role
from ordergate.simulation.brokerage import Brokerage
from ordergate.simulation.bundles import EXITS
from ordergate.simulation.ground import Ground
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.trader import Trader

_PLACED_S: Final = 1.1  # what is answered badly has been chosen by then
_SOME_S: Final = 1.9
_REST_S: Final = 2.6
_OVERRUN: Final = 0.5  # how often an exit that stands is filled, and too much of it
_OVERRUN_S: Final = 2.0
_ONE_TOO_MANY: Final = Decimal(1)


class GroupEpilogue:
    def __init__(self, ground: Ground, sight: Sight, brokerage: Brokerage, trader: Trader) -> None:
        self._ground = ground
        self._sight = sight
        self._brokerage = brokerage
        self._trader = trader

    def begin(self) -> None:
        if self._ground.plan.setting.grouped:
            self._ground.later(_PLACED_S, self._trader.group_one)
            self._ground.later(_SOME_S, lambda: self._enter(0.5))
            self._ground.later(_REST_S, lambda: self._enter(1.0))

    def cut(self) -> None:
        """Once the line that is cut now stands again."""
        if not self._ground.plan.setting.grouped:
            return
        if self._ground.chance(f"overrun {self._brokerage.number}").random() < _OVERRUN:
            self._ground.later(_OVERRUN_S, self._overrun)

    def _enter(self, share: float) -> None:
        for order in self._working({Role.ENTRY}):
            self._brokerage.fill_some(order, share)

    def _overrun(self) -> None:
        for order in self._working(EXITS):
            if self._brokerage.fill_some(order):
                price = order.terms.limit_price or self._brokerage.price(order.terms.symbol)
                self._brokerage.exchange.fill_beyond(order.id, _ONE_TOO_MANY, price)

    def _working(self, roles: frozenset[Role] | set[Role]) -> list[PaperOrder]:
        """What the last group of the account has open at the venue in these roles."""
        bundles = self._sight.audit.bundles
        own = [one for one in bundles.known.values() if one.account == self._brokerage.account]
        last = next((one for one in reversed(own) if not one.is_flatten), None)
        if last is None:
            return []
        wanted = {str(order) for order in last.orders(*roles)}
        known = self._sight.order_id_of
        return [
            one for one in self._brokerage.exchange.orders() if one.is_open and known(one.cl_ord_id) in wanted
        ]
