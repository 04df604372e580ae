"""`users passkeys`: what people log in with besides a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from ordergate.cli import tables
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir, EndLogins
from ordergate.cli.output import show, waiting

app = typer.Typer(no_args_is_help=True, help="See and take away passkeys; people make them when they log in.")

UserId = Annotated[str, typer.Argument(help="The person's name.")]


@app.command("list")
def list_(
    user_id: UserId, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """List a person's passkeys."""
    from ordergate.wiring import databases, passkeys

    with _refusals(), waiting("reading"):
        found = passkeys.listed(databases.settings_of(config, data_dir), user_id)
    plain = [
        {
            "label": one.label,
            "credential_id": one.credential_id,
            "made_at": _time(one.made_at),
            "used_at": None if one.used_at is None else _time(one.used_at),
            "synced": one.backed_up,
            "state": "doubted" if one.suspect else "good",
        }
        for one in found
    ]
    rows = [
        (
            one["label"],
            one["made_at"],
            one["used_at"] or "never",
            "yes" if one["synced"] else "no",
            one["state"],
        )
        for one in plain
    ]
    table = tables.plain(("passkey", "made", "used", "synced", ""), rows)
    show({"user_id": user_id, "passkeys": plain}, as_json, table)


@app.command()
def remove(
    user_id: UserId,
    label: Annotated[str, typer.Argument(help="What its owner calls it.")],
    *,
    end_logins: EndLogins = True,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Let nobody log in with a passkey any more."""
    from ordergate.wiring import databases, passkeys

    with _refusals(), waiting("removing"):
        passkeys.remove(databases.settings_of(config, data_dir), user_id, label, end_logins=end_logins)
    told = {"user_id": user_id, "label": label, "removed": True}
    show(told, as_json, tables.plain(("passkey", ""), [(label, "removed")]))


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@contextmanager
def _refusals() -> Iterator[None]:
    from ordergate.wiring.registry import CannotRegister

    try:
        yield
    except CannotRegister as cannot:
        raise Stopped(ExitCode.REFUSED, str(cannot)) from cannot
