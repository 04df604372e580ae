"""`limits`: what accounts may do, as rules; files of them, and what waits for a second person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from ordergate.cli import limit_tables, tables
from ordergate.cli.client import GatewayClient, gateway
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import Account, AsJson, OnlyAccount, ProfileFile, an_id
from ordergate.cli.output import show
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
from ordergate.core.orders.terms import TimeInForce

app = typer.Typer(no_args_is_help=True, help="What accounts may do at most.")

LIMITS = "/v1/risk/limits"
CHANGES = "/v1/risk/changes"

File = Annotated[Path, typer.Argument(help="A YAML file with `rules`.")]
ChangeId = Annotated[
    str, typer.Argument(help="The change's id, as `limits pending` showed it.", callback=an_id)
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is journalled with your name.")]
Prune = Annotated[bool, typer.Option("--prune", help="Remove the rules that the file does not have.")]


@app.command("show")
def show_(
    rule: Annotated[
        str | None, typer.Argument(help="One rule, whole; by default all of them.", callback=an_id)
    ] = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """The limits in force, and the rules they come from."""
    with gateway(profile) as client:
        told = client.get(LIMITS if rule is None else f"{LIMITS}/{rule}")
    if rule is None:
        shown = Group(limit_tables.in_force(told["limits"]), Text(), limit_tables.rules(told["rules"]))
        show(told, as_json, shown)
    else:
        show(told, as_json, limit_tables.one_rule(told))


@app.command()
def use(account: OnlyAccount = None, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """How much of every limit is used, how much is left, and which rule it comes from."""
    with gateway(profile) as client:
        told = client.get("/v1/risk/utilization", account_id=account)
    shown = [Group(Text(one["account_id"]), tables.limit_uses(one["limits"])) for one in told["accounts"]]
    show(told, as_json, Group(*shown))


@app.command()
def diff(file: File, prune: Prune = False, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """What `apply` would do: which rules change, and what has to wait. Exits 1 when anything differs."""
    rules = _rules_in(file)
    with gateway(profile) as client:
        standing = {rule["id"]: rule for rule in client.get(LIMITS)["rules"]}
        plan = propose(client, rules, "a preview", prune=prune, preview=True)
    show(plan, as_json, limit_tables.plan(plan, standing, {rule["id"]: rule for rule in rules}))
    if plan["at_once"] or plan["waiting"]:
        raise typer.Exit(ExitCode.REFUSED)


@app.command()
def apply(
    file: File, reason: Reason, prune: Prune = False, profile: ProfileFile = None, as_json: AsJson = False
) -> None:
    """Make the rules as the file has them: tighter at once, looser when another person has approved it."""
    rules = _rules_in(file)
    with gateway(profile) as client:
        told = propose(client, rules, reason, prune=prune, preview=False)
    show(told, as_json, limit_tables.edited(told))


@app.command("dry-run")
def dry_run(
    file: File,
    *,
    orders: Annotated[int, typer.Option("--orders", min=1, max=10_000, help="The last so many.")] = 100,
    shadows: Annotated[bool, typer.Option("--shadows", help="As if rules in shadow were enforced.")] = False,
    prune: Prune = False,
    account: Account = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """What an account's last orders would have got, had the rules been as in the file."""
    body: dict[str, Any] = {"rules": _rules_in(file), "prune": prune, "orders": orders, "shadows": shadows}
    with gateway(profile) as client:
        body["account_id"] = account or client.profile.account_id
        told = client.send("POST", f"{LIMITS}/dry-run", body)
    show(told, as_json, limit_tables.dry_run(told))


@app.command()
def override(
    symbol: SymbolOf,
    side: SideOf,
    quantity: QuantityOf,
    *,
    control: Annotated[list[str], typer.Option("--control", help="Such as R06; may be given again.")],
    reason: Reason,
    limit: LimitPrice = None,
    stop: StopPrice = None,
    tif: Tif = TimeInForce.DAY,
    extended_hours: ExtendedHours = False,
    client_order_id: ClientOrderId = None,
    strategy: StrategyOf = None,
    strategy_version: StrategyVersion = None,
    user: UserOf = None,
    venue: VenueOf = None,
    lives: Annotated[int, typer.Option("--lives", min=1, max=900, help="Seconds, from the approval.")] = 900,
    account: Account = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Ask another person to let just this order pass, once. Place it when they have approved."""
    with gateway(profile) as client:
        order = terms_of(
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
        body = {"order": order, "controls": control, "lives_s": lives, "reason": reason}
        told = client.send("POST", "/v1/risk/overrides", body)
    show(told, as_json, tables.sheet(limit_tables.facts_of_change(told)))


@app.command()
def pending(
    every: Annotated[bool, typer.Option("--all", help="The settled ones as well.")] = False,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """What waits for another person, newest first."""
    with gateway(profile) as client:
        told = client.get(CHANGES, state="all" if every else "pending")
    nothing = Text("nothing waits", style="dim")
    show(told, as_json, limit_tables.changes(told["changes"]) if told["changes"] else nothing)


@app.command()
def approve(change: ChangeId, reason: Reason, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Say yes to what another person wants."""
    _settle("approve", change, reason, profile, as_json)


@app.command()
def reject(change: ChangeId, reason: Reason, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Say no to it, or take your own back."""
    _settle("reject", change, reason, profile, as_json)


def _settle(how: str, change: str, reason: str, profile: Path | None, as_json: bool) -> None:
    with gateway(profile) as client:
        told = client.send("POST", f"{CHANGES}/{change}/{how}", {"reason": reason})
    show(told, as_json, tables.sheet(limit_tables.facts_of_change(told)))


def propose(
    client: GatewayClient, rules: list[dict[str, Any]], reason: str, *, prune: bool, preview: bool
) -> Any:
    body = {"rules": rules, "reason": reason, "prune": prune, "preview": preview}
    return client.send("POST", f"{LIMITS}/apply", body)


def _rules_in(file: Path) -> list[dict[str, Any]]:
    """The rules of a file as plain data; the gateway judges them."""
    plain = yaml_of(file)
    rules = plain.get("rules") if isinstance(plain, dict) else None
    if not isinstance(rules, list) or not all(isinstance(rule, dict) and "id" in rule for rule in rules):
        raise Stopped(ExitCode.USAGE, f"{file} needs `rules`: a list, each with an `id`")
    return rules


def yaml_of(file: Path) -> Any:
    """What a YAML file says. Stops where it cannot be read."""
    from ordergate.wiring.settings import CannotStart, read_yaml

    try:
        return read_yaml(file)
    except CannotStart as cannot:
        raise Stopped(ExitCode.USAGE, str(cannot)) from cannot
