"""`orders`: place, look, change, cancel, preview; `watch` is in its own module."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from ordergate.cli import outcomes, tables, watching
from ordergate.cli.client import PAGE, gateway
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import (
    Account,
    AsJson,
    Key,
    Limit,
    OnlyAccount,
    OrderId,
    ProfileFile,
    WaitFor,
    decimal_number,
)
from ordergate.cli.output import progress, show, waiting
from ordergate.cli.terms import (
    ClientOrderId,
    ExtendedHours,
    LimitPrice,
    QuantityOf,
    SideOf,
    StopPrice,
    StrategyOf,
    StrategyVersion,
    SymbolOf,
    Tif,
    UserOf,
    VenueOf,
    terms_of,
)
from ordergate.core.orders.events import Resolution
from ordergate.core.orders.terms import TimeInForce

app = typer.Typer(no_args_is_help=True, help="Place, follow, change and cancel orders.")
app.command()(watching.watch)

IfMatch = Annotated[
    str | None,
    typer.Option("--if-match", help="Only if the order is still at this revision, as it was shown."),
]


@app.command()
def place(
    symbol: SymbolOf,
    side: SideOf,
    quantity: QuantityOf,
    *,
    limit: LimitPrice = None,
    stop: StopPrice = None,
    tif: Tif = TimeInForce.DAY,
    extended_hours: ExtendedHours = False,
    client_order_id: ClientOrderId = None,
    strategy: StrategyOf = None,
    strategy_version: StrategyVersion = None,
    user: UserOf = None,
    venue: VenueOf = None,
    account: Account = None,
    wait: WaitFor = 0,
    key: Key = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Place an order."""
    with gateway(profile) as client:
        terms = terms_of(
            client,
            symbol=symbol,
            side=side,
            quantity=quantity,
            limit=limit,
            stop=stop,
            tif=tif,
            extended_hours=extended_hours,
            client_order_id=client_order_id,
            strategy=strategy,
            strategy_version=strategy_version,
            user=user,
            venue=venue,
            account=account,
        )
        with _broker(wait, as_json):
            order = client.command("POST", "/v1/orders", terms, key=key, wait_s=wait)
    show(order, as_json, tables.one_order(order))
    outcomes.refuse_if(outcomes.is_refused(order), f"the order was {order['status']}")


