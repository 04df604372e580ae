"""What a command says, and to whom: tables for people, JSON for programs, complaints on standard error.

With `--json` standard output holds JSON alone, whatever happens.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

import msgspec
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

PIPE_COLUMNS: Final = 1_000


def people() -> Console:
    """Standard output as it is at this moment."""
    return _console(sys.stdout)


def complaints() -> Console:
    return _console(sys.stderr)


def _console(file: TextIO) -> Console:
    """As wide as the terminal. A pipe or a file has no width, so nothing is wrapped for it."""
    console = Console(file=file, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_COLUMNS
    return console


def to_programs(value: Any) -> None:
    """One JSON document, on one line."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def show(value: Any, as_json: bool, table: RenderableType) -> None:
    """The same thing for whoever is listening."""
    if as_json:
        to_programs(value)
    else:
        people().print(table)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[_Ticks]:
    """A bar on standard error, when a person is looking."""
    console = complaints()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=total)

        def advance(by: int = 1) -> None:
            shown.advance(task, by)

        yield _Ticks(advance)


class _Ticks:
    def __init__(self, advance: Any) -> None:
        self.advance = advance


@contextmanager
def waiting(what: str, *, quiet: bool = False) -> Iterator[None]:
    """A spinner on standard error while something takes as long as it takes; none when `quiet`."""
    console = complaints()
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(what):
        yield
