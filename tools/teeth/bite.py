"""Runs seeds against one copy of the source until something is violated. A process of its own.

`python -m tools.teeth.bite SOURCE SEED...`: one line of JSON about the first seed that caught the
mistake, or about none. Every seed has a bound on its processor time: a mistake may make a run endless.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

import ordergate
from ordergate.simulation.plan import draw
from ordergate.simulation.town import run
from ordergate.telemetry import log

SEED_CPU_S_MAX: Final = 90.0


class Bite(msgspec.Struct, frozen=True):
    """What came of a number of seeds: `seed` caught it, by `invariant`; both are empty when none did."""

    seeds: int
    seed: int | None = None
    invariant: str = ""
    what: str = ""


def bites(source: Path, seeds: Sequence[int], *, go_on: bool) -> Iterator[Bite]:
    """Each seed that caught something; the first one only, unless told to go on."""
    if not Path(ordergate.__file__).is_relative_to(source):
        raise RuntimeError(f"this would judge {ordergate.__file__}, not {source}")
    log.configure("critical")
    for number, seed in enumerate(seeds, start=1):
        _until(number, seed)
        try:
            violations = run(draw(seed)).violations
        except Exception as fault:  # whatever a mistake makes of the run: the drill would end with it
            last = traceback.extract_tb(fault.__traceback__)[-1]
            yield Bite(number, seed, "raised", f"{fault!r} in {Path(last.filename).name}")
        else:
            if not violations:
                continue
            yield Bite(number, seed, violations[0].invariant, violations[0].what)
        if not go_on:
            return
    signal.setitimer(signal.ITIMER_PROF, 0)
    yield Bite(len(seeds))


def _until(number: int, seed: int) -> None:
    """End the process, and say so, when this seed does not end by itself."""

    def endless(signum: int, frame: FrameType | None) -> None:
        _tell(Bite(number, seed, "endless", f"not over after {SEED_CPU_S_MAX} s of processor time"))
        os._exit(0)

    signal.signal(signal.SIGPROF, endless)
    signal.setitimer(signal.ITIMER_PROF, SEED_CPU_S_MAX)


def _tell(bite: Bite) -> None:
    sys.stdout.write(msgspec.json.encode(bite).decode() + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    source, *seeds = arguments
    go_on = "--all" in seeds
    for bite in bites(Path(source), [int(one) for one in seeds if one != "--all"], go_on=go_on):
        _tell(bite)


if __name__ == "__main__":
    main(sys.argv[1:])
