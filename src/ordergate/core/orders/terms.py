"""The terms of an order, in FIX's words."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from ordergate.core.ids import AccountId, Symbol


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"

    @property
    def needs_limit_price(self) -> bool:
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def needs_stop_price(self) -> bool:
        return self in (OrderType.STOP, OrderType.STOP_LIMIT)


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class Terms(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What the client asked for. `quantity` is FIX OrderQty: the total, filled part included.

    `client_order_id` is the client's own label, unique within the account for ever. `strategy` and
    `strategy_version` name the algorithm that decided, `user` the person who answers for it. `venue` is where
    the broker is to send it; without one that is the broker's to choose.
    """

    account: AccountId
    symbol: Symbol
    side: Side
    type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce
    client_order_id: str | None = None
    strategy: str | None = None
    extended_hours: bool = False
    strategy_version: str | None = None
    user: str | None = None
    venue: str | None = None


def asked_as(terms: Terms, converted_from: OrderType | None) -> Terms:
    """The terms as the client asked for them: what was at the market had no limit."""
    if converted_from is None:
        return terms
    return msgspec.structs.replace(terms, type=converted_from, limit_price=None)
