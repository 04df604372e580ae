"""Hunts planted mistakes with seeds of the simulation: each in a copy of its own, several at once.

A seed that caught something is then run on the source as it is, the control. One that fails there, too,
proves nothing: it is left out, the mistake is hunted further, and the hunt has failed: what finds
mistakes where there are none is no judge.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from tools.teeth.bite import SEED_CPU_S_MAX, Bite
from tools.teeth.mutation import REPOSITORY, Mutation, planted, snapshot

ENOUGH_PERCENT: Final = 95
_SEED_S_MAX: Final = 10 * SEED_CPU_S_MAX


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
    known: Mapping[str, int] | None = None,
    on_done: Callable[[Hunted], None] = lambda one: None,
) -> Report:
    """Hunt each of them, with so many seeds at most. `known` seeds are tried first. Raises NotThere."""
    begun = time.monotonic()
    wanted = range(first_seed, first_seed + seeds)
    with tempfile.TemporaryDirectory(prefix="teeth-") as name, ThreadPoolExecutor(jobs) as pool:
        folder = Path(name)
        original = snapshot(folder)
        copies = {one.id: planted(one, original, folder) for one in mutations}
        control = _Control(planted(None, original, folder), pool, jobs)

        def hunted(mutation: Mutation) -> Hunted:
            first = (known or {}).get(mutation.id)
            order = [*wanted] if first is None else [first, *(one for one in wanted if one != first)]
            one = _hunted(mutation, copies[mutation.id], [one for one in order if one not in control.unsound])
            on_done(one)
            return one

        results: dict[str, Hunted] = {}
        left = list(mutations)
        while left:
            results.update({one.id: one for one in pool.map(hunted, left)})
            control.run({one.seed for one in results.values() if one.seed is not None})
            left = [one for one in left if results[one.id].seed in control.unsound]
    return Report(
        seeds_max=seeds,
        unsound=tuple(control.unsound.values()),
        hunted=tuple(results[one.id] for one in mutations),
        seconds=round(time.monotonic() - begun, 1),
    )


class _Control:
    """The source as it is: each seed that caught something runs on it, once."""

    def __init__(self, copy: Path, pool: ThreadPoolExecutor, jobs: int) -> None:
        self.unsound: dict[int, Bite] = {}
        self._copy = copy
        self._pool = pool
        self._jobs = jobs
        self._ran: set[int] = set()

    def run(self, seeds: set[int]) -> None:
        new = sorted(seeds - self._ran)
        self._ran.update(new)
        parts = [part for number in range(self._jobs) if (part := new[number :: self._jobs])]
        for bites in self._pool.map(lambda part: _run(self._copy, part, go_on=True), parts):
            self.unsound.update({one.seed: one for one in bites if one.seed is not None})


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
        timeout=_SEED_S_MAX * max(len(seeds), 1),
        check=False,
    )
    told = [msgspec.json.decode(line, type=Bite) for line in done.stdout.splitlines()]
    if done.returncode != 0 or not told:
        raise RuntimeError(f"{copy.name} could not be judged: {done.stderr[-2000:]}")
    return told
