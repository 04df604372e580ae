"""`doctor`: what is wrong with this machine or this gateway, part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
import typer
from rich.text import Text

from ordergate.cli import profiles, tables
from ordergate.cli.alarms import ALARMS, standing
from ordergate.cli.client import gateway
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import people, to_programs, waiting

if TYPE_CHECKING:
    from ordergate.wiring.checkup import Finding, Subject
    from ordergate.wiring.settings import Settings

DEFAULT_URL: Final = "http://127.0.0.1:8700"
DEFAULT_PORTS: Final = (8700, 8701, 8702)
ALARMS_MAX: Final = 1_000
_LOOKS: Final = {"good": "green", "doubtful": "yellow", "bad": "bold red"}


def doctor(
    *,
    ready: Annotated[
        bool,
        typer.Option("--ready", help="Only exit: 0 if the gateway accepts orders, 1 in every other case."),
    ] = False,
    url: Annotated[str | None, typer.Option(help="Where the gateway answers, if nothing else says.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Check Python, packages, folder, ports, database, clock, disk, gateway, its alarms and brokers' pins."""
    from ordergate.wiring import checkup, pin_checks

    with _something_wrong():
        if ready:
            at = url or _base_url(_settings(config, data_dir))
            raise typer.Exit(ExitCode.OK if checkup.is_ready(at) else ExitCode.REFUSED)
        settings = _settings(config, data_dir)
        subject = _subject(settings, data_dir, url)
        found: list[Finding] = []
        with waiting("looking"):
            found.extend(checkup.findings(subject))
            if settings is not None:
                found.extend(pin_checks.findings(settings))
            found.extend(alarms(subject))
    if as_json:
        to_programs({"findings": [msgspec.to_builtins(one) for one in found]})
    else:
        rows = [(Text(one.verdict, style=_LOOKS[one.verdict]), one.part, one.words) for one in found]
        people().print(tables.plain(("", "part", ""), rows))
    if any(one.verdict is checkup.Verdict.BAD for one in found):
        raise typer.Exit(ExitCode.REFUSED)


@contextmanager
def _something_wrong() -> Iterator[None]:
    """No server is to start here: what would keep one from starting is found, as anything else is."""
    from ordergate.wiring.settings import CannotStart

    try:
        yield
    except (CannotStart, OSError) as trouble:
        raise Stopped(ExitCode.REFUSED, str(trouble)) from trouble


def alarms(subject: Subject) -> list[Finding]:
    """How many stand, where a profile of this gateway is at hand to ask with; else nothing is said."""
    from ordergate.wiring.checkup import Finding, Verdict, is_alive

    profile = _profile(subject)
    if profile is None or not is_alive(subject.base_url):
        return []
    try:
        with gateway(profile) as client:
            return [of_alarms(*standing(client, ALARMS, ALARMS_MAX))]
    except Stopped as stopped:
        return [Finding("alarms", Verdict.DOUBTFUL, f"they could not be asked for: {stopped.sentence}")]


def of_alarms(told: Sequence[Mapping[str, Any]], unread: Sequence[str]) -> Finding:
    """Good is also a happening that stands as a record: nothing is to be done about the gateway."""
    from ordergate.wiring.checkup import Finding, Verdict

    counts = Counter(alarm["nature"] for alarm in told)
    natures = ", ".join(f"{count} {nature}" for nature, count in sorted(counts.items()))
    words = f"{len(told)} stand: {natures}; see `ordergate alarms`" if told else "none stands"
    if len(told) == ALARMS_MAX:
        words = f"at least {words}"
    if unread:
        words = f"{words}; not read just now: {', '.join(unread)}"
    doubtful = bool(unread) or any(alarm["lasting"] for alarm in told)
    return Finding("alarms", Verdict.DOUBTFUL if doubtful else Verdict.GOOD, words)


def _profile(subject: Subject) -> Path | None:
    """The profile that leads to this gateway: what `run` has left, or the nearest one."""
    beside = subject.data_dir / profiles.FILE_NAME
    try:
        file = beside if beside.is_file() else profiles.locate(None)
        found = profiles.read(file)
    except Stopped:
        return None
    return file if found.base_url.rstrip("/") == subject.base_url.rstrip("/") else None


def _settings(config: Path | None, data_dir: Path) -> Settings | None:
    """None where no gateway has been set up yet."""
    from ordergate.wiring import databases

    if config is None and not (data_dir / "gateway.yaml").is_file():
        return None
    return databases.settings_of(config, data_dir)


def _subject(settings: Settings | None, data_dir: Path, url: str | None) -> Subject:
    """A gateway by its settings; else what `run` has left in the folder; else what `run` would do."""
    from ordergate.wiring import checkup, databases

    base_url, place = url or _base_url(settings), None
    ports: tuple[int, ...] = DEFAULT_PORTS
    if settings is not None:
        data_dir, place, ports = settings.data_dir, databases.of(settings), (settings.port,)
    port = urlsplit(base_url).port
    return checkup.Subject(
        data_dir=data_dir,
        base_url=base_url,
        ports=ports if port is None or port in ports else (port,),
        place=place,
    )


def _base_url(settings: Settings | None) -> str:
    if settings is None:
        return DEFAULT_URL
    return _served_at(settings.data_dir) or settings.base_url


def _served_at(data_dir: Path) -> str | None:
    """`run` may have been given other ports than its settings say; its profile has the true ones."""
    file = data_dir / profiles.FILE_NAME
    try:
        return profiles.find(file).base_url if file.is_file() else None
    except Stopped:
        return None
