"""Which code a process runs: the release and, as two commits may call themselves alike, its files."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import ordergate

_DIGITS: Final = 12


@functools.cache
def build() -> str:
    """`0.1.0+` and the first digits of the digest of every file of the package, read once."""
    return f"{ordergate.__version__}+{digest(texts(files('ordergate'), 'ordergate'))[:_DIGITS]}"


def texts(place: Traversable, name: str) -> Iterator[bytes]:
    """The path and the content of a file, or of every file beneath a folder, in the order of their names.

    What the interpreter keeps for itself is no part of it.
    """
    if not place.is_dir():
        yield name.encode()
        yield place.read_bytes()
        return
    for inside in sorted(place.iterdir(), key=lambda one: one.name):
        if inside.name != "__pycache__":
            yield from texts(inside, f"{name}/{inside.name}")


def digest(parts: Iterable[bytes]) -> str:
    """SHA-256 of all of them, none of which can be taken for two."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.hexdigest()
