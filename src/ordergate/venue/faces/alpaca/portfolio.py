"""The account routes: the account itself, its positions and closing them, its activities."""

from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Final

from ordergate.venue.faces.alpaca import requests
from ordergate.venue.faces.alpaca.calls import Answer, Call, Counter, answer, denied
from ordergate.venue.faces.alpaca.errors import (
    UNAUTHORIZED,
    Denial,
    asset_not_found,
    bad_field,
    of_refusal,
    position_not_found,
)
from ordergate.venue.faces.alpaca.orders import body_of
from ordergate.venue.faces.alpaca.requests import ActivitiesQuery
from ordergate.venue.faces.alpaca.translate import (
    account_body,
    activity_id,
    asset_id,
    fill_body,
    position_body,
)
from ordergate.venue.faces.alpaca.wire import ClosedBody, ErrorBody
from ordergate.venue.words import Execution, Position, Refusal, Ticket, VenueOrder

_ALL: Final = Decimal(100)


def account(counter: Counter, call: Call) -> Answer:
    view = counter.exchange.account(call.account)
    return denied(UNAUTHORIZED) if view is None else answer(account_body(view, counter.now()))


def _open_positions(counter: Counter, call: Call) -> list[Position]:
    return [found for found in counter.exchange.positions(call.account) if found.qty]


def _held(counter: Counter, call: Call, position: Position) -> Decimal:
    """What open orders would already close of this position."""
    closing = "sell" if position.qty > 0 else "buy"
    return sum(
        (
            order.leaves_qty
            for order in counter.exchange.open_orders(call.account)
            if order.ticket.symbol == position.symbol and order.ticket.side == closing
        ),
        Decimal(0),
    )


def positions(counter: Counter, call: Call) -> Answer:
    held = ((position, _held(counter, call, position)) for position in _open_positions(counter, call))
    return answer([position_body(position, taken) for position, taken in held])


def position(counter: Counter, call: Call) -> Answer:
    found = _position(counter, call)
    if isinstance(found, Denial):
        return denied(found)
    return answer(position_body(found, _held(counter, call, found)))


def _position(counter: Counter, call: Call) -> Position | Denial:
    listing = counter.listing(call.target, asset_id)
    if listing is None:
        return asset_not_found(call.target)
    for candidate in _open_positions(counter, call):
        if candidate.symbol == listing.symbol:
            return candidate
    return position_not_found()


def close_position(counter: Counter, call: Call) -> Answer:
    found = _position(counter, call)
    if isinstance(found, Denial):
        return denied(found)
    qty = _qty_to_close(counter, call, found)
    if isinstance(qty, Denial):
        return denied(qty)
    outcome = _liquidate(counter, call, found, qty)
    if isinstance(outcome, Denial):
        return denied(outcome)
    return answer(body_of(counter, outcome))


def close_positions(counter: Counter, call: Call) -> Answer:
    if call.query.get("cancel_orders", "").lower() == "true":
        counter.exchange.cancel_all(call.account, counter.now())
    return answer([_close_whole(counter, call, found) for found in _open_positions(counter, call)], 207)


def _close_whole(counter: Counter, call: Call, found: Position) -> ClosedBody:
    outcome = _liquidate(counter, call, found, abs(found.qty))
    if isinstance(outcome, Denial):
        return ClosedBody(found.symbol, outcome.status, ErrorBody(outcome.message, outcome.code))
    return ClosedBody(found.symbol, 200, body_of(counter, outcome))


def _qty_to_close(counter: Counter, call: Call, found: Position) -> Decimal | Denial:
    whole, lot = abs(found.qty), counter.exchange.listings[found.symbol].lot
    if "qty" in call.query and "percentage" in call.query:
        return bad_field("only one of qty and percentage may be given")
    try:
        if "qty" in call.query:
            qty = Decimal(call.query["qty"])
        elif "percentage" in call.query:
            share = Decimal(call.query["percentage"])
            if not share.is_finite() or not 0 < share <= _ALL:
                return bad_field("percentage must be between 0 and 100")
            # The part that is asked for, never more: whole lots, rounded down.
            qty = (whole * share / _ALL / lot).to_integral_value(ROUND_DOWN) * lot
        else:
            qty = whole
    except InvalidOperation:
        return bad_field("qty and percentage must be numbers")
    return qty


def _liquidate(counter: Counter, call: Call, found: Position, qty: Decimal) -> VenueOrder | Denial:
    """What open orders would close is not available: to close it as well would open the other side."""
    if not qty.is_finite() or not 0 < qty <= abs(found.qty) - _held(counter, call, found):
        return Denial(403, 40310000, "insufficient qty available for order")
    ticket = Ticket(
        client_order_id=counter.new_id(),
        symbol=found.symbol,
        side="sell" if found.qty > 0 else "buy",
        type="market",
        qty=qty,
        time_in_force="gtc" if found.asset_class == "crypto" else "day",
    )
    outcome = counter.exchange.submit(call.account, ticket, counter.now())
    return of_refusal(outcome) if isinstance(outcome, Refusal) else outcome


def activities(counter: Counter, call: Call) -> Answer:
    """Every type of activity; this venue has fills only."""
    types = {word.strip() for word in call.query.get("activity_types", "").split(",") if word.strip()}
    if (types and "FILL" not in types) or call.query.get("category") == "non_trade_activity":
        return answer([])
    return fills(counter, call)


def activities_of_type(counter: Counter, call: Call) -> Answer:
    return fills(counter, call) if call.target == "FILL" else answer([])


def fills(counter: Counter, call: Call) -> Answer:
    query = requests.activities_query(call.query)
    if isinstance(query, Denial):
        return denied(query)
    executions = counter.exchange.executions(call.account)
    if not query.ascending:
        executions.reverse()
    page = _page(executions, query)
    if page is None:
        return denied(bad_field("invalid page_token"))
    return answer([fill_body(execution) for execution in page])


def _page(executions: list[Execution], query: ActivitiesQuery) -> list[Execution] | None:
    """The fills after the one the token names; None when it names none."""
    start = 0
    if query.page_token is not None:
        token = query.page_token
        at = next((n for n, execution in enumerate(executions) if activity_id(execution) == token), None)
        if at is None:
            return None
        start = at + 1
    page: list[Execution] = []
    for execution in executions[start:]:
        if query.after is not None and execution.at <= query.after:
            continue
        if query.until is not None and execution.at >= query.until:
            continue
        page.append(execution)
        if len(page) == query.page_size:
            break
    return page
