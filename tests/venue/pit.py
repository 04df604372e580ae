"""An exchange with people in it: what the tests of the venue trade with."""

from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Final

from ordergate.venue.exchange import Exchange
from ordergate.venue.words import (
    Changes,
    OrderUpdated,
    Refusal,
    RefusalCode,
    Ticket,
    VenueEvent,
    VenueOrder,
)
from tests.venue.listings import AAPL, BTC, ES, NOON

LATER: Final = NOON + timedelta(seconds=1)


class Pit:
    """An exchange with two well-funded accounts, and everything it told."""

    def __init__(self) -> None:
        self.exchange = Exchange([ES, AAPL, BTC])
        self.heard: list[VenueEvent] = []
        self.exchange.subscribe(self.heard.append)
        self._numbers = count(1)
        for account in ("ann", "bob"):
            self.exchange.open_account(account, Decimal(1_000_000), NOON)

    def ticket(self, text: str, **fields: object) -> Ticket:
        """`buy 5 AAPL 190.00` is a limit order, without a price a market order."""
        side, qty, symbol, *price = text.split()
        limit = Decimal(price[0]) if price else None
        given: dict[str, object] = {
            "client_order_id": f"c{next(self._numbers)}",
            "symbol": symbol,
            "side": side,
            "type": "limit" if price else "market",
            "qty": Decimal(qty),
            "limit_price": limit,
        }
        return Ticket(**(given | fields))  # type: ignore[arg-type]  # the tests spell the fields they mean

    def submit(self, account: str, text: str, **fields: object) -> VenueOrder:
        order = self.exchange.submit(account, self.ticket(text, **fields), NOON)
        assert isinstance(order, VenueOrder), order
        return order

    def refused(self, account: str, text: str, **fields: object) -> RefusalCode:
        refusal = self.exchange.submit(account, self.ticket(text, **fields), NOON)
        assert isinstance(refusal, Refusal)
        return refusal.code

    def replace(self, order: VenueOrder, **fields: object) -> VenueOrder | Refusal:
        return self.exchange.replace(order.account, order.id, Changes(**fields), LATER)  # type: ignore[arg-type]  # as above

    def now(self, order: VenueOrder) -> VenueOrder:
        found = self.exchange.order(order.account, order.id)
        assert found is not None
        return found

    def words(self, account: str) -> list[str]:
        return [
            item.event
            for item in self.heard
            if isinstance(item, OrderUpdated) and item.order.account == account
        ]


def exact(*numbers: int | str) -> tuple[Decimal, ...]:
    """Whole numbers and decimal strings, as the venue spells them."""
    return tuple(Decimal(number) for number in numbers)
