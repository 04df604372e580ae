"""A folder in which any file stops everything: the way to stop that needs nothing but this machine.

A file that `ordergate kill engage --local` wrote says what to stop; of any other the name is enough, so
that `touch` does. Nothing is deleted: what the journal has is moved aside.
"""

from __future__ import annotations

import getpass
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from ordergate.core.faults import Fault
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.ports.kill_flags import Flag

FOLDER: Final = "kill"
TAKEN: Final = "taken"
BYTES_MAX: Final = 16 * 1024
POLL_S: Final = 0.05

_decoder: Final = msgspec.json.Decoder(Flag)


class FlagFolderLost(Fault):
    """The folder cannot be read or changed."""


class KillFiles:
    """Implements ports.kill_flags.KillFlags over a folder of this machine."""

    name = "files"
    poll_s = POLL_S

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER
        try:
            (self._folder / TAKEN).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise FlagFolderLost(f"{self._folder} cannot be made: {error.strerror}") from error

    async def raised(self) -> Sequence[Flag]:
        """Waits for no disk that a look at a small folder would not: it is asked many times a second."""
        try:
            with os.scandir(self._folder) as found:
                names = sorted(
                    entry.name
                    for entry in found
                    if not entry.name.startswith(".") and not entry.is_dir(follow_symlinks=False)
                )
        except OSError as error:
            raise FlagFolderLost(f"{self._folder} cannot be read: {error.strerror}") from error
        return [_read(self._folder / name) for name in names]

    async def lower(self, flag: Flag) -> None:
        try:
            (self._folder / flag.id).replace(self._folder / TAKEN / flag.id)
        except FileNotFoundError:
            return
        except OSError as error:
            raise FlagFolderLost(f"{flag.id} cannot be moved: {error.strerror}") from error


def flag_of(level: Level, target: str, grade: Grade, reason: str, at: datetime) -> Flag:
    """A flag of whoever runs this process."""
    return Flag(
        id=f"{at:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}.json",
        level=level,
        target=target,
        grade=grade,
        actor=f"local:{_user()}",
        reason=reason,
        at=at,
    )


def is_watched(data_dir: Path) -> bool:
    """Whether a gateway has ever looked there: it makes the folder at its start."""
    return (data_dir / FOLDER).is_dir()


def put(data_dir: Path, flag: Flag) -> Path:
    """Raise the flag; whole when it can be seen, and on the disk when this returns. Raises OSError."""
    folder = data_dir / FOLDER
    unfinished = folder / f".{flag.id}"
    with unfinished.open("wb") as file:
        file.write(msgspec.json.encode(flag))
        file.flush()
        os.fsync(file.fileno())
    path = folder / flag.id
    unfinished.replace(path)
    _sync(folder)
    return path


def _read(path: Path) -> Flag:
    try:
        with path.open("rb") as file:
            flag = _decoder.decode(file.read(BYTES_MAX))
        return msgspec.structs.replace(flag, id=path.name)
    except (OSError, msgspec.DecodeError):
        return Flag(
            id=path.name,
            actor="local:unknown",
            reason=f"the file {path.name} is in the folder that stops everything",
            at=_made_at(path),
        )


def _made_at(path: Path) -> datetime:
    """The same at every look, also where nothing can be seen of it: by it a flag is known again."""
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):
        return datetime.fromtimestamp(0, UTC)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"uid-{os.getuid()}"
