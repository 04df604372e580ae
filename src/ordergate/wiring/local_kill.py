"""Where a gateway's flags go when nothing of it answers: its folder, and its database where that runs.

Never starts anything, and never waits for long: what cannot be reached is told, and the file counts.
"""

from __future__ import annotations

from pathlib import Path

from ordergate.core.faults import Fault
from ordergate.journal.kill_rows import KillRows
from ordergate.ports.kill_flags import Flag
from ordergate.wiring import databases, kill_files
from ordergate.wiring.settings import CannotStart


def folder_of(config: Path | None, data_dir: Path) -> Path:
    """The data folder of the settings; where they cannot be read, the one that was named."""
    if config is None:
        return data_dir.absolute()
    return databases.settings_of(config, data_dir).data_dir.absolute()


def raise_file(folder: Path, flag: Flag) -> tuple[str | None, str | None]:
    """Where the flag is now, or why no gateway would see it there."""
    if not kill_files.is_watched(folder):
        return None, f"no gateway has run on {folder}"
    try:
        return str(kill_files.put(folder, flag)), None
    except OSError as error:
        return None, f"{folder} cannot be written to: {error.strerror}"


async def raise_row(config: Path | None, data_dir: Path, flag: Flag) -> str | None:
    """Write the flag to the database. None, or why that was not possible."""
    try:
        address = databases.running(databases.of(databases.settings_of(config, data_dir)))
    except CannotStart as cannot:
        return str(cannot)
    if address is None:
        return "its database does not run"
    rows = KillRows(address)
    try:
        await rows.put(flag)
    except Fault as fault:
        return str(fault)
    finally:
        await rows.close()
    return None
