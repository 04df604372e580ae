"""Many runs: a range of seeds over several processes, what was seen in all, and each failure cut down."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final

import msgspec

from ordergate.simulation.catalogue import BY_ID, FAULTS, WITH_SUBJECT
from ordergate.simulation.minimise import minimise
from ordergate.simulation.plan import Plan, draw
from ordergate.simulation.town import Result, run
from ordergate.simulation.witness import Violation
from ordergate.telemetry import log

CHUNK: Final = 5
MINIMISED_MAX: Final = 3
TRACE_LINES_MAX: Final = 120


class UnknownFault(ValueError):
    """Somebody asked for a fault that is not in the list, or has no subject."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One failing seed. `needed` are the strikes that the failure needs, `trace` the run with those alone.

    `digest` is of the trace of the run as it was planned: whoever repeats it, elsewhere, must get the same.
    """

    seed: int
    digest: str
    violations: tuple[Violation, ...]
    planned: Plan
    needed: Plan | None = None
    trace: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a drill found."""

    first_seed: int
    seeds: int
    orders: int
    events: int
    seconds: float
    faults: tuple[str, ...]
    hits: dict[str, int]
    seeds_with: dict[str, int]
    failures: tuple[Failure, ...]

    @property
    def violations(self) -> int:
        return sum(len(failure.violations) for failure in self.failures)

    @property
    def never_hit(self) -> tuple[str, ...]:
        """Faults that were asked for and did not come about."""
        return self.hit_less_than(1)

    def hit_less_than(self, often: int) -> tuple[str, ...]:
        """Faults that were asked for and came about more rarely than that."""
        return tuple(fault for fault in self.faults if self.hits.get(fault, 0) < often)


def chosen(names: str | None) -> tuple[str, ...]:
    """The faults that a comma-separated list names; all that have a subject when there is none."""
    if names is None:
        return WITH_SUBJECT
    wanted = [name.strip().upper() for name in names.split(",") if name.strip()]
    for name in wanted:
        fault = BY_ID.get(name)
        if fault is None:
            known = ", ".join(one.id for one in FAULTS)
            raise UnknownFault(f"there is no fault {name}; there are {known}")
        if not fault.has_subject:
            raise UnknownFault(f"{name} has no subject in this release: {fault.absent}")
    return tuple(wanted)


def drill(
    first_seed: int,
    seeds: int,
    *,
    faults: Collection[str] = WITH_SUBJECT,
    jobs: int | None = None,
    on_progress: Callable[[int], None] = lambda seeds: None,
) -> Report:
    """Run every seed, and cut the first failures down."""
    begun = time.monotonic()
    orders = events = 0
    hits: Counter[str] = Counter()
    seeds_with: Counter[str] = Counter()
    failed: list[Result] = []
    for result in _results(first_seed, seeds, tuple(faults), jobs or os.cpu_count() or 1):
        orders += result.orders
        events += result.events
        hits.update(result.hits)
        seeds_with.update(result.hits.keys())
        if result.violations:
            failed.append(result)
        on_progress(1)
    return Report(
        first_seed=first_seed,
        seeds=seeds,
        orders=orders,
        events=events,
        seconds=round(time.monotonic() - begun, 1),
        faults=tuple(faults),
        hits=dict(sorted(hits.items())),
        seeds_with=dict(sorted(seeds_with.items())),
        failures=tuple(_explained(failed, tuple(faults))),
    )


def _results(first_seed: int, seeds: int, faults: tuple[str, ...], jobs: int) -> Iterator[Result]:
    """In the order of the seeds, whoever is done first."""
    wanted = range(first_seed, first_seed + seeds)
    if jobs == 1 or seeds <= CHUNK:
        yield from _run_some(wanted, faults)
        return
    chunks = [wanted[start : start + CHUNK] for start in range(0, seeds, CHUNK)]
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for done in pool.map(_run_some, chunks, itertools.repeat(faults)):
            yield from done


def _run_some(seeds: Sequence[int], faults: tuple[str, ...]) -> list[Result]:
    log.configure("critical")
    return [run(draw(seed, faults)) for seed in seeds]


def _explained(failed: Sequence[Result], faults: tuple[str, ...]) -> Iterator[Failure]:
    """The first failures with the least that they need; the others as they are."""
    log.configure("critical")
    for number, result in enumerate(failed):
        planned = draw(result.seed, faults)
        if number >= MINIMISED_MAX:
            yield Failure(
                seed=result.seed, digest=result.digest, violations=result.violations, planned=planned
            )
            continue
        needed = minimise(planned, result.violations[0].invariant)
        trace = run(needed, keep_trace=True).trace
        yield Failure(
            seed=result.seed,
            digest=result.digest,
            violations=result.violations,
            planned=planned,
            needed=needed,
            trace=trace[-TRACE_LINES_MAX:],
        )
