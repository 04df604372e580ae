"""A known mistake, and how it is planted in a private copy of the source.

A mistake is the exact text that is there and what stands in its place. Text that is not there exactly
once is an error: the catalogue has to stay true while the code changes.
"""

from __future__ import annotations

import compileall
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = REPOSITORY / "src"


class NotThere(ValueError):
    """The text that a mutation replaces is not in its file exactly once."""


class Mutation(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake. `p0` says that it could lose or double an order, send one without risk or a commit, or
    guess what became of one.

    `find` stands in `file` once, below `src/ordergate`, and `put` takes its place.
    """

    id: str
    what: str
    file: str
    find: str
    put: str
    p0: bool = False

    def planted(self, text: str) -> str:
        """The file's text with the mistake in it. Raises NotThere."""
        times = text.count(self.find)
        if times != 1:
            raise NotThere(f"{self.id}: its text is in {self.file} {times} times, not once")
        return text.replace(self.find, self.put)

    def plant(self, source: Path) -> None:
        """Make the mistake in a copy of the source. Raises NotThere."""
        path = source / "ordergate" / self.file
        planted = self.planted(path.read_text(encoding="utf-8"))
        path.unlink()  # the copy shares its files with the original
        path.write_text(planted, encoding="utf-8")


class Equivalent(msgspec.Struct, frozen=True, kw_only=True):
    """A mistake that nobody could see, and why: something else does what it undoes. It is not counted."""

    id: str
    what: str
    why: str


def snapshot(folder: Path) -> Path:
    """The source as it is now, compiled, so that what is edited meanwhile does not matter."""
    copy = folder / "source"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(copy, quiet=2)
    return copy


def planted(mutation: Mutation | None, original: Path, folder: Path) -> Path:
    """A copy of the snapshot with one mistake in it, or with none."""
    copy = folder / ("control" if mutation is None else mutation.id)
    shutil.copytree(original, copy, copy_function=os.link)
    if mutation is not None:
        mutation.plant(copy)
    return copy


def not_there(mutations: Iterable[Mutation]) -> list[str]:
    """What is wrong with the catalogue, one sentence each."""
    wrong = []
    for one in mutations:
        try:
            one.planted((SOURCE / "ordergate" / one.file).read_text(encoding="utf-8"))
        except (NotThere, FileNotFoundError) as fault:
            wrong.append(str(fault))
    return wrong
