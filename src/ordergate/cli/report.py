"""`report`: what an officer reads and signs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import people, to_programs, waiting

app = typer.Typer(no_args_is_help=True, help="Reports about controls.")


@app.command()
def day(
    *,
    date: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="The day, in UTC; today if not given."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="The file; controls-<day>.html if not given.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Write a day's controls report: what fired, what people changed, what broke. One page of HTML."""
    from ordergate.wiring import databases, reports

    now = datetime.now(UTC)
    chosen = (date or now).date()
    file = to or Path(f"controls-{chosen.isoformat()}.html")
    settings = databases.settings_of(config, data_dir)
    with waiting("reading and proving the journal"):
        tally = reports.write_day(settings, chosen, file, now)
    if as_json:
        fired = tally.fired
        told = {"fired": fired.refused, "noted": fired.noted, "lifted": fired.lifted, "acted": fired.acted}
        counts = {name: dict(counter) for name, counter in {"counts": tally.counts, **told}.items()}
        to_programs({"file": str(file), **counts})
    else:
        people().print(f"the report of {chosen.isoformat()} is in {file}")
