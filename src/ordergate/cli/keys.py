"""`keys`: the keys that sign tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from ordergate.cli import tables
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import show, waiting

app = typer.Typer(no_args_is_help=True, help="Rotate the keys that sign tokens.")


@app.callback()
def keys() -> None:
    """Rotate the keys that sign tokens."""


@app.command()
def rotate(
    *,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="A key was stolen: end every token it may have signed.")
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Sign with a new key; what the old one signed is good until it expires."""
    from ordergate.wiring import databases, signing_keys

    with waiting("rotating"):
        kid = signing_keys.rotate(databases.settings_of(config, data_dir), emergency=emergency)
    told = {"kid": kid, "emergency": emergency}
    show(told, as_json, tables.plain(("signs from now on",), [(kid,)]))
