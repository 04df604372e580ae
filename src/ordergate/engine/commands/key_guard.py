"""Whether a program's key is for what it asks, and its strategy may trade: an order, another, a group.

Asked inside the decision, so that what an idempotency key has bought is told again whatever the bounds are by
then. Nearly every key has no bounds, and that costs one look; so do a strategy and limits that were loosened.
Legs of a group that is in are not asked about again: one that guards what is held must not be lost to a
strategy that was disabled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ordergate.core.access import Principal
from ordergate.core.approvals import Changes
from ordergate.core.contingent.terms import GroupTerms
from ordergate.core.cool_down import Loosened, loosened, refuse_cooling
from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.key_bounds import refuse_flatten, refuse_use, refuse_value
from ordergate.core.orders.commands import ReplaceOrder
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Refusal
from ordergate.core.strategies import Registered, refuse_strategy
from ordergate.engine.commands.judging import Judging
from ordergate.engine.desks.changes_desk import Book
from ordergate.ports.clock import Clock


class KeyGuard:
    def __init__(
        self,
        instruments: Mapping[Symbol, Instrument],
        judging: Judging,
        strategies: Callable[[str], Registered | None],
        limits: Book,
        clock: Clock,
    ) -> None:
        """`strategies` are those that a tenant has registered. `limits` has a new map after a change."""
        self._instruments = instruments
        self._judging = judging
        self._strategies = strategies
        self._limits = limits
        self._clock = clock
        self._seen: Changes | None = None
        self._loosened: Loosened = ()

    def refuse_order(self, principal: Principal, terms: Terms) -> Refusal | None:
        bounds, symbol = principal.bounds, terms.symbol
        no = self._refuse_cooling(principal) or self.refuse_strategy(principal.tenant, terms)
        if no is not None or bounds is None:
            return no
        prices = (terms.limit_price, terms.stop_price, self._judging.market_price(symbol))
        return refuse_use(bounds, symbol, terms.strategy) or refuse_value(
            bounds, self._instruments[symbol], terms.quantity, prices
        )

    def refuse_replacement(
        self, principal: Principal, order: Order | None, command: ReplaceOrder
    ) -> Refusal | None:
        """Of the order as it would become; one that is not there is somebody else's to refuse."""
        if order is None:
            return None
        bounds, terms = principal.bounds, order.terms
        no = self._refuse_cooling(principal) or self.refuse_strategy(principal.tenant, terms)
        if no is not None or bounds is None:
            return no
        prices = (
            command.limit_price or terms.limit_price,
            command.stop_price or terms.stop_price,
            self._judging.market_price(terms.symbol),
        )
        return refuse_use(bounds, terms.symbol, terms.strategy) or refuse_value(
            bounds, self._instruments[terms.symbol], command.quantity or terms.quantity, prices
        )

    def refuse_group(self, principal: Principal, terms: GroupTerms) -> Refusal | None:
        """Every leg counts by itself, at the dearest price of any."""
        bounds, symbol = principal.bounds, terms.symbol
        no = self._refuse_cooling(principal) or self.refuse_strategy(principal.tenant, terms)
        if no is not None or bounds is None or symbol is None:
            return no
        prices = [price for leg in terms.legs for price in (leg.limit_price, leg.stop_price)]
        return refuse_use(bounds, symbol, terms.strategy) or refuse_value(
            bounds,
            self._instruments[symbol],
            terms.quantity,
            (*prices, self._judging.market_price(symbol)),
        )

    def refuse_flatten(self, principal: Principal, symbol: Symbol | None) -> Refusal | None:
        return refuse_flatten(principal.bounds, symbol)

    def refuse_strategy(self, tenant: str, terms: Terms | GroupTerms) -> Refusal | None:
        name = terms.strategy
        if name is None:
            return None
        return refuse_strategy(self._strategies(tenant), name, terms.strategy_version)

    def _refuse_cooling(self, principal: Principal) -> Refusal | None:
        changes = self._limits.changes
        if changes is not self._seen:
            self._seen, self._loosened = changes, loosened(changes, self._clock.now())
        return refuse_cooling(self._loosened, principal, self._clock.now()) if self._loosened else None
