"""One listing's book, with the recording that plays into it, in the outside world's units.

Turns prices and quantities into ticks and lots and back, and remembers the last trade and the last quote.
Never knows an account: whose an order is, is a tag it carries along.
"""

from datetime import datetime
from decimal import Decimal

from ordergate.venue.book import BUY, SELL, Book, Drop, Fill, Happening, Life, Order, Print, Wake
from ordergate.venue.ledger import ZERO
from ordergate.venue.tape.recording import Recording
from ordergate.venue.tape.records import Packet
from ordergate.venue.words import Listing, Quote, SideName, Ticket, TimeInForce, Trade, VenueOrder

SIDES: dict[SideName, int] = {"buy": BUY, "sell": SELL}
NAMES: dict[int, SideName] = {BUY: "buy", SELL: "sell"}
Top = tuple[int | None, int, int | None, int]


class Market:
    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.book = Book()
        self.recording = Recording(self.book)
        self.last_trade: Trade | None = None
        self.quote: Quote | None = None
        self._quoted: Top = (None, 0, None, 0)

    # -- units

    def ticks(self, price: Decimal | None) -> int | None:
        return None if price is None else int(price / self.listing.tick)

    def lots(self, qty: Decimal) -> int:
        return int(qty / self.listing.lot)

    def price(self, ticks: int) -> Decimal:
        return self.listing.tick * ticks

    def qty(self, lots: int) -> Decimal:
        return self.listing.lot * lots

    # -- orders

    def order_for(self, order: VenueOrder) -> Order:
        """The book's order for what is left of this one."""
        ticket = order.ticket
        return Order(
            SIDES[ticket.side],
            self.lots(order.leaves_qty),
            self.ticks(ticket.limit_price),
            stop=self.ticks(ticket.stop_price) if order.triggered_at is None else None,
            life=life_of(ticket.time_in_force),
            tag=order.id,
        )

    def enter(self, order: Order) -> list[Happening]:
        news = self.book.enter(order)
        self.recording.note_taken(news)
        return news

    def amend(self, order: Order, ticket: Ticket) -> list[Happening]:
        """Make a live order what the ticket says. It must carry its new tag already."""
        news = self.book.amend(
            order,
            leaves=self.lots(ticket.qty),
            price=self.ticks(ticket.limit_price),
            stop=self.ticks(ticket.stop_price),
            life=life_of(ticket.time_in_force),
        )
        self.recording.note_taken(news)
        return news

    def play(self, packet: Packet) -> list[Happening]:
        return self.recording.play(packet)

    # -- what the market shows

    def trades_in(self, news: list[Happening], now: datetime) -> list[Trade]:
        """The prints of what happened, oldest first; the last one becomes the last trade."""
        trades: list[Trade] = []
        for item in news:
            match item:
                case Fill(taker=taker, price=price, qty=qty):
                    trades.append(self._print(price, qty, taker.side, now))
                case Print(price=price, qty=qty, side=side):
                    trades.append(self._print(price, qty, side, now))
                case Drop() | Wake():
                    pass
        return trades

    def _print(self, price: int, qty: int, side: int, now: datetime) -> Trade:
        number = 1 if self.last_trade is None else self.last_trade.id + 1
        self.last_trade = Trade(
            symbol=self.listing.symbol,
            id=number,
            price=self.price(price),
            size=self.qty(qty),
            taker_side=NAMES.get(side),
            at=now,
        )
        return self.last_trade

    def fresh_quote(self, now: datetime) -> Quote | None:
        """The top of the book, if it is another one than at the last call."""
        top = self._top()
        if top == self._quoted:
            return None
        self._quoted = top
        bid, bid_size, ask, ask_size = top
        self.quote = Quote(
            symbol=self.listing.symbol,
            bid=None if bid is None else self.price(bid),
            bid_size=self.qty(bid_size),
            ask=None if ask is None else self.price(ask),
            ask_size=self.qty(ask_size),
            at=now,
        )
        return self.quote

    def mark(self) -> Decimal | None:
        """What a position is valued at: the last trade, else the middle of the quote, else one side of it."""
        if self.last_trade is not None:
            return self.last_trade.price
        bid, _, ask, _ = self._top()
        sides = [self.price(side) for side in (bid, ask) if side is not None]
        return sum(sides, ZERO) / len(sides) if sides else None

    def _top(self) -> Top:
        bid, ask = self.book.best(BUY), self.book.best(SELL)
        return (
            None if bid is None else bid.price,
            0 if bid is None else bid.total,
            None if ask is None else ask.price,
            0 if ask is None else ask.total,
        )


def life_of(time_in_force: TimeInForce) -> Life:
    match time_in_force:
        case "day" | "gtc":
            return "rest"
        case "ioc" | "fok":
            return time_in_force
