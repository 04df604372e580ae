"""`groups`: orders that belong together; and `flatten`, which leaves nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich.console import Group as Lines

from ordergate.cli import outcomes, tables
from ordergate.cli.client import PAGE, GatewayClient, gateway
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import Account, AsJson, Key, Limit, OnlyAccount, ProfileFile, an_id, decimal_number
from ordergate.cli.output import progress, show, waiting
from ordergate.core.orders.terms import Side, TimeInForce

app = typer.Typer(no_args_is_help=True, help="Orders that belong together: brackets and the like.")

LOOK_EVERY_S: Final = 0.25

GroupId = Annotated[str, typer.Argument(help="The group's id, as `place` showed it.", callback=an_id)]


class Kind(StrEnum):
    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"
    TRAILING_STOP = "trailing_stop"


_WITH_ENTRY: Final = (Kind.BRACKET, Kind.OTO)


@app.command()
def place(
    kind: Annotated[Kind, typer.Argument(metavar="TYPE", case_sensitive=False, help=" | ".join(Kind))],
    symbol: Annotated[str, typer.Argument(help="What to trade, such as ESH4.")],
    side: Annotated[
        Side, typer.Argument(case_sensitive=False, help="Of the entry; of the legs where there is none.")
    ],
    quantity: Annotated[str, typer.Argument(help="How much: an exact decimal.", callback=decimal_number)],
    *,
    limit: Annotated[
        str | None, typer.Option("--limit", help="The entry's limit; without one it is a market order.")
    ] = None,
    profit: Annotated[str | None, typer.Option("--profit", help="The limit that takes the profit.")] = None,
    stop: Annotated[str | None, typer.Option("--stop", help="The stop that ends a loss.")] = None,
    stop_limit: Annotated[
        str | None, typer.Option("--stop-limit", help="The worst price once the stop is reached.")
    ] = None,
    trail: Annotated[
        str | None, typer.Option("--trail", help="Instead of --stop: how far behind the market.")
    ] = None,
    trail_percent: Annotated[
        str | None, typer.Option("--trail-percent", help="The same, in percent of the best price.")
    ] = None,
    tif: Annotated[
        TimeInForce | None,
        typer.Option(case_sensitive=False, help="The entry's time in force; day if not given."),
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Which strategy it belongs to.")] = None,
    strategy_version: Annotated[str | None, typer.Option(help="Which version of it decided.")] = None,
    user: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    account: Account = None,
    key: Key = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Place a group: a bracket, one-cancels-other, one-triggers-other, or a trailing stop."""
    guard = _guard(stop, stop_limit, trail, trail_percent)
    takes = None if profit is None else {"type": "limit", "limit_price": profit}
    _refuse_what_only_an_entry_has(kind, {"--limit": limit, "--tif": tif})
    legs = _legs(kind, side, {"limit": limit, "tif": (tif or TimeInForce.DAY).value}, takes, guard)
    with gateway(profile) as client:
        body = {
            "account_id": account or client.profile.account_id,
            "type": kind.value,
            "symbol": symbol,
            "quantity": quantity,
            "legs": legs,
        }
        whose = {"strategy": strategy, "strategy_version": strategy_version, "user": user}
        body |= {name: value for name, value in whose.items() if value is not None}
        group = client.command("POST", "/v1/order-groups", body, key=key)
    _show(group, as_json)


