"""`rates`: what currencies are worth, as a rule of the limits that a file is loaded into."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ordergate.cli import limit_tables
from ordergate.cli.client import gateway
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.limits import LIMITS, Reason, propose, yaml_of
from ordergate.cli.options import AsJson, ProfileFile
from ordergate.cli.output import show
from ordergate.cli.tables import plain

app = typer.Typer(no_args_is_help=True, help="Rates of exchange that limits are compared by.")

RULE = "rates"

RateFile = Annotated[Path, typer.Argument(help="A YAML file with `base` and `rates`.")]
Owner = Annotated[str, typer.Option("--owner", help="Who answers for the rates.")]


@app.command()
def load(
    file: RateFile, reason: Reason, owner: Owner, profile: ProfileFile = None, as_json: AsJson = False
) -> None:
    """Make the file's rates those of the whole firm, once another person has approved them."""
    table = yaml_of(file)
    if not isinstance(table, dict) or set(table) != {"base", "rates"}:
        raise Stopped(ExitCode.USAGE, f"{file} needs `base` and `rates`, and nothing else")
    rule = {"id": RULE, "scope": "firm", "owner": owner, "limits": {"fx_rates": table}}
    with gateway(profile) as client:
        told = propose(client, [rule], reason, prune=False, preview=False)
    show(told, as_json, limit_tables.edited(told))


@app.command("show")
def show_(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """The rates that are loaded, and from which version of the rule."""
    with gateway(profile) as client:
        told: Any = client.get(f"{LIMITS}/{RULE}")
    table = told["limits"]["fx_rates"]
    lines = [
        (
            f"{currency}/{table['base']}",
            one.get("rate", ""),
            one.get("as_of", ""),
            one.get("source", one.get("symbol", "")),
        )
        for currency, one in sorted(table["rates"].items())
    ]
    nothing = Text("no rates are loaded", style="dim")
    show(told, as_json, plain(("pair", "rate", "as of", "source"), lines) if lines else nothing)
