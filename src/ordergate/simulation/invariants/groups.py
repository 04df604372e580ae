"""I10, of groups: one leg at a time, and never more to exit than was entered; and that all of it ends well.

At every approval by the journal's own figures, whatever is on its way; at the venue by what it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from ordergate.brokers.paper.exchange import Moved
from ordergate.core.contingent.events import End
from ordergate.core.contingent.terms import LegType, Role
from ordergate.core.ids import AccountId
from ordergate.core.orders import events as e
from ordergate.journal.tails import Linked
from ordergate.simulation.audit import ZERO, Known
from ordergate.simulation.bundles import EXITS, Bundle
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.invariants.venue import at_venue


class OneLegAtATime(SightedChecker):
    """I10: while an order of one leg may still fill, none of another is approved, nor taken by the venue."""

    id = "I10"

    def committed(self, linked: Linked, by: str) -> None:
        for entry in linked.unit.entries:
            if not isinstance(entry.event, e.OrderAccepted):
                continue
            bundle = self.sight.audit.bundles.of(entry.order_id)
            order = self.sight.audit.order(entry.order_id)
            if bundle is None or order is None or bundle.roles[order.id] not in EXITS:
                continue
            for other in self._others(bundle, order):
                if other.is_open:
                    self.violated(f"{order.id} was approved while {other.id} of the same {bundle.id} is open")

    def moved(self, account: AccountId, moved: Moved) -> None:
        if moved.word != "new":
            return
        order, _ = self.sight.order_of(moved.order.cl_ord_id)
        bundle = None if order is None else self.sight.audit.bundles.of(order.id)
        if order is None or bundle is None or bundle.roles[order.id] not in EXITS:
            return
        brokerage = self.sight.brokerage(account)
        for other in self._others(bundle, order):
            for theirs in at_venue(other, brokerage):
                if theirs.is_open and theirs.cl_ord_id not in brokerage.denied_falsely:
                    self.violated(f"{order.id} and {other.id} of {bundle.id} are both at the venue")

    def _others(self, bundle: Bundle, order: Known) -> Iterator[Known]:
        role = bundle.roles[order.id]
        for order_id in bundle.orders(*(EXITS - {role})):
            other = self.sight.audit.order(order_id)
            if other is not None:
                yield other


class GroupsSettled(SightedChecker):
    """I23: in the end every group is over, or has just so much at the venue as it has to exit."""

    id = "I23"

    def ended(self) -> None:
        for what in unsettled(self.sight):
            self.violated(what)


class NoMoreThanEntered(SightedChecker):
    """I10: what exits have filled and may still fill is never approved to be more than there is to exit."""

    id = "I10"

    def committed(self, linked: Linked, by: str) -> None:
        for entry in linked.unit.entries:
            event, bundle = entry.event, self.sight.audit.bundles.of(entry.order_id)
            if bundle is None or not isinstance(event, e.OrderAccepted | e.ReplaceRequested):
                continue
            order = self.sight.audit.order(entry.order_id)
            if order is None:
                continue
            if bundle.is_flatten:
                self._closes(bundle, order)
            elif isinstance(event, e.ReplaceRequested) and event.quantity <= order.quantity:
                continue
            elif bundle.roles[order.id] in EXITS and (left := missing(self.sight, bundle)) < ZERO:
                self.violated(
                    f"{order.id} was approved, and {-left} more than {bundle.id} has to exit can fill"
                )

    def _closes(self, bundle: Bundle, order: Known) -> None:
        """A flatten closes exactly what is held, and only once nothing else can fill."""
        account = self.sight.audit.account(order.account)
        symbol = order.terms.symbol
        for other in account.orders.values():
            if other.is_open and other.id != order.id and other.terms.symbol == symbol:
                self.violated(f"{order.id} of {bundle.id} was approved while {other.id} is open")
        if order.terms.side.sign * order.terms.quantity != -account.positions.get(symbol, ZERO):
            held = account.positions.get(symbol, ZERO)
            self.violated(
                f"{order.id} of {bundle.id} is to {order.terms.side} {order.terms.quantity} of {held}"
            )


def missing(sight: Sight, bundle: Bundle) -> Decimal:
    """What is left to exit that no open order is for; below zero where they could fill too much."""
    entered = exited = leaves = ZERO
    for order_id, role in bundle.roles.items():
        order = sight.audit.order(order_id)
        if order is None:
            continue
        if role is Role.ENTRY:
            entered += order.cum
        elif role in EXITS:
            exited, leaves = exited + order.cum, leaves + order.worst_leaves
        elif role is Role.EVENING:
            exited -= order.cum
    allowance = entered if bundle.terms.kind.has_entry else bundle.terms.quantity
    return allowance - exited - leaves


def unsettled(sight: Sight) -> Iterator[str]:
    """Groups that are not as they should be, when nothing goes wrong any more."""
    for bundle in sight.audit.bundles.known.values():
        if bundle.over is not None:
            gave_up = bundle.is_flatten or bundle.over is End.LEG_REFUSED
            if not gave_up and (left := missing(sight, bundle)) < ZERO:
                yield f"{bundle.id} is over, and has exited {-left} more than it had"
            continue
        if bundle.is_flatten or bundle.cancel_asked:
            yield f"{bundle.id} is still to be {'flattened' if bundle.is_flatten else 'canceled'}"
            continue
        left = missing(sight, bundle)
        if _is_denied(sight, bundle):
            continue  # limits come first: it asks again and again, for longer than a run lasts
        if left < ZERO:
            yield f"{bundle.id} can exit {-left} more than it has"
        elif left > ZERO and rests(bundle):
            yield f"{left} of {bundle.id} is guarded by nothing"


def _is_denied(sight: Sight, bundle: Bundle) -> bool:
    """Whether risk refused what it wanted to do last."""
    last = sight.audit.order(next(reversed(bundle.roles), None))
    return last is not None and last.denied


def rests(bundle: Bundle) -> bool:
    """Whether its broker can hold what guards it: a trailing stop is held here until it is reached."""
    if bundle.triggered is not None:
        return True
    return any(leg.role in EXITS and leg.type is not LegType.TRAILING_STOP for leg in bundle.terms.legs)
