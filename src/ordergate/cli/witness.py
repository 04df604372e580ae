"""`audit witness`: a process of somebody else's that cosigns what a gateway published, while it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import AsJson
from ordergate.cli.output import people, to_programs


def witness(
    *,
    folder: Annotated[Path, typer.Option("--folder", help="Where the gateway publishes its checkpoints.")],
    key: Annotated[str, typer.Option("--key", help="The log's public key, for the first time.")],
    state: Annotated[Path, typer.Option("--state", help="The witness's own folder: key, and what it saw.")],
    name: Annotated[str, typer.Option("--name", help="What the witness is called in its signatures.")],
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Cosign checkpoints, each only when the log grew into it. Needs no settings and no database."""
    from ordergate.wiring import witnessing

    try:
        with witnessing.opened(folder, state, name, key) as watch:
            if as_json:
                to_programs({"key": watch.verifier_key})
            else:
                people().print(Text(f"witness key: {watch.verifier_key}"), soft_wrap=True)
            report = watch.look() if once else watch.follow(every)
    except witnessing.Inconsistent as found:
        raise Stopped(ExitCode.INTEGRITY, f"not cosigned: {found}") from found
    if as_json:
        to_programs(msgspec.to_builtins(report))
    else:
        people().print(f"{report.cosigned} checkpoints cosigned, the last of {report.size} records")
