"""`serve`, `venue` and `migrate`: one part each, from settings in a file, as containers run them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from ordergate.cli import files
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import AsJson, ConfigFile, Host, Port, ReadyFile
from ordergate.cli.output import people, to_programs, waiting

if TYPE_CHECKING:
    from ordergate.wiring.gateway import Gateway


def serve(
    *,
    config: Annotated[Path, typer.Option(help="The gateway's settings file.")],
    host: Host = None,
    port: Port = None,
    ready_file: ReadyFile = None,
) -> None:
    """Serve a gateway until SIGINT, SIGTERM or SIGHUP. Logs are JSON lines on standard error."""
    from ordergate.wiring import serving, settings

    asked = settings.load(config)
    if host is not None:
        asked = msgspec.structs.replace(asked, host=host)
    if port is not None:
        asked = msgspec.structs.replace(asked, port=port or serving.free_port(asked.host))
        if port == 0 and asked.admin_port is not None:
            asked = msgspec.structs.replace(asked, admin_port=serving.free_port(asked.admin_host))

    async def ready(gateway: Gateway) -> None:
        told = {"base_url": gateway.settings.base_url, "admin_url": gateway.settings.admin_url}
        tell({**told, "pid": os.getpid()})

    with files.while_up(ready_file) as tell:
        serving.serve(asked, ready=ready)


def venue(
    *,
    config: Annotated[Path, typer.Option(help="The venue's settings file.")],
    host: Host = None,
    port: Port = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where it remembers its orders, instead of the file's.")
    ] = None,
    ready_file: ReadyFile = None,
    end_with_input: Annotated[bool, typer.Option(help="Stop when standard input ends.")] = False,
) -> None:
    """Serve the paper exchange until SIGINT or SIGTERM."""
    from ordergate.wiring import venue as venues

    asked = venues.load(config)
    if host is not None:
        asked = msgspec.structs.replace(asked, host=host)
    if port is not None:
        asked = msgspec.structs.replace(asked, port=port)
    if data_dir is not None:
        asked = msgspec.structs.replace(asked, data_dir=data_dir)

    def ready(base_url: str) -> None:
        tell({"base_url": base_url, "pid": os.getpid()})

    with files.while_up(ready_file) as tell:
        venues.run(asked, ready=ready, end_with_input=end_with_input)


def migrate(
    *,
    config: ConfigFile = None,
    database_url: Annotated[
        str | None,
        typer.Option(help="The database itself.", envvar="ORDERGATE_DATABASE_URL", show_envvar=True),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring a database to this release's schema."""
    from ordergate.wiring import databases, settings

    if config is None and database_url is None:
        raise Stopped(ExitCode.USAGE, "say which database: --config FILE or --database-url URL")
    with waiting("migrating"):
        place = (
            databases.of(settings.load(config)) if config is not None else databases.at(database_url or "")
        )
        applied = databases.migrate(place)
    if as_json:
        to_programs({"applied": applied})
    else:
        people().print(
            "applied " + ", ".join(applied) if applied else "nothing to do: the schema is this release's"
        )
