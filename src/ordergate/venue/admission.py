"""Decides whether a ticket may become an order: its shape first, then its money.

Equity and crypto are bought on four times the account's own money, futures on a flat margin for each
contract; the part of an order that closes a position needs no margin, where no other open order closes
that already. Never rounds: a price off the tick
or a quantity off the lot is refused.
"""

from collections.abc import Callable
from decimal import Decimal

from msgspec import UNSET, Struct

from ordergate.venue.ledger import ZERO
from ordergate.venue.words import Changes, Listing, Refusal, Ticket, VenueOrder

LEVERAGE = Decimal(4)
CLIENT_ORDER_ID_LENGTH_MAX = 128
DIGITS_MAX = 15


class Hold(Struct, frozen=True):
    """What an order keeps back: `unit` for each open unit beyond the first `closing` ones.

    What is filled first closes, so an order that turns a position keeps what it opens until that is filled.
    """

    unit: Decimal
    closing: Decimal

    def amount(self, leaves: Decimal, filled: Decimal = ZERO) -> Decimal:
        return self.unit * (leaves - self.closes(leaves, filled))

    def closes(self, leaves: Decimal, filled: Decimal = ZERO) -> Decimal:
        """How much of what is open closes a position."""
        return min(leaves, max(ZERO, self.closing - filled))


def refuse_ticket(ticket: Ticket, listing: Listing, *, open_now: bool) -> Refusal | None:
    """The first thing wrong with the ticket itself, or None."""
    if not 0 < len(ticket.client_order_id) <= CLIENT_ORDER_ID_LENGTH_MAX:
        return _invalid(f"client_order_id must have 1 to {CLIENT_ORDER_ID_LENGTH_MAX} characters")
    if not _is_step(ticket.qty, listing.lot):
        return _invalid(f"qty must be a positive multiple of {listing.lot}")
    wants_limit = ticket.type in ("limit", "stop_limit")
    wants_stop = ticket.type in ("stop", "stop_limit")
    for name, price, wanted in (
        ("limit_price", ticket.limit_price, wants_limit),
        ("stop_price", ticket.stop_price, wants_stop),
    ):
        if wanted and price is None:
            return _invalid(f"{ticket.type} orders require a {name}")
        if not wanted and price is not None:
            return _invalid(f"{ticket.type} orders take no {name}")
        if price is not None and not _is_step(price, listing.tick):
            return _invalid(f"{name} must be a positive multiple of {listing.tick}")
    immediate = ticket.time_in_force in ("ioc", "fok")
    if immediate and wants_stop:
        return _invalid(f"{ticket.type} orders cannot be {ticket.time_in_force}")
    if not open_now and (immediate or ticket.type == "market"):
        return _invalid("before the open only limit, stop and stop_limit orders that may rest are taken")
    return None


def hold_for(ticket: Ticket, listing: Listing, closable: Decimal, market_price: Decimal | None) -> Hold:
    """The margin this order keeps back while it is open; `closable` is what it may close."""
    closing = min(closable, ticket.qty)
    if listing.asset_class == "future":
        return Hold(listing.margin, closing)
    price = ticket.limit_price or ticket.stop_price or market_price or ZERO
    if ticket.side == "sell":
        # It sells at its limit or better: what it may owe is never less than what the market pays.
        price = max(price, market_price or ZERO)
    return Hold(price * listing.multiplier / LEVERAGE, closing)


def changed_ticket(old: VenueOrder, changes: Changes, new_id: Callable[[], str]) -> Ticket | Refusal:
    """The ticket of the order that replaces this one.

    The quantity asked for is the whole one. What is filled stays filled, so the new order is for the rest:
    a fill that came in while the change was on its way can never make the whole larger than was asked for.
    """
    ticket = old.ticket
    qty = ticket.qty if changes.qty is UNSET else changes.qty
    if qty <= old.filled_qty:
        return _invalid(f"qty must be greater than the filled quantity of {old.filled_qty}")
    return Ticket(
        client_order_id=new_id() if changes.client_order_id is UNSET else changes.client_order_id,
        symbol=ticket.symbol,
        side=ticket.side,
        type=ticket.type,
        qty=qty - old.filled_qty,
        limit_price=ticket.limit_price if changes.limit_price is UNSET else changes.limit_price,
        stop_price=ticket.stop_price if changes.stop_price is UNSET else changes.stop_price,
        time_in_force=ticket.time_in_force if changes.time_in_force is UNSET else changes.time_in_force,
        extended_hours=ticket.extended_hours,
        replaces=old.id,
    )


def fits(order: VenueOrder, listing: Listing) -> bool:
    """Whether an open order is on the tick and the lot, as every one was when it was taken."""
    prices = (order.ticket.limit_price, order.ticket.stop_price)
    return _is_step(order.leaves_qty, listing.lot) and all(
        price is None or _is_step(price, listing.tick) for price in prices
    )


def _is_step(value: Decimal, step: Decimal) -> bool:
    """Whether the value is a positive, sanely sized multiple of the step."""
    return value.is_finite() and value > 0 and value.adjusted() < DIGITS_MAX and not value % step


def _invalid(message: str) -> Refusal:
    return Refusal("invalid", message)
