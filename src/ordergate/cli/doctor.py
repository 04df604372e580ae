"""`doctor`: what is wrong with this machine or this gateway, part by part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import msgspec
import typer
from rich.text import Text

from ordergate.cli import profiles, tables
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import people, to_programs, waiting

if TYPE_CHECKING:
    from ordergate.wiring.checkup import Finding, Subject
    from ordergate.wiring.settings import Settings

DEFAULT_URL: Final = "http://127.0.0.1:8700"
DEFAULT_PORTS: Final = (8700, 8701, 8702)
_LOOKS: Final = {"good": "green", "doubtful": "yellow", "bad": "bold red"}


def doctor(
    *,
    ready: Annotated[
        bool, typer.Option("--ready", help="Say nothing; exit 0 if the gateway accepts orders, 1 if not.")
    ] = False,
    url: Annotated[str | None, typer.Option(help="Where the gateway answers, if nothing else says.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Check Python, packages, folder, ports, database, clock, disk, the gateway itself and brokers' pins."""
    from ordergate.wiring import checkup, pin_checks

    settings = _settings(config, data_dir)
    subject = _subject(settings, data_dir, url)
    if ready:
        raise typer.Exit(ExitCode.OK if checkup.is_ready(subject.base_url) else ExitCode.REFUSED)
    found: list[Finding] = []
    with waiting("looking"):
        found.extend(checkup.findings(subject))
        if settings is not None:
            found.extend(pin_checks.findings(settings))
    if as_json:
        to_programs({"findings": [msgspec.to_builtins(one) for one in found]})
    else:
        rows = [(Text(one.verdict, style=_LOOKS[one.verdict]), one.part, one.words) for one in found]
        people().print(tables.plain(("", "part", ""), rows))
    if any(one.verdict is checkup.Verdict.BAD for one in found):
        raise typer.Exit(ExitCode.REFUSED)


def _settings(config: Path | None, data_dir: Path) -> Settings | None:
    """None where no gateway has been set up yet."""
    from ordergate.wiring import databases

    if config is None and not (data_dir / "gateway.yaml").is_file():
        return None
    return databases.settings_of(config, data_dir)


def _subject(settings: Settings | None, data_dir: Path, url: str | None) -> Subject:
    """A gateway by its settings; else what `run` has left in the folder; else what `run` would do."""
    from ordergate.wiring import checkup, databases

    base_url, place = url or DEFAULT_URL, None
    ports: tuple[int, ...] = DEFAULT_PORTS
    if settings is not None:
        data_dir, place = settings.data_dir, databases.of(settings)
        base_url, ports = url or _served_at(data_dir) or settings.base_url, (settings.port,)
    port = urlsplit(base_url).port
    return checkup.Subject(
        data_dir=data_dir,
        base_url=base_url,
        ports=ports if port is None or port in ports else (port,),
        place=place,
    )


def _served_at(data_dir: Path) -> str | None:
    """`run` may have been given other ports than its settings say; its profile has the true ones."""
    file = data_dir / profiles.FILE_NAME
    try:
        return profiles.find(file).base_url if file.is_file() else None
    except Stopped:
        return None
