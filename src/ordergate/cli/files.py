"""Files that others wait for, or that hold a secret: whole or not at all, and nobody else's to read."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ordergate.cli.exits import ExitCode, Stopped


@contextmanager
def while_up(file: Path | None) -> Iterator[Callable[[Any], None]]:
    """What is handed in is in the file until the block ends: no former start is taken for this one.

    That it can be written is looked at before anything is started. Raises Stopped.
    """
    if file is None:
        yield lambda value: None
        return
    with _sentences(file):
        file.unlink(missing_ok=True)
        os.close(_open(_draft(file)))
        _draft(file).unlink()
    try:
        yield lambda value: write_json(file, value)
    finally:
        file.unlink(missing_ok=True)


def write_json(file: Path, value: Any) -> None:
    """Raises Stopped."""
    with written(file, as_json(value)):
        pass


def as_json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


@contextmanager
def written(file: Path, content: bytes) -> Iterator[None]:
    """Once the block has ended well the file holds this; if it has not, the file is as it was.

    All that can go wrong with writing does so before the block begins: what it does is often not undone.
    Raises Stopped.
    """
    draft = _draft(file)
    with _sentences(file):
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with os.fdopen(_open(draft), "wb") as output:
            output.write(content)
    try:
        yield
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    with _sentences(file, f"; what belongs there is in {draft}"):
        draft.replace(file)


def _draft(file: Path) -> Path:
    return file.with_name(file.name + ".new")


def _open(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


@contextmanager
def _sentences(file: Path, besides: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Stopped(ExitCode.CANNOT_START, f"cannot write {file}: {error.strerror}{besides}") from error
