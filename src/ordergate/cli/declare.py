"""`declare`: signs the file that says which environment a gateway is for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ordergate.cli import tables
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import show


def declare(
    *,
    key: Annotated[
        Path, typer.Option(help="The file of the key that signs, made on first use. Keep it elsewhere.")
    ],
    to: Annotated[Path, typer.Option("--to", help="Where the signed file goes.")],
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Sign which environment the gateway of these settings is for; live does not start without."""
    from ordergate.wiring import databases, declaration

    public = declaration.declare(databases.settings_of(config, data_dir), key, to)
    told = {"file": str(to), "key": public}
    show(told, as_json, tables.sheet(told))
