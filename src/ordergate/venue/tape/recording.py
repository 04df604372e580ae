"""Plays recorded flow into a book in which other people's orders stand too.

The recording is the authority on its own orders. What it says of an order is `shown`; what a participant
of this venue took from it stays `taken` for as long as the order lives; the book holds the difference.
A recorded aggressor is matched against the whole queue, so a participant is reached exactly when the flow
gets to its place. Where that made a recorded order trade more or less than the tape says, the end of the
packet puts it back. A recorded order that arrives across a participant's order trades with it.

Never changes a participant's order except by trading with it.
"""

from collections.abc import Iterable

from ordergate.venue.book import BUY, SELL, Book, Fill, Happening, Order, Print
from ordergate.venue.tape.records import Action, Packet, Step


class Recorded:
    """One order of the recording, in the book or wholly taken."""

    __slots__ = ("order", "shown", "taken")

    def __init__(self, order: Order) -> None:
        self.order = order
        self.shown = order.leaves
        self.taken = 0

    @property
    def due(self) -> int:
        """What the book should hold of it."""
        return max(0, self.shown - self.taken)


class Recording:
    def __init__(self, book: Book) -> None:
        self._book = book
        self._orders: dict[int, Recorded] = {}
        self._touched: dict[int, None] = {}  # recorded orders this packet traded, by last touch

    @property
    def orders(self) -> dict[int, Recorded]:
        return self._orders

    def play(self, packet: Packet) -> list[Happening]:
        """Let one packet happen. Afterwards the book is whole, and stops it woke have been let in."""
        news: list[Happening] = []
        if packet.phase == "pre_open":
            self._book.open = False
        auction: Step | None = None
        self._reveal(packet.steps)
        for step in packet.steps:
            if step.action is Action.AUCTION:
                auction = step
            else:
                self._play(step, news)
        self._settle()
        if packet.phase == "open":
            self._book.open = True
            self._uncross(auction, news)
        self._book.wake_stops(news)
        self.note_taken(news)
        return news

    def note_taken(self, news: Iterable[Happening]) -> None:
        """Remember what participants took from recorded orders."""
        for item in news:
            if isinstance(item, Fill) and item.maker.tag is None and item.taker.tag is not None:
                recorded = self._orders.get(item.maker.ident)
                if recorded is not None:
                    recorded.taken += item.qty

    def clear(self) -> None:
        """Take every recorded order out; participants' orders stay where they are."""
        for recorded in self._orders.values():
            if recorded.order.resting:
                self._book.lift(recorded.order)
        self._orders.clear()
        self._touched.clear()

    # -- one step

    def _play(self, step: Step, news: list[Happening]) -> None:
        match step.action:
            case Action.ADD:
                self._add(step, news)
            case Action.MODIFY:
                self._modify(step, news)
            case Action.CANCEL:
                self._cancel(step)
            case Action.AGGRESS:
                self._aggress(step, news)
            case Action.FILL:
                self._fill(step)
            case Action.CLEAR:
                self.clear()
            case Action.AUCTION:
                raise ValueError("an auction is played by its packet")

    def _add(self, step: Step, news: list[Happening]) -> None:
        if step.ident in self._orders:
            self._modify(step, news)
            return
        recorded = Recorded(Order(step.side, step.size, step.price, ident=step.ident))
        self._orders[step.ident] = recorded
        self._join(recorded, news)

    def _modify(self, step: Step, news: list[Happening]) -> None:
        recorded = self._orders.get(step.ident)
        if recorded is None:
            self._add(step, news)
            return
        order = recorded.order
        keeps = order.price == step.price and order.side == step.side and step.size <= recorded.shown
        recorded.shown = step.size
        if keeps:
            self._restore(recorded)
            return
        if order.resting:
            self._book.lift(order)
        order.side, order.price = step.side, step.price
        self._join(recorded, news)

    def _cancel(self, step: Step) -> None:
        recorded = self._orders.get(step.ident)
        if recorded is None:
            return
        recorded.shown -= step.size
        if recorded.shown > 0:
            self._restore(recorded)
            return
        del self._orders[step.ident]
        if recorded.order.resting:
            self._book.lift(recorded.order)

    def _aggress(self, step: Step, news: list[Happening]) -> None:
        before = len(news)
        taker = Order(step.side, step.size, step.price, ident=step.ident)
        self._book.meet(taker, news)
        for item in news[before:]:
            if isinstance(item, Fill) and item.maker.tag is None:
                self._touch(item.maker.ident)
        if taker.leaves:
            # It did trade when it was recorded, only here its counterparty is missing.
            self._book.trade_at(step.price)
            news.append(Print(step.price, taker.leaves, step.side))

    def _fill(self, step: Step) -> None:
        recorded = self._orders.get(step.ident)
        if recorded is not None:
            recorded.shown = max(0, recorded.shown - step.size)
            self._touch(step.ident)

    def _join(self, recorded: Recorded, news: list[Happening]) -> None:
        """Enter at the back of its price, after trading with participants it crosses, and only with them."""
        order = recorded.order
        order.leaves = recorded.due
        if self._book.open and order.leaves:
            self._book.meet_tagged(order, news)
            recorded.taken += recorded.due - order.leaves
        if order.leaves:
            self._book.rest(order)

    # -- keeping the recording's word

    def _reveal(self, steps: tuple[Step, ...]) -> None:
        """A fill larger than what was shown proves hidden quantity: give it to the order before the match."""
        if len(steps) == 1:
            return
        traded: dict[int, int] = {}
        for step in steps:
            if step.action is Action.FILL:
                traded[step.ident] = traded.get(step.ident, 0) + step.size
        for ident, size in traded.items():
            recorded = self._orders.get(ident)
            if recorded is not None and recorded.order.resting:
                recorded.order.reserve = max(0, size - recorded.shown)

    def _touch(self, ident: int) -> None:
        self._touched.pop(ident, None)
        self._touched[ident] = None

    def _settle(self) -> None:
        """Bring every order this packet traded back to what the tape says of it.

        Matching only ever takes from the front of a queue, so what it took too much goes back to the front,
        the last taken first.
        """
        for ident in reversed(self._touched):
            recorded = self._orders.get(ident)
            if recorded is not None:
                recorded.order.reserve = 0
                self._restore(recorded)
        self._touched.clear()

    def _restore(self, recorded: Recorded) -> None:
        order, due = recorded.order, recorded.due
        if order.resting:
            if due:
                self._book.resize(order, due)
            else:
                self._book.lift(order)
        elif due:
            order.leaves = due
            self._book.rest(order, front=True)

    # -- the open

    def _uncross(self, auction: Step | None, news: list[Happening]) -> None:
        """Let participants who stood across the opening price trade in it, then whoever still crosses."""
        if auction is not None:
            self._book.trade_at(auction.price)
            news.append(Print(auction.price, auction.size, 0))
        for side in (BUY, SELL):
            for order in self._participants(side):
                if auction is not None:
                    self._trade_in_auction(order, auction, news)
                if order.leaves and self._crosses(order):
                    self._book.meet_where_it_stands(order, news)

    def _participants(self, side: int) -> list[Order]:
        return [order for level in self._book.levels(side) for order in level if order.tag is not None]

    def _trade_in_auction(self, order: Order, auction: Step, news: list[Happening]) -> None:
        """An order better than the opening price trades at it, up to the size the auction had."""
        if order.price is None or order.side * (order.price - auction.price) <= 0:
            return
        had = sum(item.qty for item in news if isinstance(item, Fill) and item.taker.side == -order.side)
        qty = min(order.leaves, max(0, auction.size - had))
        if not qty:
            return
        self._book.resize(order, order.leaves - qty)
        if not order.leaves:
            self._book.lift(order)
        news.append(Fill(order, Order(-order.side, 0, auction.price), auction.price, qty))

    def _crosses(self, order: Order) -> bool:
        other = self._book.best(-order.side)
        return other is not None and order.price is not None and order.side * (order.price - other.price) >= 0
