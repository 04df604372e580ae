"""`keys`: the keys that sign tokens and checkpoints and wrap secrets, and their rotation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
import typer

from ordergate.cli import tables
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import show, waiting

app = typer.Typer(no_args_is_help=True, help="The gateway's own keys.")

_COLUMNS = ("purpose", "version", "", "since", "key")


@app.command("list")
def list_(config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """List every version of every key, as the key service tells them."""
    from ordergate.wiring import databases, key_rotation

    with waiting("asking"):
        found = key_rotation.listed(databases.settings_of(config, data_dir))
    rows = [
        (
            one.purpose,
            str(one.version),
            "" if one.enabled else "disabled",
            datetime.fromtimestamp(one.created_at, UTC).isoformat(),
            one.key,
        )
        for one in found
    ]
    show({"keys": [msgspec.to_builtins(one) for one in found]}, as_json, tables.plain(_COLUMNS, rows))


@app.command()
def rotate(
    purpose: Annotated[Literal["tokens", "secrets"], typer.Argument(help="Which key.")],
    emergency: Annotated[
        bool, typer.Option("--emergency", help="The old keys for tokens, and their tokens, end at once.")
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a new version, and use it. `secrets` wraps everything stored anew and lets the old one go."""
    from ordergate.wiring import databases, key_rotation

    settings = databases.settings_of(config, data_dir)
    if purpose == "secrets" and emergency:
        raise Stopped(ExitCode.USAGE, "--emergency is for tokens: a wrapping key ends when nothing needs it")
    with waiting("rotating"):
        told: msgspec.Struct
        if purpose == "tokens":
            told = key_rotation.rotate_tokens(settings, emergency=emergency)
        else:
            told = key_rotation.rotate_secrets(settings)
    _show(told, as_json)


@app.command()
def rewrap(config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """Go on wrapping what is stored under the newest key, where a rotation was interrupted.

    What another cipher sealed than the settings name now is sealed anew by theirs.
    """
    from ordergate.wiring import databases, key_rotation

    with waiting("rewrapping"):
        told = key_rotation.rewrap(databases.settings_of(config, data_dir))
    _show(told, as_json)


def _show(told: msgspec.Struct, as_json: bool) -> None:
    plain = msgspec.to_builtins(told)
    show(plain, as_json, tables.sheet({name: str(value) for name, value in plain.items()}))
