"""Where a gateway's flags go when nothing of it answers: its folder, and its database where that runs.

Never starts anything, and never waits for long: what cannot be reached is told, and the file counts.
"""

from __future__ import annotations

from pathlib import Path

from ordergate.core.faults import Fault
from ordergate.core.ids import is_order_id
from ordergate.core.instruments import by_any_name
from ordergate.core.risk.trading_state import Level
from ordergate.journal.kill_rows import KillRows
from ordergate.ports.kill_flags import Flag
from ordergate.wiring import databases, kill_files
from ordergate.wiring.settings import CannotStart, Settings, read_yaml


def folder_of(config: Path | None, data_dir: Path) -> Path:
    """The data folder of the settings, or the one that was named where no settings were. Raises CannotStart.

    Settings in which something else is wrong still say it: the gateway runs on what they were at its start.
    """
    if config is None:
        return data_dir.absolute()
    try:
        return databases.settings_of(config, data_dir).data_dir.absolute()
    except CannotStart:
        plain = read_yaml(config)
        said = plain.get("data_dir") if isinstance(plain, dict) else None
        if not isinstance(said, str):
            raise
        return Path(said).absolute()


def misses(config: Path | None, data_dir: Path, level: Level, target: str) -> str | None:
    """What is wrong with the target; a misspelt one would only look like safety.

    Settings that cannot be read know no better, and are no reason not to stop.
    """
    try:
        settings = databases.settings_of(config, data_dir)
    except CannotStart:
        return None
    if level is Level.ORDER:
        return None if is_order_id(settings.environment, target) else "must be an order's id"
    if level in (Level.STRATEGY, Level.USER):
        return None if target else "is required"
    known = _targets(settings, level)
    return None if known is None or target in known else f"must be one of {', '.join(sorted(known))}"


def _targets(settings: Settings, level: Level) -> set[str] | None:
    """All that a gateway has of a level. None where others have what this one does not know."""
    match level:
        case Level.ACCOUNT:
            return {str(account) for account in settings.accounts}
        case Level.ENVIRONMENT:
            return {settings.environment.value}
        case _ if settings.kill_switch.shared_database_url is not None:
            return None  # the stop holds at every gateway of that database
        case Level.BROKER:
            return set(settings.brokers)
        case Level.TENANT:
            return {its.tenant or settings.tenant for its in settings.accounts.values()}
        case Level.INSTRUMENT:
            return {str(symbol) for symbol in by_any_name(settings.symbols)}
        case _:
            return None


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
