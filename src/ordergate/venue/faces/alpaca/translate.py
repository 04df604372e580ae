"""Turns the venue's values into Alpaca's bodies. Pure and total: no clock, no exchange, no socket.

Exact amounts stay exact; only quotients Alpaca shows (an average price, a percentage) are rounded.
"""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from uuid import NAMESPACE_URL, UUID, uuid5

from msgspec import UNSET

from ordergate.venue.faces.alpaca.wire import (
    AccountBody,
    AssetBody,
    FillBody,
    OrderBody,
    PositionBody,
    QuoteFrame,
    TradeFrame,
    UpdateData,
    UpdateFrame,
)
from ordergate.venue.words import (
    AccountView,
    AssetClass,
    Execution,
    Listing,
    OrderUpdated,
    Position,
    Quote,
    Trade,
    VenueOrder,
)

_QUOTIENT = Decimal("1E-9")
_NAMES = uuid5(NAMESPACE_URL, "https://ordergate.invalid/venue")


@lru_cache(maxsize=65_536)
def amount(value: Decimal) -> str:
    """The shortest plain decimal text of a value: never an exponent, never a spare zero."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def quotient(value: Decimal) -> str:
    return amount(value.quantize(_QUOTIENT, rounding=ROUND_HALF_EVEN))


def optional(value: Decimal | None) -> str | None:
    return None if value is None else amount(value)


@lru_cache(maxsize=4_096)
def asset_id(symbol: str) -> str:
    """Alpaca names assets by uuid; ours follow from the symbol, so they survive a restart."""
    return str(uuid5(_NAMES, f"asset:{symbol}"))


def account_uuid(account: str) -> str:
    try:
        return str(UUID(account))
    except ValueError:
        return str(uuid5(_NAMES, f"account:{account}"))


def shown_class(asset_class: AssetClass) -> str:
    return "us_equity" if asset_class == "future" else asset_class


def order_body(order: VenueOrder, asset_class: AssetClass) -> OrderBody:
    ticket = order.ticket
    average = order.filled_avg_price
    return OrderBody(
        id=order.id,
        client_order_id=ticket.client_order_id,
        created_at=order.created_at,
        updated_at=order.updated_at,
        submitted_at=order.submitted_at,
        filled_at=order.filled_at,
        expired_at=order.expired_at,
        canceled_at=order.canceled_at,
        failed_at=order.failed_at,
        replaced_at=order.replaced_at,
        replaced_by=order.replaced_by,
        replaces=order.replaces,
        asset_id=asset_id(ticket.symbol),
        symbol=ticket.symbol,
        asset_class=shown_class(asset_class),
        qty=amount(ticket.qty),
        filled_qty=amount(order.filled_qty),
        filled_avg_price=None if average is None else quotient(average),
        order_type=ticket.type,
        type=ticket.type,
        side=ticket.side,
        time_in_force=ticket.time_in_force,
        limit_price=optional(ticket.limit_price),
        stop_price=optional(ticket.stop_price),
        status=order.status,
        extended_hours=ticket.extended_hours,
    )


def update_frame(update: OrderUpdated, asset_class: AssetClass) -> UpdateFrame:
    """Alpaca gives every update an execution id; where nothing was executed ours follows from the event."""
    order = order_body(update.order, asset_class)
    execution = update.execution
    if execution is None:
        name = f"{update.event}:{update.order.id}:{update.at.isoformat()}"
        return UpdateFrame(
            UpdateData(
                event=update.event, execution_id=str(uuid5(_NAMES, name)), timestamp=update.at, order=order
            )
        )
    return UpdateFrame(
        UpdateData(
            event=update.event,
            execution_id=execution.id,
            timestamp=execution.at,
            price=amount(execution.price),
            qty=amount(execution.qty),
            position_qty=amount(execution.position_qty),
            order=order,
        )
    )


def activity_id(execution: Execution) -> str:
    """`yyyymmddHHMMSSmmm::uuid`, the page token of the activities."""
    at = execution.at
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}::{execution.id}"


def fill_body(execution: Execution) -> FillBody:
    whole = execution.leaves_qty == 0
    return FillBody(
        id=activity_id(execution),
        order_id=execution.order_id,
        symbol=execution.symbol,
        side=execution.side,
        type="fill" if whole else "partial_fill",
        qty=amount(execution.qty),
        price=amount(execution.price),
        cum_qty=amount(execution.cum_qty),
        leaves_qty=amount(execution.leaves_qty),
        transaction_time=execution.at,
        order_status="filled" if whole else "partially_filled",
    )


def position_body(position: Position, held_for_orders: Decimal) -> PositionBody:
    """`held_for_orders` is what open orders would close; it is not available to others."""
    price = position.avg_entry_price if position.market_price is None else position.market_price
    value = position.qty * price * position.multiplier
    profit = value - position.cost_basis
    share = profit / abs(position.cost_basis) if position.cost_basis else Decimal(0)
    free = max(abs(position.qty) - held_for_orders, Decimal(0))
    return PositionBody(
        asset_id=asset_id(position.symbol),
        symbol=position.symbol,
        asset_class=shown_class(position.asset_class),
        avg_entry_price=quotient(position.avg_entry_price),
        qty=amount(position.qty),
        qty_available=amount(free.copy_sign(position.qty)),
        side="long" if position.qty > 0 else "short",
        market_value=amount(value),
        cost_basis=amount(position.cost_basis),
        unrealized_pl=amount(profit),
        unrealized_plpc=quotient(share),
        unrealized_intraday_pl=amount(profit),
        unrealized_intraday_plpc=quotient(share),
        current_price=amount(price),
        lastday_price=amount(price),
        change_today="0",
        exchange="NASDAQ" if position.asset_class == "us_equity" else "",
        asset_marginable=position.asset_class != "crypto",
    )


def account_body(account: AccountView, today: datetime) -> AccountBody:
    return AccountBody(
        id=account_uuid(account.id),
        account_number=account.id,
        created_at=account.created_at,
        balance_asof=today.date().isoformat(),
        currency=account.currency,
        cash=amount(account.cash),
        equity=amount(account.equity),
        portfolio_value=amount(account.equity),
        last_equity=amount(account.equity),
        buying_power=amount(account.buying_power),
        regt_buying_power=amount(account.buying_power),
        daytrading_buying_power=amount(account.buying_power),
        non_marginable_buying_power=amount(max(account.cash, Decimal(0))),
        long_market_value=amount(account.long_market_value),
        short_market_value=amount(account.short_market_value),
        initial_margin=amount(account.initial_margin),
        maintenance_margin=amount(account.initial_margin),
        multiplier=amount(account.multiplier),
    )


def asset_body(listing: Listing) -> AssetBody:
    """Alpaca's published exchanges know neither crypto venues nor CME; both are shown as OTC."""
    margin = listing.asset_class != "crypto"
    return AssetBody(
        id=asset_id(listing.symbol),
        asset_class=shown_class(listing.asset_class),
        exchange="NASDAQ" if listing.asset_class == "us_equity" else "OTC",
        symbol=listing.symbol,
        name=listing.name,
        min_order_size=amount(listing.lot),
        min_trade_increment=amount(listing.lot),
        price_increment=amount(listing.tick),
        marginable=margin,
        shortable=margin,
        easy_to_borrow=margin,
        fractionable=listing.lot < 1,
    )


