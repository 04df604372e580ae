"""`kill`: stops what opens, at any level, and, if asked, cancels what is open and closes what is held."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ordergate.cli import tables
from ordergate.cli.client import gateway
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir, ProfileFile
from ordergate.cli.output import people, show, to_programs
from ordergate.core.risk.trading_state import Grade as AnyGrade
from ordergate.core.risk.trading_state import Level

app = typer.Typer(no_args_is_help=True, help="The kill switch.")

Reason = Annotated[str, typer.Option("--reason", help="Why; it is journalled.")]
OfLevel = Annotated[Level, typer.Option("--level", help="What to stop.")]
Target = Annotated[str | None, typer.Option("--target", help="Which one of the level; none for `global`.")]

_WITHOUT_IT: Final = "on its machine, `ordergate kill engage --local` stops without it"
_SHOWN: Final = ("level", "target", "grade", "actor", "since", "reason", "trip", "orders_left")


class Grade(StrEnum):
    REDUCE_ONLY = "reduce_only"
    BLOCK_NEW = "block_new"
    CANCEL_ALL = "cancel_all"


@app.command()
def engage(
    *,
    reason: Reason,
    grade: Annotated[
        Grade,
        typer.Option(
            help="reduce_only: only what closes may leave; block_new: nothing may; "
            "cancel_all: and what is open is canceled."
        ),
    ] = Grade.BLOCK_NEW,
    level: OfLevel = Level.GLOBAL,
    target: Target = None,
    local: Annotated[
        bool,
        typer.Option(
            "--local", help="Without the API: a file in the data folder, and a row in the database."
        ),
    ] = False,
    profile: ProfileFile = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Stop at once; cancels still pass."""
    if local:
        _engage_locally(
            level=level,
            target=target,
            grade=AnyGrade(grade.value),
            reason=reason,
            config=config,
            data_dir=data_dir,
            as_json=as_json,
        )
        return
    asked = {"grade": grade.value, "reason": reason, **_place(level, target)}
    try:
        with gateway(profile) as client:
            told = client.send("POST", "/v1/kill-switch", asked)
    except Stopped as stopped:
        if stopped.code is not ExitCode.UNREACHABLE:
            raise
        raise Stopped(stopped.code, f"{stopped.sentence}; {_WITHOUT_IT}") from stopped
    _show(told, as_json)


@app.command()
def release(
    reason: Reason,
    level: OfLevel = Level.GLOBAL,
    target: Target = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Let orders pass again. It takes another person than engaged it, but in `run`'s house of one."""
    with gateway(profile) as client:
        told = client.send("POST", "/v1/kill-switch/release", {"reason": reason, **_place(level, target)})
    _show(told, as_json)


@app.command()
def flatten(
    reason: Reason,
    level: OfLevel = Level.GLOBAL,
    target: Target = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Close what is held under a cancel_all; the second person who asks makes it so."""
    with gateway(profile) as client:
        told = client.send("POST", "/v1/kill-switch/flatten", {"reason": reason, **_place(level, target)})
    _show(told, as_json)


@app.command(name="show")
def show_stops(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Show every stop in force, and what still works that should not."""
    with gateway(profile) as client:
        told = client.get("/v1/kill-switch")
    _show(told, as_json)


@app.command()
def status(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """The same as `show`."""
    show_stops(profile, as_json)


def _place(level: Level, target: str | None) -> dict[str, str]:
    if (level is Level.GLOBAL) is not (target is None):
        raise Stopped(ExitCode.USAGE, "give a --target with every --level but global")
    return {} if target is None else {"level": level.value, "target": target}


def _show(told: dict[str, Any], as_json: bool) -> None:
    stops = told.get("stops", [])
    shown = {name: value for name, value in told.items() if value is not None and name != "stops"}
    show(told, as_json, tables.sheet({**shown, "engaged": "yes" if told["engaged"] else "no"}))
    if as_json or not stops:
        return
    rows = [tuple("" if one[name] is None else str(one[name]) for name in _SHOWN) for one in stops]
    people().print(tables.plain(_SHOWN, rows))
    for stop in stops:
        if stop["lift"] is not None:
            people().print(f"{stop['trip']}: {stop['lift']}", markup=False)
        for left in stop["failing"]:
            people().print(
                f"still open: {left['order_id']} {left['status']}, asked {left['cancels_asked']} times",
                markup=False,
                style="red",
            )


def _engage_locally(
    *,
    level: Level,
    target: str | None,
    grade: AnyGrade,
    reason: str,
    config: Path | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    """The file first: it needs nothing. The row reaches nodes on other machines.

    Raises Stopped where no gateway can see either: a stop that stops nothing is no success.
    """
    from ordergate.wiring import kill_files
    from ordergate.wiring.local_kill import folder_of, misses, raise_file, raise_row

    _place(level, target)
    if (wrong := misses(config, data_dir, level, target or "")) is not None:
        raise Stopped(ExitCode.USAGE, f"nothing is stopped: the target of --level {level} {wrong}")
    flag = kill_files.flag_of(level, target or "", grade, reason, datetime.now(UTC))
    path, no_file = raise_file(folder_of(config, data_dir), flag)
    no_row = asyncio.run(raise_row(config, data_dir, flag))
    if no_file is not None and no_row is not None:
        raise Stopped(
            ExitCode.CANNOT_START,
            f"nothing is stopped. No file: {no_file}. No row: {no_row}. "
            "Name the gateway's settings by --config, or its folder by --data-dir",
        )
    if as_json:
        told = {"file": path, "file_trouble": no_file, "row": no_row is None, "row_trouble": no_row}
        to_programs({**told, "flag": flag.id})
        return
    written = f"written to {path}: in force as soon as the gateway looks, and whenever it starts"
    people().print(written if no_file is None else f"not to a file: {no_file}", markup=False)
    written = "and to the database" if no_row is None else f"not to the database: {no_row}"
    people().print(written, markup=False)
