"""`journal`: proves that nothing was changed by hand, and that what is shown is what happened.

Throws snapshots away; changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.text import Text

from ordergate.cli import tables
from ordergate.cli.exits import ExitCode
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import people, progress, to_programs, waiting
from ordergate.core.ids import AccountId

if TYPE_CHECKING:
    from ordergate.wiring.records import Checked

app = typer.Typer(no_args_is_help=True, help="Prove the journal. Works beside a running gateway too.")

OneAccount = Annotated[str | None, typer.Option("--account", help="Only this account.")]


@app.command()
def verify(
    account: OneAccount = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Check the seal of every event of every account."""
    from ordergate.wiring import databases, records

    place = databases.of(databases.settings_of(config, data_dir))
    one = _account(account)
    with waiting("opening the journal"):
        total = records.size(place, one)
    with progress("events", total) as ticks:
        checked = records.verify(place, one, ticks.advance)
    _tell(checked, as_json, lambda each: f"{each.events} events")


@app.command()
def replay(
    account: OneAccount = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Fold every account anew from its events, and compare with what the gateway shows and keeps."""
    from ordergate.wiring import databases, records

    settings = databases.settings_of(config, data_dir)
    place = databases.of(settings)
    one = _account(account)
    with waiting("opening the journal"):
        total = records.size(place, one)
    with progress("events", total) as ticks:
        checked = records.replay(place, settings.symbols, one, ticks.advance)
    _tell(checked, as_json, lambda each: f"{each.events} events, {each.rows} rows")


@app.command()
def find(
    sought: Annotated[
        str, typer.Argument(metavar="ID", help="An order's id, or the correlation id of an answer.")
    ],
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Find what an order went through, or what one request did, in every account."""
    from ordergate.wiring import databases, records

    place = databases.of(databases.settings_of(config, data_dir))
    with waiting("looking through the journal"):
        found = records.find(place, sought)
    if as_json:
        to_programs({"events": [msgspec.to_builtins(one) for one in found]})
    else:
        for one in found:
            where, order = f"{one.account} {one.seq} {one.at.isoformat()}", one.order_id or "-"
            people().print(Text(f"{where} {one.kind} {order} {one.correlation}"), soft_wrap=True)
        if not found:
            people().print("the journal has no event of it")
    if not found:
        raise typer.Exit(ExitCode.REFUSED)


@app.command()
def drop_snapshots(config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """Throw away what accounts were folded to: the next start folds every event."""
    from ordergate.wiring import databases, records

    place = databases.of(databases.settings_of(config, data_dir))
    with waiting("opening the journal"):
        dropped = records.drop_snapshots(place)
    if as_json:
        to_programs({"dropped": dropped})
    else:
        people().print(f"{dropped} snapshots dropped")


def _account(text: str | None) -> AccountId | None:
    return None if text is None else AccountId(text)


def _tell(checked: list[Checked], as_json: bool, measure: Callable[[Checked], str]) -> None:
    clean = not any(one.problems for one in checked)
    if as_json:
        to_programs({"clean": clean, "accounts": [msgspec.to_builtins(one) for one in checked]})
    else:
        rows = [(_verdict(one), one.account, measure(one)) for one in checked]
        people().print(tables.plain(("", "account", ""), rows) if rows else "the journal is empty")
        for problem in (problem for one in checked for problem in one.problems):
            people().print(Text(problem, style="red"), soft_wrap=True)
    if not clean:
        raise typer.Exit(ExitCode.INTEGRITY)


def _verdict(one: Checked) -> Text:
    return Text("broken", style="bold red") if one.problems else Text("holds", style="green")
