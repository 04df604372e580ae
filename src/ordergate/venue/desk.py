"""Keeps one account: its orders, executions, money and what its open orders hold back.

Its state changes in one place, `evolve`, and only by a decision of the exchange, so a desk rebuilt from
the decision log equals the one that lived. Never decides anything itself and never touches a book.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from msgspec.structs import replace

from ordergate.venue.admission import LEVERAGE, Hold
from ordergate.venue.ledger import ZERO, Holding, Ledger
from ordergate.venue.state import (
    AccountOpened,
    Decision,
    OrderEnded,
    OrderExecuted,
    OrderTaken,
    OrderTriggered,
)
from ordergate.venue.words import FINAL, AccountView, Execution, Listing, Position, SideName, VenueOrder

PriceOf = Callable[[str], Decimal | None]


class Desk:
    """One account, as the decisions so far have made it."""

    def __init__(self, opened: AccountOpened) -> None:
        self.account = opened.account
        self.created_at: datetime = opened.at
        self.ledger = Ledger(opened.cash)
        self.orders: dict[str, VenueOrder] = {}
        self.by_client_id: dict[str, str] = {}
        self.executions: list[Execution] = []
        self.open: dict[str, Hold] = {}
        self._held = ZERO
        self._closes: defaultdict[tuple[str, SideName], Decimal] = defaultdict(Decimal)

    # -- state

    def evolve(self, decision: Decision, listing: Listing) -> VenueOrder:
        """Let a decision about one order happen, and return the order as it is now."""
        match decision:
            case OrderTaken(order=order, hold=unit, closing=closing):
                hold = self.open[order.id] = Hold(unit, closing)
                self.by_client_id[order.ticket.client_order_id] = order.id
                self._keep_back(hold, order, 1)
                after = order
            case OrderExecuted(execution=execution):
                self.ledger.book(listing, execution.side, execution.qty, execution.price)
                self.executions.append(execution)
                after = self._move(_filled(self.orders[execution.order_id], execution))
            case OrderTriggered(order_id=order_id, at=at):
                after = replace(self.orders[order_id], triggered_at=at, updated_at=at)
            case OrderEnded():
                after = self._move(_ended(self.orders[decision.order_id], decision))
            case AccountOpened():
                raise ValueError("an account is opened once")
            case _:
                assert_never(decision)
        self.orders[after.id] = after
        return after

    def _move(self, after: VenueOrder) -> VenueOrder:
        """Give back what the order no longer holds."""
        hold = self.open[after.id]
        before = self.orders[after.id]
        self._keep_back(hold, before, -1)
        self._keep_back(hold, after, 1)
        if after.status in FINAL:
            del self.open[after.id]
        return after

    def _keep_back(self, hold: Hold, order: VenueOrder, sign: int) -> None:
        self._held += sign * hold.amount(order.leaves_qty, order.filled_qty)
        closes = hold.closes(order.leaves_qty, order.filled_qty)
        self._closes[order.ticket.symbol, order.ticket.side] += sign * closes

    def _position_for(self, symbol: str, side: SideName) -> Decimal:
        """How much there is to close for orders of this side."""
        position = self.ledger.qty(symbol)
        return abs(position) if (position < 0 if side == "buy" else position > 0) else ZERO

    def _closing(self, besides: str | None) -> dict[tuple[str, SideName], Decimal]:
        """What open orders close, but for one of them."""
        if besides is None:
            return self._closes
        order = self.orders[besides]
        key = order.ticket.symbol, order.ticket.side
        closes = self.open[besides].closes(order.leaves_qty, order.filled_qty)
        return {**self._closes, key: self._closes[key] - closes}

    def _gone(self, besides: str | None) -> Decimal:
        """The margin of what open orders were to close, and the position is not there any more."""
        kept = ZERO
        for (symbol, side), closes in self._closing(besides).items():
            missing = closes - self._position_for(symbol, side)
            if missing > 0:
                kept += missing * max(
                    hold.unit
                    for order_id, hold in self.open.items()
                    if (ticket := self.orders[order_id].ticket).symbol == symbol and ticket.side == side
                )
        return kept

    # -- views

    def closable(self, symbol: str, side: SideName, *, instead_of: str | None = None) -> Decimal:
        """What a new order may close of a position: no other open one closes the same.

        Where it replaces an order, that one closes nothing any more.
        """
        closes = self._closing(instead_of).get((symbol, side), ZERO)
        return max(ZERO, self._position_for(symbol, side) - closes)

    def held(self, *, besides: str | None = None) -> Decimal:
        """What open orders keep back, but for one of them."""
        held = self._held + self._gone(besides)
        if besides is not None:
            order = self.orders[besides]
            held -= self.open[besides].amount(order.leaves_qty, order.filled_qty)
        return held

    def positions(self, price_of: PriceOf) -> list[Position]:
        return [
            _position(symbol, holding, price_of(symbol))
            for symbol, holding in sorted(self.ledger.holdings.items())
            if holding.qty
        ]

    def free_margin(self, price_of: PriceOf, *, instead_of: str | None = None) -> Decimal:
        """What is left of the account's own money for a new order, or for one in the place of another."""
        view = self.view(price_of)
        return view.equity - view.initial_margin - self.held(besides=instead_of)

    def view(self, price_of: PriceOf) -> AccountView:
        equity, used, long_value, short_value = self.ledger.cash, ZERO, ZERO, ZERO
        for symbol, holding in self.ledger.holdings.items():
            if not holding.qty:
                continue
            price = price_of(symbol)
            value = holding.cost if price is None else holding.qty * price * holding.listing.multiplier
            if holding.listing.asset_class == "future":
                equity += value - holding.cost
                used += abs(holding.qty) * holding.listing.margin
            else:
                equity += value
                used += abs(value) / LEVERAGE
                long_value += max(ZERO, value)
                short_value += min(ZERO, value)
        return AccountView(
            id=self.account,
            created_at=self.created_at,
            currency="USD",
            cash=self.ledger.cash,
            equity=equity,
            long_market_value=long_value,
            short_market_value=short_value,
            initial_margin=used,
            buying_power=max(ZERO, (equity - used - self.held()) * LEVERAGE),
            multiplier=LEVERAGE,
        )


def _position(symbol: str, holding: Holding, price: Decimal | None) -> Position:
    return Position(
        symbol=symbol,
        asset_class=holding.listing.asset_class,
        qty=holding.qty,
        avg_entry_price=holding.avg_price,
        cost_basis=holding.cost,
        multiplier=holding.listing.multiplier,
        realized_pl=holding.realized,
        market_price=price,
    )


def _filled(order: VenueOrder, execution: Execution) -> VenueOrder:
    done = not execution.leaves_qty
    return replace(
        order,
        status="filled" if done else "partially_filled",
        filled_qty=execution.cum_qty,
        filled_notional=order.filled_notional + execution.qty * execution.price,
        filled_at=execution.at,
        updated_at=execution.at,
    )


def _ended(order: VenueOrder, ended: OrderEnded) -> VenueOrder:
    match ended.how:
        case "canceled":
            return replace(order, status="canceled", canceled_at=ended.at, updated_at=ended.at)
        case "expired":
            return replace(order, status="expired", expired_at=ended.at, updated_at=ended.at)
        case "replaced":
            return replace(
                order,
                status="replaced",
                replaced_at=ended.at,
                updated_at=ended.at,
                replaced_by=ended.replaced_by,
            )
        case _:
            assert_never(ended.how)
