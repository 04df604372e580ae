"""`secrets`: new ones for what lies in files, one command each."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from ordergate.cli import tables
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import people, show, waiting

OVERLAP_S: Final = 3_600
OVERLAP_S_MAX: Final = 7 * 24 * 3_600

app = typer.Typer(no_args_is_help=True, help="Rotate the database's password, webhooks' secrets and hooks'.")


@app.command("rotate-database-password")
def rotate_database_password(
    config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """Give the gateway's own role a new password, in its passfile. Nobody sees it."""
    from ordergate.wiring import databases, secret_rotation

    with waiting("rotating"):
        file = secret_rotation.database_password(databases.settings_of(config, data_dir))
    show({"passfile": str(file)}, as_json, tables.sheet({"new password in": str(file)}))


@app.command("rotate-webhook")
def rotate_webhook(
    name: Annotated[str, typer.Argument(help="The endpoint's name in the settings.")],
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a new secret for an endpoint and show it, this once. The one before signs as well."""
    from ordergate.wiring import databases, secret_rotation

    made = secret_rotation.webhook(databases.settings_of(config, data_dir), name)
    told = {"endpoint": name, "secret": made.reveal()}
    show(told, as_json, tables.sheet(told))
    if not as_json:
        people().print("Give it to the receiver: it cannot be shown again.", style="dim")


@app.command("rotate-hook")
def rotate_hook(
    name: Annotated[str, typer.Argument(help="The hook's name in the settings.")],
    *,
    overlap: Annotated[
        int, typer.Option(min=0, max=OVERLAP_S_MAX, help="Seconds for which the one before is accepted, too.")
    ] = OVERLAP_S,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a new secret for a hook's sender and show it, this once. The one before serves for a while."""
    from datetime import UTC, datetime, timedelta

    from ordergate.wiring import databases, secret_rotation

    settings = databases.settings_of(config, data_dir)
    made, until = secret_rotation.hook(settings, name, timedelta(seconds=overlap), datetime.now(UTC))
    told = {"hook": name, "secret": made.reveal(), "before_until": until.isoformat(timespec="seconds")}
    show(told, as_json, tables.sheet(told))
    if not as_json:
        people().print("Give it to the sender: it cannot be shown again.", style="dim")
