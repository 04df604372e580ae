"""`alarms`: what nobody may overlook, and what to do about it."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from ordergate.cli import tables
from ordergate.cli.client import GatewayClient, gateway
from ordergate.cli.exits import ExitCode
from ordergate.cli.options import AsJson, Limit, ProfileFile, an_id
from ordergate.cli.output import show
from ordergate.core.accounts.alarms import AlarmNature

ALARMS: Final = "/v1/alarms"


def alarms(
    *,
    nature: Annotated[AlarmNature | None, typer.Option(case_sensitive=False, help="Only these.")] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="Only this account's.", callback=an_id)
    ] = None,
    limit: Limit = 100,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """List the alarms that stand, newest first: exits 1 where an account could not be read just now."""
    path = ALARMS if account is None else f"/v1/accounts/{account}/alarms"
    with gateway(profile) as client:
        found, unread = standing(client, path, limit, nature=nature)
    show({"alarms": found, "unread": unread}, as_json, _shown(found, unread))
    if unread:
        raise typer.Exit(ExitCode.REFUSED)


def standing(
    client: GatewayClient, path: str, limit: int, **query: Any
) -> tuple[list[dict[str, Any]], list[str]]:
    """Up to so many alarms, and the accounts of which the gateway could not tell. Raises Stopped."""
    found: list[dict[str, Any]] = []
    unread: list[str] = []
    for page in client.whole_pages(path, "alarms", limit, **query):
        found += page["alarms"]
        unread = page["unread"]
    return found, unread


def _shown(found: list[dict[str, Any]], unread: list[str]) -> RenderableType:
    parts: list[RenderableType] = [tables.alarms(found) if found else Text("no alarm stands", style="dim")]
    if unread:
        parts.append(Text(f"not read just now, so nobody can tell: {', '.join(unread)}", style="bold red"))
    return Group(*parts)
