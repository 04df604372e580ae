"""`breaks`: what does not add up between us and a broker, and how a person settles it; `reconcile`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from ordergate.cli import tables
from ordergate.cli.client import gateway
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import Account, AsJson, Key, Limit, OnlyAccount, ProfileFile, an_id
from ordergate.cli.output import show, waiting
from ordergate.core.accounts.breaks import Action, Severity, State

app = typer.Typer(no_args_is_help=True, help="What does not add up between us and a broker.")

BREAKS = "/v1/reconciliation/breaks"
RUNS = "/v1/reconciliation/runs"
WAIT_S = 30

BreakId = Annotated[str, typer.Argument(help="The break's id, as `breaks list` showed it.", callback=an_id)]


@app.command("list")
def list_(
    *,
    state: Annotated[State | None, typer.Option(case_sensitive=False, help="Only these.")] = None,
    severity: Annotated[Severity | None, typer.Option(case_sensitive=False, help="Only these.")] = None,
    every: Annotated[bool, typer.Option("--all", help="The settled ones as well.")] = False,
    account: OnlyAccount = None,
    limit: Limit = 100,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """List breaks, newest first: the open ones, if nothing else is asked for."""
    asked: dict[str, Any] = {"state": state, "severity": severity, "account_id": account}
    if state is None and not every:
        asked["open"] = True
    with gateway(profile) as client:
        found = [item for page in client.pages(BREAKS, "breaks", limit, **asked) for item in page]
    show({"breaks": found}, as_json, tables.breaks(found))


@app.command("show")
def show_(break_id: BreakId, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """One break: both sides, what may be done, and everything that happened to it."""
    with gateway(profile) as client:
        told = client.get(f"{BREAKS}/{break_id}")
    _show(told, as_json)


@app.command()
def assign(
    break_id: BreakId,
    owner: Annotated[str, typer.Argument(help="Who looks after it from now on.")],
    *,
    note: Annotated[str, typer.Option(help="A word to them.")] = "",
    key: Key = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Say who looks after a break."""
    with gateway(profile) as client:
        body = {"owner": owner, "note": note}
        told = client.command("POST", f"{BREAKS}/{break_id}/assign", body, key=key)
    _show(told, as_json)


@app.command()
def resolve(
    break_id: BreakId,
    action: Annotated[Action, typer.Argument(case_sensitive=False, help="One of its allowed actions.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is journalled with your name.")],
    key: Key = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Settle a break by one of its allowed actions."""
    with gateway(profile) as client:
        body = {"action": action.value, "reason": reason}
        told = client.command("POST", f"{BREAKS}/{break_id}/resolve", body, key=key)
    _show(told, as_json)


def reconcile(
    wait: Annotated[
        int, typer.Option("--wait", min=0, max=30, help="Wait up to so many seconds for it.")
    ] = WAIT_S,
    account: Account = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare an account with its broker now, and say what was found."""
    with gateway(profile) as client, waiting("comparing", quiet=as_json or not wait):
        body = {"account_id": account or client.profile.account_id}
        told = client.send("POST", RUNS, body, wait_s=wait)
    run = told["run"]
    if wait and run is None:
        raise Stopped(ExitCode.REFUSED, f"asked for, and not done within {wait} s", told)
    show(told, as_json, Text("asked for") if run is None else tables.run(run))
    if run is not None and run["result"] != "completed":
        raise typer.Exit(ExitCode.REFUSED)


def _show(told: dict[str, Any], as_json: bool) -> None:
    facts = {name: value for name, value in told.items() if name != "history"}
    facts["allowed_actions"] = ", ".join(told["allowed_actions"])
    facts = {name: value for name, value in facts.items() if value not in (None, "")}
    show(told, as_json, Group(tables.sheet(facts), tables.history(told["history"])))
