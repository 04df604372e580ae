"""Writes down what the exchange decides, in the one order that keeps a promise.

A decision happens at its account's desk, then it is in the log, then the listeners hear of it: nobody is
ever told what a restart would have forgotten. Where the log fails, what happened waits for it, and nobody
may ask or decide anything before it is written. Never decides, never touches a book, has no clock.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

from ordergate.venue import state
from ordergate.venue.admission import Hold
from ordergate.venue.desk import Desk
from ordergate.venue.words import Execution, Listing, OrderUpdated, UpdateEvent, VenueEvent, VenueOrder

Listener = Callable[[VenueEvent], None]


class Clerk:
    def __init__(
        self, listings: Mapping[str, Listing], log: state.DecisionLog, new_id: Callable[[], str]
    ) -> None:
        self.desks: dict[str, Desk] = {}
        self._listings = listings
        self._log = log
        self._new_id = new_id
        self._listeners: list[Listener] = []
        self._unwritten: list[state.Decision] = []
        self._untold: list[VenueEvent] = []
        self._executed = 0
        self._executed_at = datetime.min.replace(tzinfo=UTC)

    # -- decisions

    def open_account(self, account: str, cash: Decimal, now: datetime) -> Desk:
        opened = state.AccountOpened(account=account, cash=cash, at=now)
        desk = self.desks[account] = Desk(opened)
        self._unwritten.append(opened)
        return desk

    def take(self, desk: Desk, order: VenueOrder, hold: Hold) -> None:
        taken = state.OrderTaken(order=order, hold=hold.unit, closing=hold.closing)
        self._decide(desk, order, taken, "new", order.created_at)

    def execute(self, desk: Desk, order_id: str, qty: Decimal, price: Decimal, now: datetime) -> VenueOrder:
        order = desk.orders[order_id]
        ticket = order.ticket
        self._executed += 1
        # No two at the same moment, so that whoever has the executions has their order too.
        self._executed_at = max(now, self._executed_at + timedelta(microseconds=1))
        execution = Execution(
            id=self._new_id(),
            seq=self._executed,
            order_id=order_id,
            account=desk.account,
            symbol=ticket.symbol,
            side=ticket.side,
            qty=qty,
            price=price,
            at=self._executed_at,
            cum_qty=order.filled_qty + qty,
            leaves_qty=order.leaves_qty - qty,
            position_qty=desk.ledger.qty(ticket.symbol) + (qty if ticket.side == "buy" else -qty),
        )
        word: UpdateEvent = "partial_fill" if execution.leaves_qty else "fill"
        return self._decide(
            desk, order, state.OrderExecuted(execution=execution), word, now, execution=execution
        )

    def trigger(self, desk: Desk, order_id: str, now: datetime) -> None:
        triggered = state.OrderTriggered(account=desk.account, order_id=order_id, at=now)
        desk.evolve(triggered, self._listing(desk.orders[order_id]))
        self._unwritten.append(triggered)

    def end(
        self,
        desk: Desk,
        order_id: str,
        how: Literal["canceled", "expired", "replaced"],
        now: datetime,
        replaced_by: str | None = None,
    ) -> None:
        ended = state.OrderEnded(
            account=desk.account, order_id=order_id, how=how, at=now, replaced_by=replaced_by
        )
        self._decide(desk, desk.orders[order_id], ended, how, now)

    def relive(self, decision: state.Decision) -> None:
        """Let a decision of an earlier process happen again; nothing is written and nobody is told."""
        match decision:
            case state.AccountOpened(account=account):
                self.desks[account] = Desk(decision)
            case state.OrderTaken(order=order):
                self.desks[order.account].evolve(decision, self._listing(order))
            case state.OrderExecuted(execution=execution):
                desk = self.desks[execution.account]
                desk.evolve(decision, self._listing(desk.orders[execution.order_id]))
                self._executed = execution.seq
                self._executed_at = execution.at
            case state.OrderTriggered(account=account, order_id=order_id):
                desk = self.desks[account]
                desk.evolve(decision, self._listing(desk.orders[order_id]))
            case state.OrderEnded(account=account, order_id=order_id):
                desk = self.desks[account]
                desk.evolve(decision, self._listing(desk.orders[order_id]))

    # -- listeners

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def note(self, event: VenueEvent) -> None:
        """Keep an event of the market for the next `publish`."""
        self._untold.append(event)

    def catch_up(self) -> None:
        """Write and tell what the log could not take before. Raises what the log raises."""
        if self._unwritten:
            self.publish()

    def publish(self) -> None:
        """Write what is unwritten, then tell what is untold."""
        if self._unwritten:
            self._log.append(self._unwritten)
            self._unwritten = []
        untold, self._untold = self._untold, []
        for event in untold:
            for listener in tuple(self._listeners):
                listener(event)

    # -- inside

    def _decide(
        self,
        desk: Desk,
        order: VenueOrder,
        decision: state.Decision,
        word: UpdateEvent,
        now: datetime,
        *,
        execution: Execution | None = None,
    ) -> VenueOrder:
        after = desk.evolve(decision, self._listing(order))
        self._unwritten.append(decision)
        self._untold.append(OrderUpdated(event=word, order=after, at=now, execution=execution))
        return after

    def _listing(self, order: VenueOrder) -> Listing:
        listing = self._listings.get(order.ticket.symbol)
        if listing is None:
            raise state.StateCorrupt(f"order {order.id} is for {order.ticket.symbol}, which is not listed")
        return listing
