"""I3, I10, I23: what must be so at the venue, and between the venue and the journal in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal

from ordergate.brokers.paper.exchange import Moved
from ordergate.brokers.paper.kinds import LEG, leg_id
from ordergate.brokers.paper.orders import Kind, PaperOrder
from ordergate.core.ids import AccountId
from ordergate.simulation.audit import ZERO, Account, Known, bodies
from ordergate.simulation.brokerage import Brokerage, name_of
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight


class AtMostOne(SightedChecker):
    """I3: the venue has no two orders of one intent, save of a call that a broker made two of (B25)."""

    id = "I3"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._placed: Counter[str] = Counter()

    def moved(self, account: AccountId, moved: Moved) -> None:
        if moved.word != "new" or self.sight.order_id_of(moved.order.cl_ord_id) is None:
            return
        subject = moved.order.cl_ord_id
        self._placed[subject] += 1
        allowed = 2 if subject in self.sight.brokerage(account).doubles.struck else 1
        if self._placed[subject] > allowed:
            self.violated(f"{subject} is {self._placed[subject]} orders at the venue")


class Children(SightedChecker):
    """I10, the other half: an order's versions at the venue are never more than was approved of it."""

    id = "I10"

    def moved(self, account: AccountId, moved: Moved) -> None:
        if moved.word != "new":
            return
        order, version = self.sight.order_of(moved.order.cl_ord_id)
        if order is None or order.account not in self.sight.brokerages:
            return
        asked = order.asked.get(version)
        parent = order.terms.quantity if asked is None else asked.quantity
        children = at_venue(order, self.sight.brokerage(account))
        possible = sum((one.cum_qty + (one.leaves_qty if one.is_open else ZERO) for one in children), ZERO)
        if possible > parent:
            self.violated(f"{possible} of {order.id} can fill at the venue, {parent} were approved")


class Convergence(SightedChecker):
    """I23: in the end the journal, the read tables and the venue say the same."""

    id = "I23"

    def ended(self) -> None:
        for difference in (*differences(self.sight), *wrongly_shown(self.sight)):
            self.violated(difference)


def differences(sight: Sight) -> Iterator[str]:
    """Everything in which the two sides differ now; nothing when they have converged."""
    for account, brokerage in sight.brokerages.items():
        ours = sight.audit.account(account)
        yield from _orders(ours, brokerage)
        yield from _unknown_to_us(sight, account, brokerage)
        yield from _positions(ours, brokerage)
        yield from (f"{account}: break {one} is open" for one in ours.breaks)
        yield from _shown(sight, account, ours, brokerage)


def untold(sight: Sight) -> Iterator[str]:
    """What the venue's executions come to, and the journal does not say: quantities, amounts, positions."""
    for account, brokerage in sight.brokerages.items():
        ours = sight.audit.account(account)
        theirs = _filled(brokerage)
        for order in ours.orders.values():
            executions = [*order.executions.values()]
            here = sum((one.quantity for one in executions), ZERO)
            amount = sum((one.quantity * one.price for one in executions), ZERO)
            there = [theirs.get(one.id, (ZERO, ZERO)) for one in at_venue(order, brokerage)]
            if (here, amount) != (sum((one[0] for one in there), ZERO), sum((one[1] for one in there), ZERO)):
                yield f"{order.id} has filled {here} for {amount} here and {there} at the venue"
        yield from _positions(ours, brokerage)


def _filled(brokerage: Brokerage) -> dict[str, tuple[Decimal, Decimal]]:
    """By the venue's order id: how much, and for how much."""
    filled: dict[str, tuple[Decimal, Decimal]] = {}
    for one in brokerage.exchange.executions:
        quantity, amount = filled.get(one.order.id, (ZERO, ZERO))
        filled[one.order.id] = (quantity + one.quantity, amount + one.quantity * one.price)
    return filled


def wrongly_shown(sight: Sight) -> Iterator[str]:
    """Orders whose figures in the read table are not the sum of their executions."""
    for account, ours in sight.audit.accounts.items():
        books = sight.server.store.books.get(account)
        rows = {} if books is None else bodies(books.orders)
        for order in ours.orders.values():
            row = rows.get(order.id)
            if row is not None and Decimal(row["cum_qty"]) != order.cum:
                yield f"{order.id} is shown with {row['cum_qty']} filled, and has {order.cum}"


