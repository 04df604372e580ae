"""What an account has, what can be traded, and the token to ask with."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from ordergate.cli import tables
from ordergate.cli.client import PAGE, gateway
from ordergate.cli.options import Account, AsJson, Limit, ProfileFile, an_id
from ordergate.cli.output import progress, show, to_programs

app = typer.Typer(invoke_without_command=True, help="Accounts and their balances.")


@app.callback()
def accounts(context: typer.Context, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Accounts and their balances."""
    if context.invoked_subcommand is not None:
        return
    with gateway(profile) as client:
        told = client.get("/v1/accounts")
    balances = [balance for account in told["accounts"] for balance in account["balances"]]
    show(told, as_json, tables.balances(balances))


@app.command("show")
def show_(
    account: Annotated[
        str | None, typer.Argument(help="Instead of the profile's account.", callback=an_id)
    ] = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """One account: where its stream stands, what it has and is worth, and what does not add up."""
    with gateway(profile) as client:
        told = client.get(f"/v1/accounts/{account or client.profile.account_id}")
    facts = {name: told[name] for name in ("id", "env", "seq", "open_orders")}
    worth = {
        name.replace("_", " "): f"{told[name] or '?'} {told['currency']}"
        for name in ("equity", "buying_power")
    }
    found = tables.breaks(told["breaks"]) if told["breaks"] else Text("no open breaks", style="dim")
    held = tables.worth(told["positions"])
    shown = [tables.sheet(facts | worth), tables.balances(told["balances"]), held, found]
    if told["breaks_next"] is not None:
        shown.append(Text("there are more open breaks: ordergate breaks list", style="yellow"))
    show(told, as_json, Group(*shown))


def positions(account: Account = None, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Show positions."""
    with gateway(profile) as client:
        told = client.get(f"/v1/accounts/{account or client.profile.account_id}/positions")
    show(told, as_json, tables.positions(told["positions"]))


def executions(
    account: Account = None, limit: Limit = 50, profile: ProfileFile = None, as_json: AsJson = False
) -> None:
    """List executions."""
    found: list[Any] = []
    with gateway(profile) as client, progress("executions", limit if limit > PAGE else None) as ticks:
        path = f"/v1/accounts/{account or client.profile.account_id}/executions"
        for page in client.pages(path, "executions", limit):
            found += page
            ticks.advance(len(page))
    show({"executions": found}, as_json, tables.executions(found))


def instruments(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """List what can be traded."""
    with gateway(profile) as client:
        told = client.get("/v1/instruments")
    show(told, as_json, tables.instruments(told["instruments"]))


def quotes(
    symbol: Annotated[str, typer.Argument(help="Of which instrument.")],
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the last quote and the last trade of an instrument."""
    with gateway(profile) as client:
        told = client.get("/v1/quotes", symbol=symbol)
    show(told, as_json, tables.prices(told))


def token(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Print an access token, for curl and the like. Live gives none that serves whoever has it."""
    with gateway(profile) as client:
        found = client.token_for_others()
    if as_json:
        to_programs(found.answer)
    else:
        sys.stdout.write(found.text + "\n")
