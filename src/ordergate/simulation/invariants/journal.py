"""I6, I8, I9, I11, I19: what must be so of every event that is written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.faults import JournalCorrupt
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.orders import events as e
from ordergate.core.orders.reports import BrokerStatus
from ordergate.core.orders.terms import Side
from ordergate.journal import chain
from ordergate.journal.reading import unseal
from ordergate.journal.tails import Linked
from ordergate.simulation.audit import ZERO, Known
from ordergate.simulation.brokerage import Brokerage, name_of
from ordergate.simulation.governance import Bounds
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.market import first_told_as

_ENDS: Final = (e.OrderRejected, e.OrderCanceled, e.OrderExpired, e.OrderFilled, e.OrderCompleted)


_AT_VENUE: Final[dict[type[e.OrderEvent], BrokerStatus]] = {
    e.OrderRejected: BrokerStatus.REJECTED,
    e.OrderCanceled: BrokerStatus.CANCELED,
    e.OrderExpired: BrokerStatus.EXPIRED,
}


class NoGuess(SightedChecker):
    """I6: an order ends only when the venue has ended it, or when nothing of it can ever arrive."""

    id = "I6"

    def committed(self, linked: Linked, by: str) -> None:
        for entry in linked.unit.entries:
            order = self.sight.audit.order(entry.order_id)
            if order is not None and isinstance(entry.event, _ENDS):
                self._ended(order, entry.event)
            if order is not None and isinstance(entry.event, e.ReplaceRejected):
                self._refused(order, entry.event.version)

    def _refused(self, order: Known, version: int) -> None:
        """A refused replacement is not at the venue, and nothing of it can arrive any more."""
        brokerage, asked = self.sight.brokerage(order.account), name_of(order.id, version)
        if brokerage.order_of(asked) is not None:
            self.violated(f"the replacement {asked} was given up and is at the venue")
        if brokerage.in_flight.get(asked):
            self.violated(f"the replacement {asked} was given up with bytes still on their way")

    def _ended(self, order: Known, event: e.OrderEvent) -> None:
        brokerage = self.sight.brokerage(order.account)
        versions = [name_of(order.id, version) for version in (1, *sorted(order.asked))]
        at_venue = [found for one in versions if (found := brokerage.order_of(one)) is not None]
        if order.external and order.broker_order_id is not None:
            found = brokerage.exchange.order(order.broker_order_id)
            at_venue.extend([found] if found is not None else [])
        by_sum = isinstance(event, e.OrderFilled | e.OrderCompleted)
        denied = any(one.cl_ord_id in brokerage.denied_falsely for one in at_venue)
        if not by_sum and not denied and any(one.is_open for one in at_venue):
            self.violated(f"{order.id} ended as {type(event).__name__} and is open at the venue")
        if not by_sum and at_venue and not self._said_so(brokerage, event, at_venue):
            self.violated(f"{order.id} ended as {type(event).__name__}, and the venue never said so")
        in_flight = any(brokerage.in_flight.get(one) for one in versions)
        if isinstance(event, e.OrderRejected) and not at_venue and in_flight:
            self.violated(f"{order.id} was given up with bytes still on their way")
        was_sent = any(self.sight.sends.get(one) for one in versions)
        if isinstance(event, e.OrderExpired | e.OrderCanceled) and not at_venue and was_sent:
            self.violated(f"{order.id} ended as {type(event).__name__}; it was sent and is not there")

        amended = any(one.id in brokerage.amended for one in at_venue)  # the question may have been before
        if isinstance(event, e.OrderCompleted) and not amended:
            there = sum((one.cum_qty for one in at_venue), ZERO)
            if order.cum < min(order.quantity, there):
                self.violated(f"{order.id} is complete with {order.cum}; the venue has filled {there}")

    def _said_so(self, brokerage: Brokerage, event: e.OrderEvent, at_venue: Sequence[PaperOrder]) -> bool:
        """Whether the venue has ended any version like that, or has denied to have it."""
        if isinstance(event, e.OrderRejected) and at_venue[0].cl_ord_id in brokerage.denied_falsely:
            return True
        return any(one.status is _AT_VENUE[type(event)] for one in at_venue)


_OF_EXECUTIONS: Final = (e.Fill, e.ExecutionBusted, e.ExecutionCorrected)


class Quantities(SightedChecker):
    """I8: an order fills between nothing and its quantity, unless the venue itself filled more.

    And what is called filled has filled it: a fill that is taken back takes that back, too.
    """

    id = "I8"

    def committed(self, linked: Linked, by: str) -> None:
        for entry in linked.unit.entries:
            order = self.sight.audit.order(entry.order_id)
            if order is None or not isinstance(entry.event, _OF_EXECUTIONS):
                continue
            if order.end == "OrderFilled" and order.cum < order.quantity:
                self.violated(f"{order.id} is filled with {order.cum} of {order.quantity}")
            if order.cum < ZERO:
                self.violated(f"{order.id} has filled {order.cum}")
            if order.cum > order.quantity and not self._really(order):
                self.violated(f"{order.id} has filled {order.cum} of {order.quantity}; the venue did not")

    def _really(self, order: Known) -> bool:
        executions = self.sight.brokerage(order.account).exchange.executions
        theirs = {one.exec_id: one for one in executions}
        return all(first_told_as(exec_id) in theirs for exec_id in order.executions)


class _Shown(msgspec.Struct):
    quantity: str


_position: Final = msgspec.json.Decoder(_Shown).decode


class ExecutionsOnce(SightedChecker):
    """I9: every execution is the venue's, counts once, and every position that is shown is their sum.

    The sum is the auditor's own, with what was taken over from the broker, at each commit. That the venue's
    ledger comes to the same can be asked once everything has been told: that is I23.
    """

    id = "I9"

    def committed(self, linked: Linked, by: str) -> None:
        account = linked.unit.account
        if account not in self.sight.brokerages:
            return
        self._are_sums(account, linked)
        seen: set[tuple[str, int]] = set()
        for entry in linked.unit.entries:
            event = entry.event
            if not isinstance(event, e.Fill):
                continue
            self._is_theirs(account, event)
            if (event.exec_id, event.revision) in seen:
                self.violated(f"{event.exec_id} was counted twice in one unit")
            seen.add((event.exec_id, event.revision))

    def _are_sums(self, account: AccountId, linked: Linked) -> None:
        """Each position that the unit changes, as whoever asks is shown it from now on."""
        positions = self.sight.audit.account(account).positions
        for row in linked.unit.positions:
            shown, summed = Decimal(_position(row.body).quantity), positions.get(Symbol(row.key), ZERO)
            if shown != summed:
                self.violated(f"{account}: {shown} {row.key} is shown, the executions come to {summed}")

    def _is_theirs(self, account: AccountId, event: e.Fill) -> None:
        exchange = self.sight.brokerage(account).exchange
        for execution in reversed(exchange.executions):
            if execution.exec_id == first_told_as(event.exec_id):
                if execution.revision == event.revision and execution.quantity != event.quantity:
                    self.violated(f"{event.exec_id} is of {execution.quantity}, not of {event.quantity}")
                return
        self.violated(f"{event.exec_id} never happened at the venue")


class ExecutionsNotTwice(SightedChecker):
    """I9, the other half: an execution that is in the books is not booked again as new."""

    id = "I9"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._booked: set[tuple[AccountId, str]] = set()

    def committed(self, linked: Linked, by: str) -> None:
        for entry in linked.unit.entries:
            if isinstance(entry.event, e.Fill):
                key = (linked.unit.account, first_told_as(entry.event.exec_id))
                if key in self._booked:
                    self.violated(f"{entry.event.exec_id} was booked again as a new execution")
                self._booked.add(key)


class WithinLimits(SightedChecker):
    """I11: at every approval the worst case, with it, is within the limits.

    A fill that the venue gave too much of, or an order placed elsewhere, can put an account over them. A
    replacement that asks for no more than stands adds nothing to that, and is not held to it.
    """

    id = "I11"

    def committed(self, linked: Linked, by: str) -> None:
        for entry in linked.unit.entries:
            event = entry.event
            if isinstance(event, e.OrderAccepted | e.ReplaceRequested):
                order = self.sight.audit.order(entry.order_id)
                if order is None or len(linked.unit.entries) > 1:
                    continue
                version = self.sight.audit.governance.named(order.account, event.config_hash)
                if version is None:
                    continue
                if isinstance(event, e.OrderAccepted):
                    self._count(order, version.bounds)
                    self._judge(order, version.bounds)
                elif event.quantity > order.quantity:
                    self._judge(order, version.bounds)

    def _judge(self, order: Known, bounds: Bounds) -> None:
        account = self.sight.audit.account(order.account)
        symbol, side = order.terms.symbol, order.terms.side
        opened = [one for one in account.orders.values() if one.is_open]
        leaves = sum(
            (one.worst_leaves for one in opened if (one.terms.symbol, one.terms.side) == (symbol, side)),
            ZERO,
        )
        held = account.positions.get(symbol, ZERO)
        worst = held + leaves if side is Side.BUY else leaves - held
        most = bounds.most[symbol, side]
        if worst > most:
            self.violated(f"{order.id} was approved: {worst} {side} of {symbol} is possible, {most} allowed")

    def _count(self, order: Known, bounds: Bounds) -> None:
        account = self.sight.audit.account(order.account)
        opened = sum(one.is_open for one in account.orders.values())
        if opened > bounds.open_orders:
            self.violated(f"{order.id} was approved as number {opened} of the open orders")


class Proven(SightedChecker):
    """I19: the chain of every account holds, from the first event to the head."""

    id = "I19"

    def ended(self) -> None:
        for account, books in sorted(self.sight.server.store.books.items()):
            link = chain.genesis(account)
            try:
                for number, (entry, sealed) in enumerate(books.events, start=1):
                    row = (
                        sealed.seq, sealed.kind, sealed.version, entry.order_id, entry.event.at,
                        entry.correlation, sealed.body, entry.frame, sealed.hash,
                    )  # fmt: skip
                    _, link = unseal(account, row, number, link)
            except JournalCorrupt as corrupt:
                self.violated(str(corrupt))
            if link != books.last_hash:
                self.violated(f"{account}: the chain does not end at the head")
