"""Mistakes in the account's books: positions, cash, and what the broker says of them."""

# ruff: noqa: E501 - the code that is replaced keeps its own lines

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_POSITIONS: Final = "core/accounts/positions.py"
_ACCOUNT: Final = "core/accounts/account.py"

MUTATIONS: Final = (
    Mutation(
        id="position-without-sign",
        what="a sale adds to the position",
        file=_POSITIONS,
        find="    trade = Booked(quantity * side.sign, price, at)",
        put="    trade = Booked(quantity, price, at)",
    ),
    Mutation(
        id="profit-of-the-wrong-sign",
        what="a profit counts as a loss",
        file=_POSITIONS,
        find="            realised += -closing * (trade.price - oldest.price)",
        put="            realised += closing * (trade.price - oldest.price)",
    ),
    Mutation(
        id="newest-lot-closed-first",
        what="a closing trade closes the newest lot",
        file=_POSITIONS,
        find="            oldest = left.popleft()",
        put="            left.rotate(1)\n            oldest = left.popleft()",
    ),
    Mutation(
        id="late-trade-booked-last",
        what="a trade that is told late is booked behind later ones",
        file=_POSITIONS,
        find="    while place and at is not None:",
        put="    while False:",
    ),
    Mutation(
        id="cash-moves-the-wrong-way",
        what="a purchase brings cash",
        file=_ACCOUNT,
        find="        moved = -side.sign * quantity * price * instrument.multiplier",
        put="        moved = side.sign * quantity * price * instrument.multiplier",
    ),
    Mutation(
        id="cash-of-a-bust-kept",
        what="an execution that was taken back keeps its cash",
        file=_ACCOUNT,
        find="    return _moved(account, instrument, after, moved, ZERO)",
        put="    return _moved(account, instrument, after, 0 * moved, ZERO)",
    ),
    Mutation(
        id="fee-lost",
        what="fees do not leave the cash",
        file=_ACCOUNT,
        find="cash=account.cash + moved - fee,",
        put="cash=account.cash + moved,",
    ),
    Mutation(
        id="position-row-not-written",
        what="an execution's position is not shown",
        file="engine/accounts/units.py",
        find="        self._positions[instrument.symbol] = Row(key=instrument.symbol, body=body)\n        return body\n\n    def _renamed",
        put="        return body\n\n    def _renamed",
    ),
    Mutation(
        id="order-row-not-written",
        what="an order that ends is not shown as ended",
        file="engine/accounts/units.py",
        find="        self._orders[order.id] = row\n",
        put="        if not order.is_final:\n            self._orders[order.id] = row\n",
    ),
    Mutation(
        id="broker-name-forgotten",
        what="an order is not found by the id that the broker gave its replacement",
        file="engine/accounts/books.py",
        find="        if after.broker_order_id is not None and after.broker_order_id != named:",
        put="        if after.broker_order_id is not None and named is None:",
    ),
    Mutation(
        id="other-names-unknown",
        p0=True,
        what="what a broker tells under another name is told so to everybody",
        file="engine/node.py",
        find="Renamed(one.broker, names) if (names := names_of(world.instruments.values())) else one.broker",
        put="one.broker",
    ),
)
