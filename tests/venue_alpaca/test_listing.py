"""The list of orders, page by page, whatever the clock did while they were placed."""

import json
from datetime import timedelta
from decimal import Decimal
from itertools import count

from ordergate.venue.exchange import Exchange
from ordergate.venue.faces.alpaca import orders
from ordergate.venue.faces.alpaca.calls import Call, Counter
from tests.venue.listings import NOON
from tests.venue_alpaca.floor import LISTINGS, limit_order


def test_pages_of_open_orders_leave_none_out_when_the_clock_was_set_back() -> None:
    exchange = Exchange(LISTINGS)
    exchange.open_account("alice", Decimal(1_000_000), NOON)
    moments = iter(NOON + timedelta(seconds=s) for s in (3_600, 1, 2, 3))
    numbers = count(1)
    counter = Counter(exchange, lambda: next(moments), lambda: str(next(numbers)))
    for name in "abcd":
        body = json.dumps(limit_order(name, limit_price="9.00")).encode()
        assert orders.place(counter, Call("alice", "", {}, body)).status == 200
    seen: list[str] = []
    after: dict[str, str] = {}
    for _ in range(2):
        query = {"status": "open", "direction": "asc", "limit": "2", **after}
        page = json.loads(orders.listed(counter, Call("alice", "", query, b"")).body)
        seen += [order["client_order_id"] for order in page]
        after = {"after_order_id": page[-1]["id"]}
    assert sorted(seen) == ["a", "b", "c", "d"]
