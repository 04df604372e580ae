"""Which path is which route, and what kind of traffic it is. Nothing else."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from ordergate.venue.faces.alpaca import latest, orders, portfolio, reference
from ordergate.venue.faces.alpaca.calls import Answer, Call, Counter
from ordergate.venue.faults import RequestScope


class Route(Struct, frozen=True):
    scope: RequestScope
    handle: Callable[[Counter, Call], Answer]


_FIXED: Final[dict[tuple[str, str], Route]] = {
    ("POST", "/v2/orders"): Route("place", orders.place),
    ("GET", "/v2/orders"): Route("query", orders.listed),
    ("DELETE", "/v2/orders"): Route("cancel", orders.cancel_all),
    ("GET", "/v2/orders:by_client_order_id"): Route("query", orders.show_by_client_order_id),
    ("GET", "/v2/account"): Route("query", portfolio.account),
    ("GET", "/v2/account/activities"): Route("query", portfolio.activities),
    ("GET", "/v2/positions"): Route("query", portfolio.positions),
    ("DELETE", "/v2/positions"): Route("place", portfolio.close_positions),
    ("GET", "/v2/assets"): Route("query", reference.assets),
    ("GET", "/v2/clock"): Route("query", reference.clock),
    ("GET", "/v2/calendar"): Route("query", reference.calendar),
    ("GET", "/v2/stocks/quotes/latest"): Route("query", latest.stock_quotes),
    ("GET", "/v2/stocks/trades/latest"): Route("query", latest.stock_trades),
    ("GET", "/v1beta3/crypto/us/latest/quotes"): Route("query", latest.crypto_quotes),
    ("GET", "/v1beta3/crypto/us/latest/trades"): Route("query", latest.crypto_trades),
}
# What follows the prefix is the target. A pair's symbol may hold a slash, so all of it counts.
_PREFIXED: Final[tuple[tuple[str, str, Route], ...]] = (
    ("GET", "/v2/orders/", Route("query", orders.show)),
    ("PATCH", "/v2/orders/", Route("replace", orders.replace)),
    ("DELETE", "/v2/orders/", Route("cancel", orders.cancel)),
    ("GET", "/v2/account/activities/", Route("query", portfolio.activities_of_type)),
    ("GET", "/v2/positions/", Route("query", portfolio.position)),
    ("DELETE", "/v2/positions/", Route("place", portfolio.close_position)),
    ("GET", "/v2/assets/", Route("query", reference.asset)),
)


def resolve(method: str, path: str) -> tuple[Route, str] | None:
    """The route and its target; None when there is no such endpoint."""
    fixed = _FIXED.get((method, path))
    if fixed is not None:
        return fixed, ""
    for verb, prefix, route in _PREFIXED:
        if verb == method and path.startswith(prefix) and len(path) > len(prefix):
            return route, path[len(prefix) :]
    return None
