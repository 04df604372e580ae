"""The worst that one account's open orders can do, kept up to date in constant time.

Every order that is not final is reserved in full: an unanswered or unknown order may be alive,
so it counts as alive. While a replace is unanswered the larger quantity and the dearer price
of old and new count. What was reserved for an order is remembered, so that exactly that is
given back whatever happens to the order or to the list of instruments meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.faults import InvariantBroken
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.money import ZERO
from ordergate.core.orders.lifecycle import FINAL
from ordergate.core.orders.order import Order, Replacement
from ordergate.core.orders.terms import Side, Terms


class Held(msgspec.Struct, frozen=True, gc=False):
    """What one order may still trade. `value` includes the multiplier and is in the instrument's `currency`;

    None where unknown.
    """

    symbol: Symbol
    side: Side
    quantity: Decimal
    value: Decimal | None
    currency: str = ""


class OpenInterest(msgspec.Struct, frozen=True, gc=False):
    """What all open orders in one symbol may still trade, each side as if only it filled."""

    buy_quantity: Decimal = ZERO
    sell_quantity: Decimal = ZERO
    buy_value: Decimal = ZERO
    sell_value: Decimal = ZERO
    orders: int = 0

    def plus(self, side: Side, quantity: Decimal, value: Decimal, orders: int) -> OpenInterest:
        if side is Side.BUY:
            return OpenInterest(
                self.buy_quantity + quantity,
                self.sell_quantity,
                self.buy_value + value,
                self.sell_value,
                self.orders + orders,
            )
        return OpenInterest(
            self.buy_quantity,
            self.sell_quantity + quantity,
            self.buy_value,
            self.sell_value + value,
            self.orders + orders,
        )


NOTHING_OPEN: Final = OpenInterest()


class Exposure:
    """The open orders of one account. Mutable, and owned by the account's lane."""

    def __init__(self, instruments: Mapping[Symbol, Instrument]) -> None:
        self.instruments: Final = instruments
        self.values: dict[str, Decimal] = {}
        self._held: dict[OrderId, Held] = {}
        self._by_symbol: dict[Symbol, OpenInterest] = {}
        self._unpriced: set[OrderId] = set()

    @property
    def value(self) -> Decimal:
        """Of everything open. Raises InvariantBroken where that is not all in one currency."""
        if len(self.values) > 1:
            raise InvariantBroken(f"values in {', '.join(sorted(self.values))} do not add up")
        return sum(self.values.values(), ZERO)

    @property
    def count(self) -> int:
        return len(self._held)

    @property
    def unpriced(self) -> frozenset[OrderId]:
        """Orders whose value nobody knows: while there are any, no sum of values is known."""
        return frozenset(self._unpriced)

    @property
    def has_unpriced(self) -> bool:
        return bool(self._unpriced)

    def of(self, symbol: Symbol) -> OpenInterest:
        return self._by_symbol.get(symbol, NOTHING_OPEN)

    def held(self, order: OrderId) -> Held | None:
        return self._held.get(order)

    def symbols(self) -> Iterator[Symbol]:
        """The symbols that have open orders."""
        return iter(self._by_symbol)

    def moved(self, before: Order | None, after: Order) -> None:
        """Take in an order's change. What `before` held is remembered, and not computed again."""
        if before is not None and _reserves_the_same(before, after):
            return  # an acknowledgement, for one, changes nothing that is reserved
        gone = self._held.get(after.id)
        held = None
        if after.status not in FINAL:
            held = held_by(after, self.instruments.get(after.terms.symbol))
            if held == gone:
                return
        if gone is not None:
            del self._held[after.id]
            self._unpriced.discard(after.id)
            self._add(gone, -1)
        if held is None:
            return
        self._held[after.id] = held
        if held.value is None:
            self._unpriced.add(after.id)
        self._add(held, 1)

    def _add(self, held: Held, sign: int) -> None:
        value = ZERO if held.value is None else held.value
        before = self._by_symbol.get(held.symbol, NOTHING_OPEN)
        after = before.plus(held.side, sign * held.quantity, sign * value, sign)
        if value:
            left = self.values.get(held.currency, ZERO) + sign * value
            if left:
                self.values[held.currency] = left
            else:
                del self.values[held.currency]
        if after.orders == 0:
            del self._by_symbol[held.symbol]
        else:
            self._by_symbol[held.symbol] = after


def _reserves_the_same(before: Order, after: Order) -> bool:
    """True where nothing that a reservation is made of has changed, seen without computing it."""
    return (
        before.terms is after.terms
        and before.cum_qty is after.cum_qty
        and before.replacement is after.replacement
        and before.reference_price is after.reference_price
        and before.status not in FINAL
        and after.status not in FINAL
    )


def held_by(order: Order, instrument: Instrument | None) -> Held:
    """The worst that an open order can still do."""
    terms = order.terms
    leaves = order.leaves_qty
    price = worst_price(terms.side, terms.limit_price, terms.stop_price, order.reference_price)
    if order.unsized and not order.is_final:
        return Held(_symbol(terms, instrument), terms.side, leaves, None)  # how much may follow nobody knows
    asked = order.replacement
    if asked is not None:
        leaves = max(leaves, asked.quantity - order.cum_qty)
        price = _dearer(price, _price_of(asked, terms.side, order.reference_price))
    return _held(terms, leaves, price, instrument)


def held_by_new(terms: Terms, reference_price: Decimal | None, instrument: Instrument) -> Held:
    """The worst that an order could do that does not exist yet."""
    price = worst_price(terms.side, terms.limit_price, terms.stop_price, reference_price)
    return _held(terms, terms.quantity, price, instrument)


def worst_price(
    side: Side, limit: Decimal | None, stop: Decimal | None, reference: Decimal | None
) -> Decimal | None:
    """The price that an order is reserved at.

    A buy with a limit never pays more. Anything else may trade wherever the market is, so the
    dearest price that is known counts; None where none is.
    """
    if side is Side.BUY and limit is not None:
        return limit
    known = [price for price in (limit, stop, reference) if price is not None]
    return max(known) if known else None


def _price_of(asked: Replacement, side: Side, reference: Decimal | None) -> Decimal | None:
    return worst_price(side, asked.limit_price, asked.stop_price, reference)


def _dearer(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else max(one, other)


def _held(terms: Terms, leaves: Decimal, price: Decimal | None, instrument: Instrument | None) -> Held:
    symbol = _symbol(terms, instrument)
    if leaves <= ZERO:
        return Held(symbol, terms.side, ZERO, ZERO)
    if price is None or instrument is None:
        return Held(symbol, terms.side, leaves, None)
    return Held(symbol, terms.side, leaves, leaves * price * instrument.multiplier, instrument.currency)


def _symbol(terms: Terms, instrument: Instrument | None) -> Symbol:
    """It may have been renamed since."""
    return terms.symbol if instrument is None else instrument.symbol
