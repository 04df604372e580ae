"""Hunts planted mistakes with seeds of the simulation: each in a copy of its own, several at once.

First the source as it is, the control, runs all the seeds. A seed that fails there proves nothing and is
left out, and the hunt has failed: what finds mistakes where there are none is no judge.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from tools.teeth.bite import SEED_CPU_S_MAX, Bite
from tools.teeth.mutation import REPOSITORY, Mutation, planted, snapshot

ENOUGH_PERCENT: Final = 95
_SEED_S_MAX: Final = 10 * SEED_CPU_S_MAX
_SLICE: Final = 10


class Hunted(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake, and the first seed that caught it, if one did."""

    id: str
    p0: bool
    what: str
    seeds: int
    seed: int | None
    invariant: str
    violation: str
    seconds: float

    @property
    def caught(self) -> bool:
        return self.seed is not None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a hunt found. `unsound` are the seeds that fail without any mistake."""

    seeds_max: int
    unsound: tuple[Bite, ...]
    hunted: tuple[Hunted, ...]
    seconds: float

    @property
    def caught(self) -> int:
        return sum(one.caught for one in self.hunted)

    @property
    def caught_percent(self) -> float:
        return round(100 * self.caught / max(len(self.hunted), 1), 1)

    @property
    def missed(self) -> tuple[Hunted, ...]:
        return tuple(one for one in self.hunted if not one.caught)

    @property
    def p0_missed(self) -> tuple[str, ...]:
        return tuple(one.id for one in self.missed if one.p0)

    @property
    def seeds_median(self) -> float | None:
        needed = [one.seeds for one in self.hunted if one.caught]
        return median(needed) if needed else None

    @property
    def is_enough(self) -> bool:
        return self.caught_percent >= ENOUGH_PERCENT and not self.p0_missed and not self.unsound


def hunt(
    mutations: Sequence[Mutation],
    *,
    seeds: int,
    first_seed: int = 1,
    jobs: int = 2,
    on_done: Callable[[Hunted], None] = lambda one: None,
) -> Report:
    """Hunt each of them, with so many seeds at most. Raises NotThere."""
    begun = time.monotonic()
    wanted = list(range(first_seed, first_seed + seeds))
    with tempfile.TemporaryDirectory(prefix="teeth-") as name, ThreadPoolExecutor(jobs) as pool:
        folder = Path(name)
        original = snapshot(folder)
        copies = [planted(one, original, folder) for one in mutations]
        control = planted(None, original, folder)
        slices = [wanted[at : at + _SLICE] for at in range(0, seeds, _SLICE)]
        found = [
            bite for some in pool.map(lambda one: _run(control, one, go_on=True), slices) for bite in some
        ]
        unsound = tuple(bite for bite in found if bite.seed is not None)
        sound = [seed for seed in wanted if seed not in {bite.seed for bite in unsound}]

        def hunted(mutation: Mutation, copy: Path) -> Hunted:
            one = _hunted(mutation, copy, sound)
            on_done(one)
            return one

        results = tuple(pool.map(hunted, mutations, copies))
    return Report(
        seeds_max=seeds, unsound=unsound, hunted=results, seconds=round(time.monotonic() - begun, 1)
    )


def _hunted(mutation: Mutation, copy: Path, seeds: Sequence[int]) -> Hunted:
    begun = time.monotonic()
    (bite,) = _run(copy, seeds, go_on=False)
    return Hunted(
        id=mutation.id,
        p0=mutation.p0,
        what=mutation.what,
        seeds=bite.seeds,
        seed=bite.seed,
        invariant=bite.invariant,
        violation=bite.what,
        seconds=round(time.monotonic() - begun, 1),
    )


def _run(copy: Path, seeds: Sequence[int], *, go_on: bool) -> list[Bite]:
    """Seeds in a process that sees this copy and no other. What cannot even start is caught by that."""
    command = [sys.executable, "-m", "tools.teeth.bite", str(copy), *map(str, seeds)]
    done = subprocess.run(
        [*command, "--all"] if go_on else command,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=_SEED_S_MAX * len(seeds),
        check=False,
    )
    told = [msgspec.json.decode(line, type=Bite) for line in done.stdout.splitlines()]
    if done.returncode != 0 or not told:
        raise RuntimeError(f"{copy.name} could not be judged: {done.stderr[-2000:]}")
    return told
