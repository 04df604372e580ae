"""Names what an account's events are folded by: this release's code, and the instruments of the settings.

A snapshot is used only under the very rules that it was made by. So that nobody has to remember to say
when they change, their name is a hash of them: any change of the code that folds, or of what can be
traded, makes the next start fold everything once. Never looks into a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Final

import msgspec

from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument
from ordergate.wiring.build import digest, texts

FOLDED_BY: Final = (
    "core",
    "engine/accounts/books.py",
    "engine/accounts/broker_ids.py",
    "engine/accounts/group_books.py",
    "engine/accounts/labels.py",
    "engine/accounts/pictures.py",
    "engine/accounts/recovery.py",
    "journal/codec.py",
)
"""Everything that is between a stored event and the books: folders whole, as more is better than less."""


def fold_rules(instruments: Mapping[Symbol, Instrument]) -> str:
    """The same for the same code and instruments, whatever their order and the names they are found by."""
    return digest((*_sources(), *_listed(instruments)))


def _listed(instruments: Mapping[Symbol, Instrument]) -> list[bytes]:
    return sorted({msgspec.json.encode(one, order="sorted") for one in instruments.values()})


def _sources() -> Iterator[bytes]:
    root = files("ordergate")
    for name in FOLDED_BY:
        yield from texts(root.joinpath(name), name)