def _orders(ours: Account, brokerage: Brokerage) -> Iterator[str]:
    live: dict[str, Decimal] = {}
    for execution in brokerage.exchange.executions:
        live[execution.order.id] = live.get(execution.order.id, ZERO) + execution.quantity
    for order in ours.orders.values():
        theirs = at_venue(order, brokerage)
        filled = sum((live.get(one.id, ZERO) for one in theirs), ZERO)
        if order.cum != filled:
            yield f"{order.id} has filled {order.cum} here and {filled} at the venue"
        is_open = any(one.is_open for one in theirs)
        if order.kept and theirs:
            yield f"{order.id} is kept for the next session here, and at the venue"
        if is_leg(order):
            is_open = False  # what one symbol's part of a venue's order did is over as soon as it is told
        if order.is_open != is_open and not order.kept:
            yield f"{order.id} is {order.end or 'open'} here and {'open' if is_open else 'not'} at the venue"
        if order.unknown and order.is_open:
            yield f"{order.id} is still unknown"
        if order.cancel_asked and order.is_open:
            yield f"{order.id} still waits for its cancel"
        if order.pending is not None:
            yield f"{order.id} still waits for version {order.pending}"


def at_venue(order: Known, brokerage: Brokerage) -> list[PaperOrder]:
    """Every version of the order that the venue has ever held."""
    versions = (1, *sorted(order.asked))
    found = [one for number in versions if (one := brokerage.order_of(name_of(order.id, number)))]
    if order.external and order.broker_order_id is not None:
        first = brokerage.exchange.order(order.broker_order_id.partition(LEG)[0])
        if first is not None and first not in found:
            found.append(first)
    return found


def is_leg(order: Known) -> bool:
    return order.external and LEG in (order.broker_order_id or "")


def _unknown_to_us(sight: Sight, account: AccountId, brokerage: Brokerage) -> Iterator[str]:
    for order in brokerage.exchange.orders():
        known, _ = sight.order_of(order.cl_ord_id)
        opened_s = sight.audit.account(account).opened_s
        before = opened_s is None or brokerage.placed_s[order.id] <= opened_s
        legged = order.kind is Kind.LEGGED  # such a one is known by what it has done
        counts = (order.is_open and not legged) or (order.cum_qty and not before)  # or in the opening figures
        name = leg_id(order) if legged else order.id
        is_ours = known is not None and not brokerage.is_double(order)
        if counts and not is_ours and sight.audit.of_broker(account, name) is None:
            yield f"the venue's {order.id} ({order.cl_ord_id}) is not in the journal"


def _positions(ours: Account, brokerage: Brokerage) -> Iterator[str]:
    theirs = brokerage.exchange.ledger.positions()
    for symbol in sorted({*theirs, *ours.positions}):
        held = ours.positions.get(symbol, ZERO)
        if held != theirs.get(symbol, ZERO):
            yield f"{brokerage.account} holds {held} {symbol} here and {theirs.get(symbol, ZERO)} there"


def _shown(sight: Sight, account: AccountId, ours: Account, brokerage: Brokerage) -> Iterator[str]:
    """The read tables are the journal's shadow."""
    books = sight.server.store.books.get(account)
    if books is None:
        return
    for key, row in bodies(books.positions).items():
        held = next((quantity for symbol, quantity in ours.positions.items() if symbol == key), ZERO)
        if Decimal(row["quantity"]) != held:
            yield f"{account}: {row['quantity']} {key} is shown and {held} is written"
    for row in bodies(books.balances).values():
        if Decimal(row["cash"]) != brokerage.exchange.ledger.cash:
            yield f"{account}: cash is {row['cash']} here and {brokerage.exchange.ledger.cash} there"
    for order in ours.orders.values():
        shown = books.orders.get(order.id)
        if shown is None or shown.open != order.is_open:
            status = None if shown is None else shown.status
            yield f"{order.id} is shown as {status} and is {order.end or 'open'}"
