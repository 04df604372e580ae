"""`drill`: runs the whole gateway against simulated worlds that fail by seed, and checks what must hold."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

import ordergate
from ordergate.cli import tables
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import AsJson
from ordergate.cli.output import people, progress, to_programs

if TYPE_CHECKING:
    from ordergate.simulation.drill import Failure, Report


def drill(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="How many runs.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="The first run's seed; each next one is one more.")] = 1,
    faults: Annotated[
        str | None, typer.Option(help="Only these, by id: B1,C3,... Empty: none at all.", show_default="all")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes.", show_default="one per core")] = None,
    hits_min: Annotated[
        int, typer.Option(min=0, help="Fail when a fault that is let in was hit less often.")
    ] = 0,
    orders_min: Annotated[
        int, typer.Option(min=0, help="Fail when the worlds had fewer orders on average.")
    ] = 0,
    record: Annotated[
        Path | None, typer.Option(help="Keep the result as a JSON file in this folder.", file_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate: the real engine on virtual time against twins that fail, one world per seed."""
    from ordergate.simulation import drill as drills

    try:
        wanted = drills.chosen(faults)
    except drills.UnknownFault as unknown:
        raise Stopped(ExitCode.USAGE, str(unknown)) from unknown
    with progress("seeds", seeds) as ticks:
        report = drills.drill(seed, seeds, faults=wanted, jobs=jobs, on_progress=ticks.advance)
    told = _told(report)
    if record is not None:
        _keep(record, told)
    if as_json:
        to_programs(told)
    else:
        _show(report, told["commit"])
    rare = report.hit_less_than(hits_min)
    too_few = report.orders < orders_min * report.seeds
    if rare and not as_json:
        people().print(f"hit less than {hits_min} times: {', '.join(rare)}")
    if too_few and not as_json:
        people().print(f"{report.orders / report.seeds:.1f} orders a world; {orders_min} were wanted")
    if report.failures or rare or too_few:
        raise typer.Exit(ExitCode.REFUSED)


def _told(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "commit": _commit(),
        "version": ordergate.__version__,
        "first_seed": report.first_seed,
        "seeds": report.seeds,
        "orders": report.orders,
        "events": report.events,
        "seconds": report.seconds,
        "hits": report.hits,
        "seeds_with": report.seeds_with,
        "never_hit": report.never_hit,
        "violations": report.violations,
        "failures": msgspec.to_builtins(report.failures),
    }


def _show(report: Report, commit: str) -> None:
    console = people()
    console.print(
        f"{report.seeds} seeds from {report.first_seed}, {report.orders} orders, {report.events} events, "
        f"{report.seconds} s, {report.violations} violations"
    )
    rows = [(fault, str(hits), str(report.seeds_with[fault])) for fault, hits in report.hits.items()]
    if rows:
        console.print(tables.plain(("fault", "hits", "seeds"), rows))
    if report.never_hit:
        console.print(f"not hit: {', '.join(report.never_hit)}")
    for failure in report.failures:
        _show_failure(failure, commit)


def _show_failure(failure: Failure, commit: str) -> None:
    """All that is needed to see it again: seed, commit, what was planned, and the least that fails."""
    console = people()
    console.print(f"\nseed {failure.seed} at commit {commit}", style="bold red")
    for violation in failure.violations:
        console.print(f"  {violation.at:9.3f} s  {violation.invariant}  {violation.what}", markup=False)
    plan = failure.planned if failure.needed is None else failure.needed
    console.print(f"  setting {msgspec.json.encode(plan.setting).decode()}", markup=False)
    console.print(f"  faults: {len(failure.planned.strikes)} planned, {len(plan.strikes)} needed")
    for strike in plan.strikes:
        console.print(
            f"    {strike.number:3} {strike.fault:<3} at {strike.at:.3f} s for {strike.lasts} s, "
            f"dose {strike.dose}, account {strike.account}"
        )
    for line in failure.trace:
        console.print(f"  {line}", markup=False)


def _keep(folder: Path, told: dict[str, Any]) -> None:
    """One file per drill, so that the figures of many add up."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    name = f"drill-{now:%Y%m%dT%H%M%SZ}-{told['first_seed']}-{told['seeds']}.json"
    written = msgspec.json.format(msgspec.json.encode({"at": now, **told}), indent=2)
    (folder / name).write_bytes(written + b"\n")


def _commit() -> str:
    """The commit that this code is from, where it is a checkout; else the release."""
    where = Path(ordergate.__file__).parent
    try:
        asked = ("git", "-C", str(where), "rev-parse", "HEAD")
        found = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False)
    except OSError:
        return ordergate.__version__
    return found.stdout.strip() or ordergate.__version__
