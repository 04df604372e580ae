"""The terms of one order as options: the same wherever an order is placed, previewed or let pass."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ordergate.cli.client import GatewayClient
from ordergate.cli.options import decimal_number
from ordergate.core.orders.terms import Side, TimeInForce

SymbolOf = Annotated[str, typer.Argument(help="What to trade, such as ESH4.")]
SideOf = Annotated[Side, typer.Argument(case_sensitive=False)]
QuantityOf = Annotated[str, typer.Argument(help="How much: an exact decimal.", callback=decimal_number)]
LimitPrice = Annotated[
    str | None,
    typer.Option("--limit", help="Limit price; without one it is a market order.", callback=decimal_number),
]
StopPrice = Annotated[str | None, typer.Option("--stop", help="Stop price.", callback=decimal_number)]
Tif = Annotated[TimeInForce, typer.Option("--tif", case_sensitive=False, help="Time in force.")]
ExtendedHours = Annotated[bool, typer.Option("--extended-hours", help="Outside the regular session as well.")]
ClientOrderId = Annotated[
    str | None, typer.Option("--client-order-id", help="Your own name for it, used once.")
]
StrategyOf = Annotated[str | None, typer.Option("--strategy", help="Which strategy it belongs to.")]
StrategyVersion = Annotated[
    str | None, typer.Option("--strategy-version", help="Which version of it decided.")
]
UserOf = Annotated[str | None, typer.Option("--user", help="Who answers for it.")]
VenueOf = Annotated[str | None, typer.Option("--venue", help="Where, of what the broker offers.")]


def terms_of(
    client: GatewayClient,
    *,
    symbol: str,
    side: Side,
    quantity: str,
    limit: str | None,
    stop: str | None,
    tif: TimeInForce,
    extended_hours: bool,
    client_order_id: str | None,
    strategy: str | None,
    strategy_version: str | None,
    user: str | None,
    venue: str | None,
    account: str | None,
) -> dict[str, Any]:
    """The order as the API takes it. Its type follows from the prices it is given."""
    kinds = {
        (False, False): "market",
        (True, False): "limit",
        (False, True): "stop",
        (True, True): "stop_limit",
    }
    terms = {
        "account_id": account or client.profile.account_id,
        "symbol": symbol,
        "side": side.value,
        "type": kinds[limit is not None, stop is not None],
        "quantity": quantity,
        "limit_price": limit,
        "stop_price": stop,
        "time_in_force": tif.value,
        "extended_hours": extended_hours or None,
        "client_order_id": client_order_id,
        "strategy": strategy,
        "strategy_version": strategy_version,
        "user": user,
        "venue": venue,
    }
    return {name: value for name, value in terms.items() if value is not None}
