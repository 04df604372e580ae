"""Finds SQL by name.

Statements live in `sql/*.sql`, each under a line `-- name: what_it_is`; migrations live in
`migrations/NNNN_what.sql`. No other module of the journal holds SQL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

_NAME: Final = re.compile(r"^-- name: ([a-z_]+)$", re.MULTILINE)


def statements(file: str) -> Mapping[str, str]:
    """The statements of `sql/<file>.sql` by name; their comments stay with them."""
    text = files("ordergate.journal").joinpath("sql", f"{file}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    names, bodies = parts[0::2], [body.strip() for body in parts[1::2]]
    if len(set(names)) != len(names):
        raise ValueError(f"{file}.sql names a statement twice")
    return dict(zip(names, bodies, strict=True))


def migrations() -> list[tuple[int, str, str]]:
    """Every migration as (number, name, text), in order."""
    found = []
    for file in files("ordergate.journal").joinpath("migrations").iterdir():
        stem, _, kind = file.name.partition(".")
        if kind == "sql":
            found.append((int(stem[:4]), stem, file.read_text(encoding="utf-8")))
    return sorted(found)
