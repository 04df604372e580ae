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

    environment: Env | None = None
    url: Secret | None = None
    folder: Path | None = None


def at(url: str) -> Place:
    return Place(url=Secret(url))


def of(settings: Settings) -> Place:
    if settings.database_url is not None:
        return Place(environment=settings.environment, url=settings.database_url.read())
    return Place(environment=settings.environment, folder=settings.data_dir / "postgres")


def settings_of(config: Path | None, data_dir: Path) -> Settings:
    """A gateway's settings: in a file, or in the folder that `ordergate run` keeps. Raises CannotStart."""
    if config is not None:
        return load(config)
    file = data_dir / "gateway.yaml"
    if not file.is_file():
        raise CannotStart(f"there is no gateway in {data_dir}: name its folder, or its settings file")
    return msgspec.structs.replace(load(file), data_dir=data_dir.absolute())


@asynccontextmanager
async def reached(place: Place) -> AsyncIterator[str]:
    """The database's address for as long as the block lasts. Raises CannotStart and Fault."""
    address = running(place)
    if address is not None:
        yield address
        return
    assert place.folder is not None
    async with EmbeddedPostgres(place.folder) as server:
        yield await server.database(_name(place))


def running(place: Place) -> str | None:
    """The database's address, unless its embedded server does not run."""
    if place.url is not None:
        return place.url.reveal()
    assert place.folder is not None
    return running_server(place.folder, _name(place))


def migrate(place: Place) -> list[str]:
    """Bring every room's tables to this release; the names of what was applied. Raises CannotStart."""

    async def apply() -> list[str]:
        async with reached(place) as dsn:
            return await apply_migrations(dsn, also=identity_migrations())

    try:
        return asyncio.run(apply())
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error


def _name(place: Place) -> str:
    return f"ordergate_{place.environment}"
