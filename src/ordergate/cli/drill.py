"""`drill`: simulated worlds that fail by seed, and `drill kill`: the kill switch of a running gateway."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

import ordergate
from ordergate.cli import tables
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import AsJson, ProfileFile
from ordergate.cli.output import complaints, people, progress, show, to_programs
from ordergate.cli.profiles import find

if TYPE_CHECKING:
    from ordergate.simulation.drill import Failure, Report


app = typer.Typer(invoke_without_command=True, help="Simulate, or rehearse the kill switch.")


@app.callback(invoke_without_command=True)
def drill(
    context: typer.Context,
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
    if context.invoked_subcommand is not None:
        return
    from ordergate.simulation import drill as drills

    try:
        wanted = drills.chosen(faults)
    except drills.UnknownFault as unknown:
        raise Stopped(ExitCode.USAGE, str(unknown)) from unknown
    with progress("seeds", seeds) as ticks:
        report = drills.drill(seed, seeds, faults=wanted, jobs=jobs, on_progress=ticks.advance)
    reasons = _reasons(report, hits_min, orders_min)
    told = {**_told(report), "failed_because": reasons}
    if record is not None:
        _keep(record, told, f"drill-{{now}}-{told['first_seed']}-{told['seeds']}")
    if as_json:
        to_programs(told)
    else:
        _show(report, told["commit"])
        for reason in reasons:
            people().print(f"failed: {reason}", markup=False)
    if reasons:
        raise typer.Exit(ExitCode.REFUSED)


@app.command()
def kill(
    *,
    orders: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many orders rest when it is stopped.")
    ] = 40,
    symbol: Annotated[str, typer.Option(help="In what.")] = "AAPL",
    between: Annotated[
        tuple[str, str],
        typer.Option(help="The prices at which buys rest: far below the market, inside the collar."),
    ] = ("182.00", "184.00"),
    tick: Annotated[str, typer.Option(help="The step between two prices.")] = "0.01",
    hold: Annotated[int, typer.Option(min=0, help="Buy so many at the market first, and flatten.")] = 0,
    scene: Annotated[
        str, typer.Option(help="calm, rate-limited or broker-down; the last two ask the venue.")
    ] = "calm",
    scene_s: Annotated[float, typer.Option(min=0, help="How long the scene lasts.")] = 10.0,
    second: Annotated[Path | None, typer.Option(help="Another person's profile, for what takes two.")] = None,
    venue_url: Annotated[str | None, typer.Option(help="Of a venue whose faults may be asked for.")] = None,
    venue_admin_token: Annotated[str, typer.Option(envvar="ORDERGATE_VENUE_ADMIN_TOKEN")] = "",
    record: Annotated[
        Path | None, typer.Option(help="Keep the result as a JSON file in this folder.", file_okay=False)
    ] = None,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Rehearse the kill switch on a running paper gateway, and take the times. Releases it afterwards."""
    import asyncio

    import httpx

    from ordergate.cli import rehearsal

    if scene not in rehearsal.SCENES:
        raise Stopped(ExitCode.USAGE, f"the scenes are {', '.join(rehearsal.SCENES)}")
    try:
        asked = rehearsal.Asked(
            profile=find(profile),
            second=None if second is None else find(second),
            symbol=symbol,
            orders=orders,
            prices=(Decimal(between[0]), Decimal(between[1])),
            tick=Decimal(tick),
            hold=hold,
            scene=scene,
            scene_s=scene_s,
            venue_url=venue_url,
            venue_admin_token=venue_admin_token,
        )
        figures = asyncio.run(rehearsal.Rehearsal(asked, complaints().print).run())
    except rehearsal.CannotRehearse as cannot:
        raise Stopped(ExitCode.REFUSED, str(cannot)) from cannot
    except (InvalidOperation, ValueError) as wrong:
        raise Stopped(ExitCode.USAGE, "prices and ticks are decimal numbers") from wrong
    except httpx.HTTPError as error:
        raise Stopped(ExitCode.UNREACHABLE, f"the gateway or the venue cannot be reached: {error}") from error
    told = {"commit": _commit(), "version": ordergate.__version__, **msgspec.to_builtins(figures)}
    if record is not None:
        _keep(record, told, f"kill-{{now}}-{scene}-{figures.orders}")
    show(told, as_json, tables.sheet({name: "-" if value is None else value for name, value in told.items()}))
    if figures.left or figures.nothing_left_ms is None or figures.accepted_while_stopped:
        raise typer.Exit(ExitCode.REFUSED)


def _reasons(report: Report, hits_min: int, orders_min: int) -> list[str]:
    """Why the drill has failed; none where it has not."""
    reasons = []
    if report.failures:
        failed = ", ".join(str(failure.seed) for failure in report.failures)
        count = f"{len(report.failures)} of {report.seeds}"
        reasons.append(f"{report.violations} violations, in {count} seeds: {failed}")
    if rare := report.hit_less_than(hits_min):
        reasons.append(f"hit less than {hits_min} times: {', '.join(rare)}")
    if report.orders < orders_min * report.seeds:
        reasons.append(f"{report.orders / report.seeds:.1f} orders a world; {orders_min} were wanted")
    return reasons


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
    console.print(f"  trace {failure.digest}", markup=False)
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


def _keep(folder: Path, told: dict[str, Any], name: str) -> None:
    """One file per drill, so that the figures of many add up."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    written = msgspec.json.format(msgspec.json.encode({"at": now, **told}), indent=2)
    (folder / f"{name.format(now=f'{now:%Y%m%dT%H%M%SZ}')}.json").write_bytes(written + b"\n")


def _commit() -> str:
    """The commit that this code is from, where it is a checkout; else the release."""
    where = Path(ordergate.__file__).parent
    try:
        asked = ("git", "-C", str(where), "rev-parse", "HEAD")
        found = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False)
    except OSError:
        return ordergate.__version__
    return found.stdout.strip() or ordergate.__version__
