"""`kill`: the switch that stops new orders, and, if asked, cancels the open ones."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from ordergate.cli import tables
from ordergate.cli.client import gateway
from ordergate.cli.options import AsJson, ProfileFile
from ordergate.cli.output import show

app = typer.Typer(no_args_is_help=True, help="The kill switch.")

Reason = Annotated[str, typer.Option("--reason", help="Why; it is journalled.")]


class Grade(StrEnum):
    BLOCK_NEW = "block_new"
    CANCEL_ALL = "cancel_all"


@app.command()
def engage(
    reason: Reason,
    grade: Annotated[
        Grade, typer.Option(help="block_new, or cancel_all open orders as well.")
    ] = Grade.BLOCK_NEW,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Stop new orders at once; cancels still pass."""
    with gateway(profile) as client:
        told = client.send("POST", "/v1/kill-switch", {"grade": grade.value, "reason": reason})
    _show(told, as_json)


@app.command()
def release(reason: Reason, profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Let orders pass again."""
    with gateway(profile) as client:
        told = client.send("POST", "/v1/kill-switch/release", {"reason": reason})
    _show(told, as_json)


@app.command()
def status(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Show the switch as it stands."""
    with gateway(profile) as client:
        told = client.get("/v1/kill-switch")
    _show(told, as_json)


def _show(told: dict[str, Any], as_json: bool) -> None:
    shown = {name: value for name, value in told.items() if value is not None}
    show(told, as_json, tables.sheet({**shown, "engaged": "yes" if told["engaged"] else "no"}))
