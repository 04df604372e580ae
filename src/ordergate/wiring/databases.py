"""Where a gateway's database is, and a way in for whoever administers it.

A server that already runs is used as it is; an embedded one that does not is started for as long as
it is needed. Neither is ever changed by looking.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import yaml

from ordergate.core.faults import Fault
from ordergate.core.ids import Env
from ordergate.journal.attach import running_server
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.journal.migrate import migrate as apply_migrations
from ordergate.security.migrations import identity_migrations
from ordergate.telemetry.secret import Secret
from ordergate.wiring.settings import CannotStart, Settings, load


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A database: at an address, or embedded in a folder."""

    environment: Env | None
    url: Secret | None = None
    folder: Path | None = None


def at(url: str) -> Place:
    return Place(environment=None, url=Secret(url))


def of(settings: Settings) -> Place:
    if settings.database_url is not None:
        return Place(environment=settings.environment, url=settings.database_url.read())
    return Place(environment=settings.environment, folder=settings.data_dir / "postgres")


def of_file(config: Path) -> Place:
    """The database of a gateway, by its settings file. Raises CannotStart."""
    return of(load(config))


def of_folder(data_dir: Path) -> Place:
    """The database of a gateway that `ordergate run` keeps in this folder. Raises CannotStart."""
    config = data_dir / "gateway.yaml"
    if not config.is_file():
        raise CannotStart(f"there is no gateway in {data_dir}: name its folder, or its settings file")
    try:
        plain = yaml.safe_load(config.read_text(encoding="utf-8"))
        environment = Env(plain["environment"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise CannotStart(f"{config} cannot be used ({error}); mend it or move it away") from error
    return Place(environment=environment, folder=data_dir.absolute() / "postgres")


@asynccontextmanager
async def reached(place: Place) -> AsyncIterator[str]:
    """The database's address for as long as the block lasts. Raises CannotStart and Fault."""
    if place.url is not None:
        yield place.url.reveal()
        return
    assert place.folder is not None
    name = f"ordergate_{place.environment}"
    running = running_server(place.folder, name)
    if running is not None:
        yield running
        return
    async with EmbeddedPostgres(place.folder) as server:
        yield await server.database(name)


def migrate(place: Place) -> list[str]:
    """Bring every room's tables to this release; the names of what was applied. Raises CannotStart."""

    async def apply() -> list[str]:
        async with reached(place) as dsn:
            return await apply_migrations(dsn, also=identity_migrations())

    try:
        return asyncio.run(apply())
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error