@app.command("list")
def list_(
    *,
    only_active: Annotated[bool, typer.Option("--active", help="Only groups that are not over.")] = False,
    account: OnlyAccount = None,
    limit: Limit = 50,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """List groups, newest first."""
    found: list[Any] = []
    with gateway(profile) as client, progress("groups", limit if limit > PAGE else None) as ticks:
        active = only_active or None
        for page in client.pages("/v1/order-groups", "groups", limit, active=active, account_id=account):
            found += page
            ticks.advance(len(page))
    show({"groups": found}, as_json, tables.groups(found))


@app.command("show")
def show_(group_id: GroupId, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Show one group, and what became of each of its orders."""
    with gateway(profile) as client:
        group = client.get(f"/v1/order-groups/{group_id}")
    _show(group, as_json)


@app.command()
def events(group_id: GroupId, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Show everything that happened to a group besides its orders, oldest first."""
    with gateway(profile) as client:
        told = client.get(f"/v1/order-groups/{group_id}/events")
    show(told, as_json, tables.group_events(told["events"]))


@app.command()
def cancel(group_id: GroupId, key: Key = None, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Ask for everything that is left of a group to be canceled."""
    with gateway(profile) as client:
        group = client.command("DELETE", f"/v1/order-groups/{group_id}", key=key)
    _show(group, as_json)


def flatten(
    *,
    account: Account = None,
    symbol: Annotated[str | None, typer.Option(help="Only what is in this.")] = None,
    wait: Annotated[
        int, typer.Option("--wait", min=0, max=600, help="Wait up to so many seconds until it is done.")
    ] = 30,
    key: Key = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Cancel every open order of an account and close every position, as one command."""
    with gateway(profile) as client:
        path = f"/v1/accounts/{account or client.profile.account_id}/flatten"
        body = {} if symbol is None else {"symbol": symbol}
        group = client.command("POST", path, body, key=key)
        with waiting("waiting until nothing is left", quiet=as_json or not wait):
            group, trouble = _until_ended(client, group, wait)
    _show(group, as_json)
    is_done = group["status"] == "ended" and group["reason"] == "completed"
    how = f"is not done in {wait} s, and goes on" if group["status"] == "active" else f"is {group['reason']}"
    if trouble is not None:
        how = f"goes on, and was not seen to be done in {wait} s: {trouble}"
    outcomes.refuse_if(bool(wait) and not is_done, f"the flatten {how}")


def _until_ended(client: GatewayClient, group: Any, wait_s: int) -> tuple[Any, str | None]:
    """The group once it is over, or as it was last seen when that takes too long; why it was not seen since.

    It goes on, whether it can be looked at or not: nothing that a look meets is an answer to the command.
    """
    patience, trouble = time.monotonic() + wait_s, None
    while group["status"] == "active" and time.monotonic() < patience:
        time.sleep(LOOK_EVERY_S)
        try:
            group, trouble = client.get(f"/v1/order-groups/{group['id']}"), None
        except Stopped as stopped:
            trouble = stopped.sentence
    return group, trouble


def _guard(
    stop: str | None, stop_limit: str | None, trail: str | None, trail_percent: str | None
) -> dict[str, str] | None:
    """The leg that ends a loss; None where there is none."""
    if sum(one is not None for one in (stop, trail, trail_percent)) > 1:
        raise Stopped(ExitCode.USAGE, "give one of --stop, --trail and --trail-percent")
    if stop_limit is not None and stop is None:
        raise Stopped(ExitCode.USAGE, "--stop-limit needs --stop")
    if stop is not None and stop_limit is not None:
        return {"type": "stop_limit", "stop_price": stop, "limit_price": stop_limit}
    if stop is not None:
        return {"type": "stop", "stop_price": stop}
    if trail is not None:
        return {"type": "trailing_stop", "trail_amount": trail}
    if trail_percent is not None:
        return {"type": "trailing_stop", "trail_percent": trail_percent}
    return None


def _refuse_what_only_an_entry_has(kind: Kind, options: Mapping[str, str | None]) -> None:
    """To leave it out silently would place another group than the one that was meant."""
    given = [option for option, value in options.items() if value is not None]
    if given and kind not in _WITH_ENTRY:
        article = "an" if kind is Kind.OCO else "a"
        sentence = f"{article} {kind.value} has no entry: take {', '.join(given)} out"
        raise Stopped(ExitCode.USAGE, sentence)


def _legs(
    kind: Kind,
    side: Side,
    entry: dict[str, str | None],
    profit: dict[str, str] | None,
    guard: dict[str, str] | None,
) -> list[dict[str, Any]]:
    """The legs that the type has, made of the prices that were given."""
    away = Side.SELL if side is Side.BUY else Side.BUY
    first: dict[str, Any] = {"role": "entry", "side": side.value, "time_in_force": entry["tif"]}
    if entry["limit"] is None:
        first |= {"type": "market"}
    else:
        first |= {"type": "limit", "limit_price": entry["limit"]}
    match kind:
        case Kind.BRACKET if profit and guard:
            return [
                first,
                {"role": "take_profit", "side": away.value, **profit},
                {"role": "stop_loss", "side": away.value, **guard},
            ]
        case Kind.OCO if profit and guard:
            return [
                {"role": "first", "side": side.value, **profit},
                {"role": "second", "side": side.value, **guard},
            ]
        case Kind.OTO if (profit is None) is not (guard is None):
            return [first, {"role": "then", "side": away.value, **(profit or guard or {})}]
        case Kind.TRAILING_STOP if guard and guard["type"] == "trailing_stop" and profit is None:
            return [{"role": "trail", "side": side.value, **guard}]
        case _:
            raise Stopped(ExitCode.USAGE, _NEEDS[kind])


_NEEDS: Final = {
    Kind.BRACKET: "a bracket needs --profit, and one of --stop, --trail and --trail-percent",
    Kind.OCO: "an oco needs --profit, and one of --stop, --trail and --trail-percent",
    Kind.OTO: "an oto needs one of --profit, --stop, --trail and --trail-percent",
    Kind.TRAILING_STOP: "a trailing_stop needs --trail or --trail-percent, and nothing else",
}


def _show(group: dict[str, Any], as_json: bool) -> None:
    facts = {
        name: group[name]
        for name in ("id", "type", "status", "reason", "symbol", "quantity", "to_exit", "exited", "mark")
        if group[name] is not None
    }
    parts = [tables.sheet(facts)]
    if group["legs"]:
        parts.append(tables.legs(group["legs"]))
    if group["orders"]:
        parts.append(tables.group_orders(group["orders"]))
    show(group, as_json, Lines(*parts))
