"""`credentials`: what lets the gateway in at its brokers, stored sealed and replaced without a gap.

A secret comes from a file or from standard input, and is never an argument.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from ordergate.cli import tables
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import complaints, show, waiting
from ordergate.core.refusals import Refusal
from ordergate.telemetry.secret import Secret

app = typer.Typer(no_args_is_help=True, help="Store and rotate what lets the gateway in at its brokers.")

Login = Annotated[str, typer.Argument(help="The broker's name in the settings.")]
From = Annotated[
    Path,
    typer.Option("--from", help='A file with {"key_id": ..., "secret_key": ...}; - is standard input.'),
]
_COLUMNS = ("broker", "state", "kind", "account", "since", "expires")


class _Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key_id: str
    secret_key: str


@app.command("list")
def list_(config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """List every credential that is not revoked. Nobody can see what one says."""
    from ordergate.wiring import credentials_desk, databases

    with waiting("reading"):
        found = credentials_desk.listed(databases.settings_of(config, data_dir))
    plain = [msgspec.to_builtins(row) for row in found]
    rows = [[str(row[name] or "") for name in _COLUMNS] for row in plain]
    show({"credentials": plain}, as_json, tables.plain(_COLUMNS, rows))


@app.command()
def add(
    login: Login,
    source: From,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Store one that follows the one in use. Nothing uses it yet."""
    _store("add", login, source, config=config, data_dir=data_dir, as_json=as_json)


@app.command()
def begin(
    login: Login,
    source: From,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Store, try and use a login's first one."""
    _store("begin", login, source, config=config, data_dir=data_dir, as_json=as_json)


@app.command()
def rotate(
    login: Login,
    source: From,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Add, verify, switch, drain and revoke. It stops at the first step that is refused."""
    _store("rotate", login, source, config=config, data_dir=data_dir, as_json=as_json)


@app.command()
def verify(
    login: Login, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """Try it at the broker: it must open the same account."""
    _move("verify", login, config, data_dir, as_json)


@app.command()
def switch(
    login: Login, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """Use it from now on. The one before is still good."""
    _move("switch", login, config, data_dir, as_json)


@app.command()
def drain(
    login: Login, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """Wait until the running gateway uses the one before for nothing any more."""
    _move("drain", login, config, data_dir, as_json)


@app.command()
def revoke(
    login: Login, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """Destroy the one that has left, or one that follows and is not wanted."""
    _move("revoke", login, config, data_dir, as_json)


@app.command()
def link(
    login: Login, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """Let a user let the gateway in: a page at the broker, and its answer on this machine."""
    from ordergate.wiring import databases, linking

    def tell(url: str) -> None:
        complaints().print(f"Open this page and allow it: {url}", soft_wrap=True)

    _show(linking.link(databases.settings_of(config, data_dir), login, tell), as_json)


@app.command()
def unlink(
    login: Login, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """Take a user's grant back at the broker, and destroy it here. The gateway is out at once."""
    from ordergate.wiring import databases, linking

    _show(linking.unlink(databases.settings_of(config, data_dir), login), as_json)


def _store(
    step: Literal["add", "begin", "rotate"],
    login: str,
    source: Path,
    *,
    config: Path | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    from ordergate.wiring import credentials_desk, databases

    pair = _read(source)
    given = credentials_desk.Pair(Secret(pair.key_id), Secret(pair.secret_key))
    with waiting("storing"):
        found = credentials_desk.stored(databases.settings_of(config, data_dir), login, given, step)
    _show(found, as_json)


def _move(
    step: Literal["verify", "switch", "drain", "revoke"],
    login: str,
    config: Path | None,
    data_dir: Path,
    as_json: bool,
) -> None:
    from ordergate.wiring import credentials_desk, databases

    with waiting("asking"):
        found = credentials_desk.moved(databases.settings_of(config, data_dir), login, step)
    _show(found, as_json)


def _show(found: msgspec.Struct, as_json: bool) -> None:
    if isinstance(found, Refusal):
        raise Stopped(ExitCode.REFUSED, found.detail)
    plain: dict[str, Any] = msgspec.to_builtins(found)
    show(plain, as_json, tables.sheet({name: str(value or "") for name, value in plain.items()}))


def _read(source: Path) -> _Pair:
    try:
        text = sys.stdin.read() if str(source) == "-" else source.read_text(encoding="utf-8")
        return msgspec.json.decode(text, type=_Pair)
    except OSError as error:
        raise Stopped(ExitCode.USAGE, f"cannot read {source}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Stopped(ExitCode.USAGE, f'{source} is not {{"key_id": ..., "secret_key": ...}}') from None
