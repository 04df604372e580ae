"""The numbered migrations of identity's tables, for whoever keeps the database's schema.

They are numbered from 501 on, so that they never meet the journal's in the same ledger.
"""

from __future__ import annotations

from importlib.resources import files


def identity_migrations() -> list[tuple[int, str, str]]:
    """Every migration as (number, name, text), in order."""
    found = []
    for file in files(__name__).iterdir():
        stem, _, kind = file.name.partition(".")
        if kind == "sql":
            found.append((int(stem[:4]), stem, file.read_text(encoding="utf-8")))
    return sorted(found)
