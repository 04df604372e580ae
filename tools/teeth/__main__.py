"""Plants every known mistake, shows which seed catches it. `python -m tools.teeth`, or `make sim-teeth`."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from tools.teeth.catalogue import EQUIVALENTS, MUTATIONS
from tools.teeth.hunt import Hunted, Report, hunt
from tools.teeth.known import known, learn
from tools.teeth.mutation import REPOSITORY, Mutation, NotThere


def main(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds for each mistake, at most.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 1,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    only: Annotated[str | None, typer.Option(help="Only these, by id: ID,ID,...")] = None,
    p0: Annotated[bool, typer.Option("--p0", help="Only what could lose, double or guess.")] = False,
    first: Annotated[
        bool, typer.Option("--known", help="Try the seed that caught it the last time first.")
    ] = False,
    learning: Annotated[bool, typer.Option("--learn", help="Remember the seeds that caught.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Keep the result as a JSON file in this folder.", file_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Does the simulation have teeth? Plants known mistakes one at a time and hunts each with seeds."""
    chosen = _chosen(only, p0=p0)
    errors = Console(stderr=True)

    def told(one: Hunted) -> None:
        errors.print(f"{one.id}: {_caught_by(one)} ({one.seconds} s)", markup=False, highlight=False)

    try:
        report = hunt(
            chosen,
            seeds=seeds,
            first_seed=seed,
            jobs=jobs,
            known=known() if first else None,
            on_done=told,
        )
    except NotThere as wrong:
        errors.print(str(wrong), style="red", markup=False)
        raise typer.Exit(2) from wrong
    if learning:
        learn(report.hunted)
    written = _written(report)
    if record is not None:
        record.mkdir(parents=True, exist_ok=True)
        path = record / f"teeth-{written['commit'][:12]}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n")
    if as_json:
        sys.stdout.write(msgspec.json.encode(written).decode() + "\n")
    else:
        _show(report)
    if not report.is_enough:
        raise typer.Exit(1)


def _chosen(only: str | None, *, p0: bool) -> list[Mutation]:
    wanted = None if only is None else {name.strip() for name in only.split(",")}
    unknown = (wanted or set()) - {one.id for one in MUTATIONS}
    if unknown:
        raise typer.BadParameter(f"there is no mutation {', '.join(sorted(unknown))}")
    return [one for one in MUTATIONS if (one.p0 or not p0) and (wanted is None or one.id in wanted)]


def _caught_by(one: Hunted) -> str:
    if not one.caught:
        return f"NOT caught by {one.seeds} seeds"
    return f"caught by seed {one.seed} ({one.invariant})"


def _show(report: Report) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    table = Table("mutation", "", "caught by", "seeds", "what it does")
    for one in sorted(report.hunted, key=lambda one: (one.caught, not one.p0, one.id)):
        seeds = str(one.seeds) if one.caught else f"> {one.seeds}"
        table.add_row(
            one.id,
            "P0" if one.p0 else "P1",
            one.invariant or "nothing",
            seeds,
            one.what,
            style=None if one.caught else "red",
        )
    console.print(table)
    for bite in report.unsound:
        console.print(
            f"seed {bite.seed} fails without any mistake: {bite.invariant} {bite.what}", markup=False
        )
    console.print(
        f"{report.caught} of {len(report.hunted)} caught ({report.caught_percent} %), "
        f"P0 missed: {', '.join(report.p0_missed) or 'none'}, "
        f"median {report.seeds_median} seeds, {report.seconds} s"
    )


def _written(report: Report) -> dict[str, Any]:
    asked = ("git", "-C", str(REPOSITORY), "rev-parse", "HEAD")
    found = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False)
    return {
        "at": datetime.now(UTC),
        "commit": found.stdout.strip() or "unknown",
        "mutations": len(report.hunted),
        "caught": report.caught,
        "caught_percent": report.caught_percent,
        "p0_missed": report.p0_missed,
        "seeds_median": report.seeds_median,
        "seeds_max": report.seeds_max,
        "seconds": report.seconds,
        "unsound_seeds": msgspec.to_builtins(report.unsound),
        "hunted": msgspec.to_builtins(report.hunted),
        "equivalent": msgspec.to_builtins(EQUIVALENTS),
    }


if __name__ == "__main__":
    typer.run(main)
