"""`hooks`: the doors for alerts that become orders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ordergate.cli import tables
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import show
from ordergate.core.hooks.template import Template, alert_in
from ordergate.core.refusals import Refusal

app = typer.Typer(no_args_is_help=True, help="See what alerts would become.")


@app.command("try")
def try_(
    alert: Annotated[Path, typer.Argument(help="A file with an alert as it would be posted.")],
    *,
    hook: Annotated[str, typer.Option("--hook", help="The hook's name in the settings.")],
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show the order that an alert asks for; exits 1 when it makes none. Nothing is sent."""
    from ordergate.api.requests import terms_in
    from ordergate.wiring import databases

    its = databases.settings_of(config, data_dir).hooks.get(hook)
    if its is None:
        raise Stopped(ExitCode.REFUSED, f"the settings have no hook {hook}")
    try:
        said = alert_in(alert.read_bytes())
    except OSError as error:
        raise Stopped(ExitCode.REFUSED, f"cannot read {alert}: {error.strerror}") from error
    order = said if isinstance(said, Refusal) else Template(its.order).order(its.account, said)
    wrong = order if isinstance(order, Refusal) else terms_in(msgspec.json.encode(order))
    if isinstance(wrong, Refusal):
        why = "; ".join(f"{field} {words}" for field, words in wrong.fields.items())
        raise Stopped(ExitCode.REFUSED, f"{wrong.detail}: {why}" if why else wrong.detail)
    assert not isinstance(order, Refusal)
    show(order, as_json, tables.sheet({name: str(value) for name, value in order.items()}))
