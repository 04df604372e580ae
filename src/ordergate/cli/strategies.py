"""`strategies`: which strategies may trade in a tenant, and who answers for them, in a gateway's database."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from ordergate.cli import tables
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import show, waiting
from ordergate.cli.roles import OfTenant, refusals
from ordergate.core.strategies import Strategy

app = typer.Typer(no_args_is_help=True, help="Register strategies; from the first one on no other trades.")

Name = Annotated[str, typer.Argument(help="What orders call it.")]
Version = Annotated[
    str, typer.Option("--version", help="This version only; otherwise each that is not registered itself.")
]


@app.command()
def add(
    name: Name,
    *,
    owner: Annotated[str, typer.Option("--owner", help="The person who answers for it, such as user:ann.")],
    version: Version = "",
    tenant: OfTenant = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Let a strategy trade, or trade again."""
    from ordergate.wiring import databases, roles

    settings = databases.settings_of(config, data_dir)
    with refusals(), waiting("adding"):
        found = roles.add_strategy(settings, Strategy(tenant or settings.tenant, name, version, owner))
    _told(found, as_json)


@app.command("list")
def list_(config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """List strategies. A tenant that has none trades any."""
    from ordergate.wiring import databases, roles

    with waiting("reading"):
        found = roles.access(databases.settings_of(config, data_dir)).strategies
    plain = {"strategies": [msgspec.to_builtins(one) for one in found]}
    show(plain, as_json, tables.plain(_HEADS, [_row(one) for one in found]))


@app.command()
def disable(
    name: Name,
    *,
    version: Version = "",
    tenant: OfTenant = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Refuse a strategy new orders; what it has open can still be canceled."""
    from ordergate.wiring import databases, roles

    settings = databases.settings_of(config, data_dir)
    with refusals(), waiting("disabling"):
        found = roles.disable_strategy(settings, tenant or settings.tenant, name, version)
    _told(found, as_json)


_HEADS = ("tenant", "strategy", "version", "owner", "")


def _row(one: Strategy) -> tuple[str, ...]:
    return one.tenant, one.name, one.version, one.owner, "enabled" if one.enabled else "disabled"


def _told(strategy: Strategy, as_json: bool) -> None:
    show(msgspec.to_builtins(strategy), as_json, tables.plain(_HEADS, [_row(strategy)]))
