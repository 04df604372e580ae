"""The order routes: place, show, list, replace, cancel and cancel all."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from ordergate.venue.faces.alpaca import requests
from ordergate.venue.faces.alpaca.calls import Answer, Call, Counter, answer, denied, names_of
from ordergate.venue.faces.alpaca.errors import Denial, bad_field, of_refusal, order_not_found
from ordergate.venue.faces.alpaca.requests import OrdersQuery
from ordergate.venue.faces.alpaca.translate import order_body, shown_class
from ordergate.venue.faces.alpaca.wire import CanceledBody, OrderBody
from ordergate.venue.words import FINAL, Refusal, VenueOrder

_NO_CONTENT: Final = Answer(204, b"")


def body_of(counter: Counter, order: VenueOrder) -> OrderBody:
    return order_body(order, counter.class_of(order.ticket.symbol))


def _outcome(counter: Counter, outcome: VenueOrder | Refusal) -> Answer:
    if isinstance(outcome, Refusal):
        return denied(of_refusal(outcome))
    return answer(body_of(counter, outcome))


def place(counter: Counter, call: Call) -> Answer:
    ticket = requests.place(call.body, counter.new_id)
    if isinstance(ticket, Denial):
        return denied(ticket)
    return _outcome(counter, counter.exchange.submit(call.account, ticket, counter.now()))


def show(counter: Counter, call: Call) -> Answer:
    order = counter.exchange.order(call.account, call.target)
    return denied(order_not_found(call.target)) if order is None else answer(body_of(counter, order))


def show_by_client_order_id(counter: Counter, call: Call) -> Answer:
    name = call.query.get("client_order_id", "")
    if not name:
        return denied(bad_field("client_order_id is required"))
    order = counter.exchange.order_by_client_id(call.account, name)
    return denied(order_not_found(name)) if order is None else answer(body_of(counter, order))


def replace(counter: Counter, call: Call) -> Answer:
    changes = requests.patch(call.body)
    if isinstance(changes, Denial):
        return denied(changes)
    return _outcome(counter, counter.exchange.replace(call.account, call.target, changes, counter.now()))


def cancel(counter: Counter, call: Call) -> Answer:
    outcome = counter.exchange.cancel(call.account, call.target, counter.now())
    return denied(of_refusal(outcome)) if isinstance(outcome, Refusal) else _NO_CONTENT


def cancel_all(counter: Counter, call: Call) -> Answer:
    canceled = counter.exchange.cancel_all(call.account, counter.now())
    return answer([CanceledBody(order.id, 200) for order in canceled], 207)


def listed(counter: Counter, call: Call) -> Answer:
    query = requests.orders_query(call.query)
    if isinstance(query, Denial):
        return denied(query)
    orders = _asked_orders(counter, call.account, query)
    window = _window(orders, query)
    if window is None:
        return denied(order_not_found(query.before_order_id or query.after_order_id or ""))
    chosen = (order for order in window if _matches(counter, order, query))
    return answer([body_of(counter, order) for order in islice(chosen, query.limit)])


def _asked_orders(counter: Counter, account: str, query: OrdersQuery) -> list[VenueOrder]:
    """In the order they came, whatever the clock said then, so that one page fits to the next.

    The open ones are few; looking through every order ever placed for them would not be.
    """
    if query.status != "open" or query.after_order_id or query.before_order_id:
        return counter.exchange.orders(account)
    return counter.exchange.open_orders(account)


def _window(orders: list[VenueOrder], query: OrdersQuery) -> Iterable[VenueOrder] | None:
    """The orders between the two named ones, in the asked direction; None when a name is unknown."""
    places = {order.id: place for place, order in enumerate(orders)}
    start, end = 0, len(orders)
    if query.after_order_id is not None:
        if query.after_order_id not in places:
            return None
        start = places[query.after_order_id] + 1
    if query.before_order_id is not None:
        if query.before_order_id not in places:
            return None
        end = places[query.before_order_id]
    part = orders[start:end]
    return part if query.ascending else reversed(part)


def _matches(counter: Counter, order: VenueOrder, query: OrdersQuery) -> bool:
    ticket = order.ticket
    if query.status != "all" and (order.status in FINAL) != (query.status == "closed"):
        return False
    if query.after is not None and order.submitted_at <= query.after:
        return False
    if query.until is not None and order.submitted_at >= query.until:
        return False
    if query.symbols and query.symbols.isdisjoint(names_of(ticket.symbol)):
        return False
    if query.side is not None and ticket.side != query.side:
        return False
    return not query.asset_classes or shown_class(counter.class_of(ticket.symbol)) in query.asset_classes
