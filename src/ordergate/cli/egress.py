"""`egress`: the rules that hold a gateway's network to what its settings need."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Final

import typer

from ordergate.cli import tables
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import show

RESOLVERS: Final = Path("/etc/resolv.conf")


def egress(
    *,
    user: Annotated[
        int | None, typer.Option(help="Print rules for nftables instead, for the user of this id.")
    ] = None,
    more: Annotated[
        list[str] | None, typer.Option("--also", help="host:port that no setting tells; may be repeated.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show which other machines the gateway of these settings speaks to, or print them as rules."""
    from ordergate.wiring import databases, network_policy

    settings = databases.settings_of(config, data_dir)
    named = [network_policy.also(one) for one in more or ()]
    if user is not None:
        names = network_policy.resolvers(RESOLVERS)
        text = network_policy.rules(settings, named, uid=user, names=names, resolve=_addresses)
        typer.echo(text, nl=False)
        return
    found = [*network_policy.destinations(settings), *named]
    rows = [{"host": one.host, "port": one.port, "why": one.why} for one in found]
    show(rows, as_json, tables.destinations(rows))


def _addresses(host: str) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
