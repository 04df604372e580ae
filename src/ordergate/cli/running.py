"""`run`: everything on this machine with one command, and a panel that says where it all is."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ordergate.cli import files
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR, DataDir, ReadyFile
from ordergate.cli.output import complaints, people
from ordergate.cli.profiles import FILE_NAME, Profile

if TYPE_CHECKING:
    from ordergate.wiring import house

SHARED_VARIABLE: Final = "ORDERGATE_SHARED"
PORT: Final = 8700
VENUE_PORT: Final = 8701
ADMIN_PORT: Final = 8702
RECORDED_DAY: Final = "*20231225*.mbo.dbn.zst"

PortOf = typer.Option(min=0, max=65_535, help="0 takes a free one.")


def run(
    *,
    port: Annotated[int, PortOf] = PORT,
    venue_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help=f"Of the venue: {VENUE_PORT}, or a free one where --port is another than {PORT}.",
        ),
    ] = None,
    admin_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help=f"Of the administration's listener: {ADMIN_PORT}, or likewise."),
    ] = None,
    data_dir: DataDir = DATA_DIR,
    ready_file: ReadyFile = None,
    speed: Annotated[
        float, typer.Option(min=0, help="Of the venue's tapes: 1 is real time, 0 as fast as can be.")
    ] = 1.0,
    recorded: Annotated[
        Path | None, typer.Option(help=f"Folder with recorded market data (${SHARED_VARIABLE}/data).")
    ] = None,
    venue_admin_token: Annotated[
        str,
        typer.Option(
            help="Opens the venue's admin face: faults on request.", envvar="ORDERGATE_VENUE_ADMIN_TOKEN"
        ),
    ] = "",
) -> None:
    """Start the gateway, its venue and its database here, until Ctrl-C or until the terminal is closed."""
    from ordergate.wiring import house

    tapes = recordings(recorded)
    people().print(Text(_tape_line(tapes, recorded), style="dim"), soft_wrap=True)
    asked = house.Asked(
        data_dir=data_dir,
        port=port,
        venue_port=_beside(port, venue_port, VENUE_PORT),
        admin_port=_beside(port, admin_port, ADMIN_PORT),
        speed=speed,
        recorded=tapes,
        venue_admin_token=venue_admin_token,
    )

    def tell(running: house.Running) -> None:
        plain = msgspec.to_builtins(running)
        known = {name: plain[name] for name in Profile.__struct_encode_fields__ if name in plain}
        files.write_json(data_dir / FILE_NAME, known)
        starting.stop()
        people().print(welcome(running, data_dir))
        for line in first_steps(running, data_dir):
            people().print(line, soft_wrap=True)
        tell_scripts(running)  # the last of all: whoever waits for the file finds everything told

    with files.while_up(ready_file) as tell_scripts, complaints().status("starting") as starting:
        house.run(asked, tell=tell)
    with suppress(OSError):  # the terminal may have been closed, which is why everything has stopped
        people().print(Text("stopped; everything is kept in " + str(data_dir), style="dim"))


def _beside(port: int, asked: int | None, usual: int) -> int:
    """A port that nobody named: the usual one beside the gateway's usual one, so that two can run."""
    if asked is not None:
        return asked
    return usual if port == PORT else 0


def recordings(named: Path | None) -> tuple[Path, ...]:
    """The recorded day, if it is in the folder named or where recordings usually are.

    A folder that somebody named must be there: to play a made-up tape instead would hide a slip.
    """
    shared = os.environ.get(SHARED_VARIABLE)
    usual = Path(shared) / "data" if shared else Path("..") / "shared" / "data"
    folder = usual if named is None else named
    if (named is not None or shared) and not folder.is_dir():
        how = "--recorded" if named is not None else SHARED_VARIABLE
        sentence = f"{folder} is not a folder with recordings: name another one with {how}, or none"
        raise Stopped(ExitCode.CANNOT_START, sentence)
    return tuple(sorted(path.resolve() for path in folder.glob(RECORDED_DAY)))


def welcome(running: house.Running, data_dir: Path) -> Panel:
    """Where everything is."""
    places = Table.grid(padding=(0, 2))
    places.add_column(style="dim")
    places.add_column(overflow="fold")
    for name, value in (
        ("gateway", running.base_url),
        ("docs", running.base_url + "/docs"),
        ("stream", running.stream_url),
        ("administration", running.admin_url),
        ("venue", running.venue_url),
        ("account", running.account_id),
        ("data", str(data_dir.absolute())),
        ("logs", f"{data_dir / 'gateway.log'}, {data_dir / 'venue.log'}"),
    ):
        places.add_row(name, value)
    return Panel(places, title="Ordergate · paper", title_align="left", border_style="green", expand=False)


def first_steps(running: house.Running, data_dir: Path) -> list[Text]:
    """Commands to paste: whole lines, whatever the width of the terminal."""
    ordergate, profile = called_as(), _profile_option(data_dir)
    price = f" --limit {running.sample_price}" if running.sample_price else ""
    symbol = running.sample_symbol or next(iter(running.symbols), "SYMBOL")
    return [
        Text("place an order, in another terminal:"),
        Text(f"  {ordergate} orders place {symbol} sell 5{price}{profile}", style="bold"),
        Text("and see what happens to it:"),
        Text(f"  {ordergate} orders watch{profile}", style="bold"),
        Text("Ctrl-C stops everything.", style="dim"),
    ]


def called_as() -> str:
    """How whoever started us can call us again."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return shlex.join([sys.executable, "-m", "ordergate"])
    return shlex.quote(sys.argv[0])


def _profile_option(data_dir: Path) -> str:
    """Nothing where the profile is found without being named."""
    if data_dir.absolute() == DATA_DIR.absolute():
        return ""
    return f" --profile {shlex.quote(str(data_dir / FILE_NAME))}"


def _tape_line(tapes: tuple[Path, ...], named: Path | None) -> str:
    if tapes:
        return "ESH4 plays the recorded day in " + ", ".join(path.name for path in tapes)
    where = "here; name its folder with --recorded" if named is None else f"in {named} ({RECORDED_DAY})"
    return f"no recorded market data {where}: every symbol plays a made-up tape"