@app.command()
def preview(
    symbol: SymbolOf,
    side: SideOf,
    quantity: QuantityOf,
    *,
    limit: LimitPrice = None,
    stop: StopPrice = None,
    tif: Tif = TimeInForce.DAY,
    extended_hours: ExtendedHours = False,
    client_order_id: ClientOrderId = None,
    strategy: StrategyOf = None,
    strategy_version: StrategyVersion = None,
    user: UserOf = None,
    venue: VenueOf = None,
    account: Account = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask what risk would say to an order. Nothing is sent."""
    with gateway(profile) as client:
        terms = terms_of(
            client,
            symbol=symbol,
            side=side,
            quantity=quantity,
            limit=limit,
            stop=stop,
            tif=tif,
            extended_hours=extended_hours,
            client_order_id=client_order_id,
            strategy=strategy,
            strategy_version=strategy_version,
            user=user,
            venue=venue,
            account=account,
        )
        told = client.send("POST", "/v1/orders/preview", terms)
    uses = tables.limit_uses(told.get("limits", ()))
    show(told, as_json, Group(tables.preview(told), Text(), uses))
    if not told["would_be_accepted"]:
        raise typer.Exit(ExitCode.REFUSED)


@app.command("list")
def list_(
    *,
    only_open: Annotated[bool, typer.Option("--open", help="Only orders that may still fill.")] = False,
    status: Annotated[str | None, typer.Option(help="Only orders of this status.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only orders in this.")] = None,
    client_order_id: Annotated[str | None, typer.Option(help="The order of this name.")] = None,
    account: OnlyAccount = None,
    limit: Limit = 50,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """List orders, newest first."""
    query = {"account_id": account, "status": status, "symbol": symbol, "client_order_id": client_order_id}
    found: list[Any] = []
    with gateway(profile) as client, progress("orders", limit if limit > PAGE else None) as ticks:
        for page in client.pages("/v1/orders", "orders", limit, open=only_open or None, **query):
            found += page
            ticks.advance(len(page))
    show({"orders": found}, as_json, tables.orders(found))


@app.command("show")
def show_(order_id: OrderId, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Show one order as it stands."""
    with gateway(profile) as client:
        order = client.get(f"/v1/orders/{order_id}")
    show(order, as_json, tables.one_order(order))


@app.command()
def events(order_id: OrderId, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Show everything that happened to an order, oldest first."""
    with gateway(profile) as client:
        told = client.get(f"/v1/orders/{order_id}/events")
    show(told, as_json, tables.events(told["events"]))


@app.command()
def cancel(
    order_id: OrderId,
    *,
    wait: WaitFor = 0,
    if_match: IfMatch = None,
    key: Key = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask for an order to be canceled."""
    with gateway(profile) as client, _broker(wait, as_json):
        order = client.command(
            "DELETE", f"/v1/orders/{order_id}", key=key, wait_s=wait, if_match=_tag(if_match)
        )
    show(order, as_json, tables.one_order(order))
    not_so = bool(wait) and outcomes.is_uncanceled(order)
    outcomes.refuse_if(not_so, f"the order was not canceled: it is {order['status']}")


@app.command()
def cancel_all(
    *,
    account: Account = None,
    symbol: Annotated[str | None, typer.Option(help="Only orders in this.")] = None,
    key: Key = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask for every open order of an account to be canceled."""
    with gateway(profile) as client:
        query = _given({"account_id": account or client.profile.account_id, "symbol": symbol})
        told = client.command("DELETE", "/v1/orders", key=key, query=query)
    results = told["results"]
    people = tables.cancel_results(results) if results else Text("no open orders")
    show(told, as_json, people)
    left = outcomes.left_alone(results)
    outcomes.refuse_if(left > 0, f"{left} of {len(results)} open orders are not being canceled")


@app.command()
def replace(
    order_id: OrderId,
    *,
    quantity: Annotated[
        str | None, typer.Option(help="The new total, what is filled included.", callback=decimal_number)
    ] = None,
    limit: Annotated[
        str | None, typer.Option("--limit", help="The new limit price.", callback=decimal_number)
    ] = None,
    stop: Annotated[
        str | None, typer.Option("--stop", help="The new stop price.", callback=decimal_number)
    ] = None,
    wait: WaitFor = 0,
    if_match: IfMatch = None,
    key: Key = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Change an order's quantity or prices."""
    changes = _given({"quantity": quantity, "limit_price": limit, "stop_price": stop})
    if not changes:
        raise Stopped(ExitCode.USAGE, "say what to change: --quantity, --limit or --stop")
    with gateway(profile) as client, _broker(wait, as_json):
        order = client.command(
            "PATCH", f"/v1/orders/{order_id}", changes, key=key, wait_s=wait, if_match=_tag(if_match)
        )
    show(order, as_json, tables.one_order(order))
    not_so = bool(wait) and outcomes.is_unchanged(order, changes)
    outcomes.refuse_if(not_so, f"the order was not changed as asked: it is {order['status']}")


@app.command()
def resolve(
    order_id: OrderId,
    *,
    resolution: Annotated[Resolution, typer.Option("--as", help="What became of it.")],
    reason: Annotated[str, typer.Option("--reason", help="How you know; it is journalled.")],
    broker_order_id: Annotated[str | None, typer.Option(help="Which order it is at the broker.")] = None,
    cum_qty: Annotated[str | None, typer.Option(help="What was filled before it ended.")] = None,
    avg_px: Annotated[str | None, typer.Option(help="At which average price.")] = None,
    key: Key = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what became of an order in question, where no question to the broker can prove it."""
    word = _given(
        {
            "as": resolution.value,
            "reason": reason,
            "broker_order_id": broker_order_id,
            "cum_qty": cum_qty,
            "avg_px": avg_px,
        }
    )
    with gateway(profile) as client:
        order = client.command("POST", f"/v1/orders/{order_id}/resolve", word, key=key)
    show(order, as_json, tables.one_order(order))


def _broker(wait: int, as_json: bool) -> AbstractContextManager[None]:
    """Something to look at while the broker is waited for."""
    return waiting("waiting for the broker", quiet=as_json or not wait)


def _tag(revision: str | None) -> str | None:
    """A revision as an ETag; what is one already, or `*`, as it is."""
    return f'"{revision}"' if revision is not None and revision.isdecimal() else revision


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
