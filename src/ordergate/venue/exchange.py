"""The exchange: takes tickets, runs them through the book of their symbol, and books what came of it.

One call happens at a time and whole. A listener may read the exchange but must not call it to change
something. It has no clock, and of chance only the ids it is given; what it decides, the clerk writes down.
As long as the log cannot take what was decided, every call of a participant raises what the log raises.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Literal
from uuid import uuid4

from msgspec.structs import replace as with_fields

from ordergate.venue.admission import Hold, changed_ticket, fits, hold_for, refuse_ticket
from ordergate.venue.book import Drop, Fill, Happening, Order, Wake
from ordergate.venue.clerk import Clerk, Listener
from ordergate.venue.desk import Desk
from ordergate.venue.market import Market
from ordergate.venue.state import Decision, DecisionLog, Forgetful, StateCorrupt
from ordergate.venue.tape.records import Packet
from ordergate.venue.words import (
    FINAL,
    AccountView,
    Changes,
    Execution,
    Listing,
    Position,
    Quote,
    QuoteChanged,
    Refusal,
    Ticket,
    Trade,
    TradePrinted,
    VenueOrder,
)


class Exchange:
    def __init__(
        self,
        listings: Iterable[Listing],
        *,
        log: DecisionLog | None = None,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._markets = {listing.symbol: Market(listing) for listing in listings}
        self.listings: Mapping[str, Listing] = MappingProxyType(
            {symbol: market.listing for symbol, market in self._markets.items()}
        )
        self._clerk = Clerk(self.listings, Forgetful() if log is None else log, new_id)
        self._desks = self._clerk.desks
        self._new_id = new_id
        self._live: dict[str, tuple[Desk, Order]] = {}  # the open orders, by id, where they stand

    # -- what participants do

    def open_account(self, account: str, cash: Decimal, now: datetime) -> AccountView:
        """Open the account with this much money. An account that exists already is left as it is."""
        self._clerk.catch_up()
        if account not in self._desks:
            self._clerk.open_account(account, cash, now)
            self._clerk.publish()
        return self._desks[account].view(self._mark)

    def submit(self, account: str, ticket: Ticket, now: datetime) -> VenueOrder | Refusal:
        """Take the order, or say why not. What it traded at once is on the order that comes back."""
        desk = self._desk(account)
        market = self._markets.get(ticket.symbol)
        if desk is None:
            return Refusal("not_found", "there is no such account")
        if ticket.client_order_id in desk.by_client_id:
            return Refusal("duplicate_client_order_id", "client_order_id must be unique")
        if market is None:
            return Refusal("invalid", f'asset "{ticket.symbol}" not found')
        if (refusal := refuse_ticket(ticket, market.listing, open_now=market.book.open)) is not None:
            return refusal
        closable = desk.closable(ticket.symbol, ticket.side)
        hold = hold_for(ticket, market.listing, closable, market.mark())
        if (refusal := self._refuse_cost(desk, hold, ticket.qty)) is not None:
            return refusal
        order = self._new_order(desk, with_fields(ticket, replaces=None), now)
        entry = market.order_for(order)
        self._live[order.id] = (desk, entry)
        self._clerk.take(desk, order, hold)
        self._digest(market, market.enter(entry), now)
        self._clerk.publish()
        return desk.orders[order.id]

    def cancel(self, account: str, order_id: str, now: datetime) -> VenueOrder | Refusal:
        order = self.order(account, order_id)
        if order is None:
            return Refusal("not_found", f"order not found for {order_id}")
        if order.status in FINAL:
            return Refusal("not_cancelable", f'order is already in "{order.status}" state')
        self._withdraw(order_id, "canceled", now)
        self._clerk.publish()
        return self._desks[account].orders[order_id]

    def cancel_all(self, account: str, now: datetime) -> list[VenueOrder]:
        desk = self._desk(account)
        if desk is None:
            return []
        canceled = list(desk.open)
        for order_id in canceled:
            self._withdraw(order_id, "canceled", now)
        self._clerk.publish()
        return [desk.orders[order_id] for order_id in canceled]

    def replace(self, account: str, order_id: str, changes: Changes, now: datetime) -> VenueOrder | Refusal:
        """Put a changed order, with an id of its own, in the place of an open one.

        Less quantity at the same price keeps the place in the queue; any other change goes to its back.
        """
        old = self.order(account, order_id)
        if old is None:
            return Refusal("not_found", f"order not found for {order_id}")
        if old.status in FINAL:
            return Refusal("not_replaceable", f'order is already in "{old.status}" state')
        desk, entry = self._live[order_id]
        market = self._markets[old.ticket.symbol]
        ticket = changed_ticket(old, changes, self._new_id)
        if isinstance(ticket, Refusal):
            return ticket
        if ticket.client_order_id in desk.by_client_id:
            return Refusal("duplicate_client_order_id", "client_order_id must be unique")
        if (refusal := refuse_ticket(ticket, market.listing, open_now=market.book.open)) is not None:
            return refusal
        closable = desk.closable(ticket.symbol, ticket.side, instead_of=order_id)
        hold = hold_for(ticket, market.listing, closable, market.mark())
        if (refusal := self._refuse_cost(desk, hold, ticket.qty, instead_of=order_id)) is not None:
            return refusal
        order = self._new_order(desk, ticket, now)
        order = with_fields(order, triggered_at=old.triggered_at)
        del self._live[order_id]
        self._clerk.end(desk, order_id, "replaced", now, replaced_by=order.id)
        entry.tag = order.id
        self._live[order.id] = (desk, entry)
        self._clerk.take(desk, order, hold)
        self._digest(market, market.amend(entry, ticket), now)
        self._clerk.publish()
        return desk.orders[order.id]

    # -- what the market does

    def play(self, symbol: str, packet: Packet, now: datetime) -> None:
        """Let one packet of a tape happen. Where this raises OSError it did not, and may be played later."""
        self._clerk.catch_up()
        market = self._markets[symbol]
        self._digest(market, market.play(packet), now)
        with suppress(OSError):  # it has happened: whoever comes next writes it, or is kept waiting
            self._clerk.publish()

    def clear_tape(self, symbol: str, now: datetime) -> None:
        """Take the tape's orders out of the book; participants' orders stay."""
        self._clerk.catch_up()
        market = self._markets[symbol]
        market.recording.clear()
        self._digest(market, [], now)
        self._clerk.publish()

    def end_session(self, symbol: str | None, now: datetime, *, before: datetime | None = None) -> int:
        """Expire the DAY orders of one symbol, or of all, and return how many there were.

        Only those taken before this moment, where it is given.
        """
        self._clerk.catch_up()
        ended = [
            order_id
            for order_id, (desk, _) in self._live.items()
            if (ticket := (order := desk.orders[order_id]).ticket).time_in_force == "day"
            and symbol in (None, ticket.symbol)
            and (before is None or order.created_at < before)
        ]
        for order_id in ended:
            self._withdraw(order_id, "expired", now)
        self._clerk.publish()
        return len(ended)

    def restore(self, decisions: Iterable[Decision], now: datetime) -> None:
        """Be again what an earlier process was. Open orders go to the back of their queues, oldest first.

        None of them meets another: those that cross stood so before an open, and wait for it again.

        Raises StateCorrupt for an open order that could not be taken now, because what is listed has changed.
        """
        if self._desks:
            raise ValueError("only an empty exchange can be restored")
        for decision in decisions:
            self._clerk.relive(decision)
        for desk in self._desks.values():
            for order_id in desk.open:
                order = desk.orders[order_id]
                if not fits(order, self.listings[order.ticket.symbol]):
                    raise StateCorrupt(f"an open order in {order.ticket.symbol} is off its tick or lot")
                self._live[order_id] = (desk, self._markets[order.ticket.symbol].order_for(order))
        for desk, entry in sorted(
            self._live.values(), key=lambda live: live[0].orders[live[1].tag or ""].created_at
        ):
            market = self._markets[desk.orders[entry.tag or ""].ticket.symbol]
            market.book.open = False
            self._digest(market, market.enter(entry), now)
            market.book.open = not market.book.crossed
            self._clerk.publish()

    # -- what can be asked

    def order(self, account: str, order_id: str) -> VenueOrder | None:
        desk = self._desk(account)
        return None if desk is None else desk.orders.get(order_id)

    def order_by_client_id(self, account: str, client_order_id: str) -> VenueOrder | None:
        desk = self._desk(account)
        return None if desk is None else desk.orders.get(desk.by_client_id.get(client_order_id, ""))

    def orders(self, account: str) -> list[VenueOrder]:
        """Every order there ever was, oldest first."""
        desk = self._desk(account)
        return [] if desk is None else list(desk.orders.values())

    def open_orders(self, account: str) -> list[VenueOrder]:
        desk = self._desk(account)
        return [] if desk is None else [desk.orders[order_id] for order_id in desk.open]

    def executions(self, account: str) -> list[Execution]:
        """Every fill, oldest first."""
        desk = self._desk(account)
        return [] if desk is None else list(desk.executions)

    def positions(self, account: str) -> list[Position]:
        desk = self._desk(account)
        return [] if desk is None else desk.positions(self._mark)

    def account(self, account: str) -> AccountView | None:
        desk = self._desk(account)
        return None if desk is None else desk.view(self._mark)

    def accounts(self) -> list[str]:
        self._clerk.catch_up()
        return list(self._desks)

    def quote(self, symbol: str) -> Quote | None:
        """The top of the book since its last change; None before there ever was one."""
        return self._markets[symbol].quote

    def last_trade(self, symbol: str) -> Trade | None:
        return self._markets[symbol].last_trade

    def is_open(self, symbol: str) -> bool:
        return self._markets[symbol].book.open

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call the listener with everything that happens from now on. Returns how to stop."""
        return self._clerk.subscribe(listener)

    # -- inside

    def _desk(self, account: str) -> Desk | None:
        """The account, all of it written down."""
        self._clerk.catch_up()
        return self._desks.get(account)

    def _mark(self, symbol: str) -> Decimal | None:
        return self._markets[symbol].mark()

    def _refuse_cost(
        self, desk: Desk, hold: Hold, qty: Decimal, *, instead_of: str | None = None
    ) -> Refusal | None:
        cost = hold.amount(qty)
        if cost and cost > desk.free_margin(self._mark, instead_of=instead_of):
            return Refusal("insufficient_buying_power", "insufficient buying power")
        return None

    def _new_order(self, desk: Desk, ticket: Ticket, now: datetime) -> VenueOrder:
        return VenueOrder(
            id=self._new_id(),
            account=desk.account,
            ticket=ticket,
            status="new",
            created_at=now,
            updated_at=now,
            submitted_at=now,
            replaces=ticket.replaces,
        )

    def _withdraw(self, order_id: str, how: Literal["canceled", "expired"], now: datetime) -> None:
        """Take an open order out of its book; its remainder is over."""
        desk, entry = self._live.pop(order_id)
        market = self._markets[desk.orders[order_id].ticket.symbol]
        market.book.cancel(entry)
        self._clerk.end(desk, order_id, how, now)
        self._show(market, now)

    def _digest(self, market: Market, news: list[Happening], now: datetime) -> None:
        """Book what happened in a book, and note what the market shows of it."""
        for item in news:
            match item:
                case Fill(maker=maker, taker=taker, price=price, qty=qty):
                    for entry in (maker, taker):
                        if entry.tag is not None:
                            self._execute(entry.tag, market.qty(qty), market.price(price), now)
                case Wake(order=Order(tag=str(order_id))):
                    self._clerk.trigger(self._live[order_id][0], order_id, now)
                case Drop(order=Order(tag=str(order_id))):
                    self._clerk.end(self._live.pop(order_id)[0], order_id, "canceled", now)
                case _:
                    pass
        for trade in market.trades_in(news, now):
            self._clerk.note(TradePrinted(trade))
        self._show(market, now)

    def _execute(self, order_id: str, qty: Decimal, price: Decimal, now: datetime) -> None:
        after = self._clerk.execute(self._live[order_id][0], order_id, qty, price, now)
        if after.status == "filled":
            del self._live[order_id]

    def _show(self, market: Market, now: datetime) -> None:
        if (quote := market.fresh_quote(now)) is not None:
            self._clerk.note(QuoteChanged(quote))