def _size(value: Decimal) -> Decimal | int:
    """Whole sizes travel as integers, as the published stream schema asks."""
    return int(value) if value == value.to_integral_value() else value


def trade_frame(trade: Trade, *, crypto: bool) -> TradeFrame:
    taker = {"buy": "B", "sell": "S"}.get(trade.taker_side or "")
    return TradeFrame(
        kind="t",
        symbol=trade.symbol,
        i=trade.id,
        p=trade.price,
        s=_size(trade.size),
        t=trade.at,
        x=UNSET if crypto else "V",
        c=UNSET if crypto else ["@"],
        z=UNSET if crypto else "C",
        tks=taker if crypto and taker else UNSET,
    )


def quote_frame(quote: Quote, *, crypto: bool) -> QuoteFrame:
    """A side without orders is shown with price and size zero, as Alpaca does."""
    return QuoteFrame(
        kind="q",
        symbol=quote.symbol,
        bp=quote.bid or Decimal(0),
        bs=_size(quote.bid_size),
        ap=quote.ask or Decimal(0),
        as_=_size(quote.ask_size),
        t=quote.at,
        bx=UNSET if crypto else "V",
        ax=UNSET if crypto else "V",
        c=UNSET if crypto else ["R"],
        z=UNSET if crypto else "C",
    )
