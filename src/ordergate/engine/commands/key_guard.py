"""Whether a program's key is for what it asks, and its strategy may trade: an order, another, a group.

Asked inside the decision, so that what an idempotency key has bought is told again whatever the bounds are by
then. Every no is an event of the account, for whoever watches it; the answer does not depend on that. Nearly
every key has no bounds, and that costs one look; so do a strategy and limits that were loosened.
Legs of a group that is in are not asked about again: one that guards what is held must not be lost to a
strategy that was disabled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ordergate.core.access import Principal
from ordergate.core.accounts.events import UseRefused
from ordergate.core.approvals import Changes
from ordergate.core.contingent.terms import GroupTerms
from ordergate.core.cool_down import Loosened, loosened, refuse_cooling
from ordergate.core.faults import Fault
from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.key_bounds import (
    refuse_flatten,
    refuse_instrument,
    refuse_strategy_of_key,
    refuse_use,
    refuse_value,
)
from ordergate.core.orders.commands import ReplaceOrder
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Refusal
from ordergate.core.strategies import Registered, refuse_strategy
from ordergate.engine.accounts.lane import Lane
from ordergate.engine.commands.judging import Judging
from ordergate.engine.desks.changes_desk import Book
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("keys")


class Asked(NamedTuple):
    """Who asks for something in an account, by which request."""

    lane: Lane
    principal: Principal
    correlation: str


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

    def refuse_order(self, asked: Asked, terms: Terms) -> Refusal | None:
        no = self._refuse_who(asked.principal, terms)
        bounds, symbol = asked.principal.bounds, terms.symbol
        if no is None and bounds is not None:
            prices = (terms.limit_price, terms.stop_price, self._judging.market_price(symbol))
            no = refuse_use(bounds, symbol, terms.strategy) or refuse_value(
                bounds, self._instruments[symbol], terms.quantity, prices
            )
        return no and self._noted(no, asked, symbol, terms.strategy)

    def every_no(self, principal: Principal, terms: Terms) -> list[Refusal]:
        """All that `refuse_order` might say of it, for whoever only asks: nothing is written."""
        bounds, symbol = principal.bounds, terms.symbol
        found = [self._refuse_cooling(principal), self.refuse_strategy(principal.tenant, terms)]
        if bounds is not None:
            prices = (terms.limit_price, terms.stop_price, self._judging.market_price(symbol))
            found += [
                refuse_instrument(bounds, symbol),
                refuse_strategy_of_key(bounds, terms.strategy),
                refuse_value(bounds, self._instruments[symbol], terms.quantity, prices),
            ]
        return [no for no in found if no is not None]

    def refuse_replacement(self, asked: Asked, order: Order | None, command: ReplaceOrder) -> Refusal | None:
        """Of the order as it would become; one that is not there is somebody else's to refuse."""
        if order is None:
            return None
        bounds, terms = asked.principal.bounds, order.terms
        symbol = asked.lane.books.present_name(terms.symbol)
        instrument = self._instruments.get(symbol)
        no = self._refuse_who(asked.principal, terms)
        if no is None and bounds is not None and instrument is not None:  # else nobody can replace it
            prices = (
                command.limit_price or terms.limit_price,
                command.stop_price or terms.stop_price,
                self._judging.market_price(symbol),
            )
            no = refuse_use(bounds, symbol, terms.strategy) or refuse_value(
                bounds, instrument, command.quantity or terms.quantity, prices
            )
        return no and self._noted(no, asked, symbol, terms.strategy)

    def refuse_group(self, asked: Asked, terms: GroupTerms) -> Refusal | None:
        """Every leg counts by itself, at the dearest price of any."""
        bounds, symbol = asked.principal.bounds, terms.symbol
        no = self._refuse_who(asked.principal, terms)
        if no is None and bounds is not None and symbol is not None:
            prices = [price for leg in terms.legs for price in (leg.limit_price, leg.stop_price)]
            no = refuse_use(bounds, symbol, terms.strategy) or refuse_value(
                bounds,
                self._instruments[symbol],
                terms.quantity,
                (*prices, self._judging.market_price(symbol)),
            )
        return no and self._noted(no, asked, symbol, terms.strategy)

    def refuse_flatten(self, asked: Asked, symbol: Symbol | None) -> Refusal | None:
        no = refuse_flatten(asked.principal.bounds, symbol)
        return no and self._noted(no, asked, symbol, None)

    def refuse_strategy(self, tenant: str, terms: Terms | GroupTerms) -> Refusal | None:
        name = terms.strategy
        if name is None:
            return None
        return refuse_strategy(self._strategies(tenant), name, terms.strategy_version)

    def _refuse_who(self, principal: Principal, terms: Terms | GroupTerms) -> Refusal | None:
        return self._refuse_cooling(principal) or self.refuse_strategy(principal.tenant, terms)

    def _refuse_cooling(self, principal: Principal) -> Refusal | None:
        changes = self._limits.changes
        if changes is not self._seen:
            self._seen, self._loosened = changes, loosened(changes, self._clock.now())
        return refuse_cooling(self._loosened, principal, self._clock.now()) if self._loosened else None

    def _noted(self, no: Refusal, asked: Asked, symbol: Symbol | None, strategy: str | None) -> Refusal:
        lane, principal, correlation = asked
        event = UseRefused(
            account=lane.account,
            at=self._clock.now(),
            code=no.code.value,
            detail=no.detail,
            actor=principal.subject,
            client=principal.client_id,
            owner=principal.owner,
            symbol=symbol,
            strategy=strategy,
        )
        try:
            lane.record([event], correlation=correlation)
        except Fault as fault:
            log.error("use.unrecorded", account=lane.account, code=no.code, why=str(fault))
        return no
