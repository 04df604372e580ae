"""The seeds that caught each mistake the last time: tried first, a hunt takes seconds instead of hours.

They prove nothing by themselves. What a change of the simulation makes useless is found anew by
`python -m tools.teeth --learn`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from tools.teeth.hunt import Hunted

PATH: Final = Path(__file__).with_name("known.json")


def known() -> dict[str, int]:
    """By the id of the mistake."""
    return msgspec.json.decode(PATH.read_bytes(), type=dict[str, int])


def learn(hunted: Iterable[Hunted]) -> None:
    """Remember what caught these; what nothing caught is forgotten."""
    seeds = known() | {one.id: one.seed for one in hunted if one.seed is not None}
    for one in hunted:
        if one.seed is None:
            seeds.pop(one.id, None)
    PATH.write_bytes(msgspec.json.format(msgspec.json.encode(dict(sorted(seeds.items()))), indent=2) + b"\n")
