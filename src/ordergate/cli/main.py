"""`ordergate`: the commands, and the one place where a command that failed becomes words and a number."""

from __future__ import annotations

from typing import Any, Final

import typer
from typer.core import TyperGroup

import ordergate
from ordergate.cli import (
    accounts,
    alarms,
    audit,
    breaks,
    clients,
    credentials,
    declare,
    doctor,
    drill,
    egress,
    groups,
    hooks,
    journal,
    keys,
    kill,
    limits,
    login,
    orders,
    rates,
    report,
    roles,
    running,
    secrets,
    servers,
    strategies,
    users,
)
from ordergate.cli.exits import EPILOG, ExitCode, Stopped
from ordergate.cli.options import JSON_KEY, AsJson
from ordergate.cli.output import complaints, people, to_programs
from ordergate.wiring.build import build
from ordergate.wiring.settings import CannotStart

ASKED_FOR_JSON: Final = "ordergate.asked-for-json"
"""Said before the options are read: a command line that makes no sense may never get as far."""


class Commands(TyperGroup):
    """All commands. What one of them cannot do is a sentence, never a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[ASKED_FOR_JSON] = "--json" in args
        return super().parse_args(ctx, _json_last(args))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.TyperException as senseless:  # typer says it to people, and ends with 2
            said: Any = senseless
            if ctx.meta[ASKED_FOR_JSON] and getattr(said, "exit_code", None) == ExitCode.USAGE:
                to_programs({"code": "usage", "detail": said.format_message()})
            raise
        except Stopped as stopped:
            _say_why(stopped, for_programs=JSON_KEY in ctx.meta)
            raise typer.Exit(stopped.code) from stopped
        except CannotStart as cannot:
            _say_why(Stopped(ExitCode.CANNOT_START, str(cannot)), for_programs=JSON_KEY in ctx.meta)
            raise typer.Exit(ExitCode.CANNOT_START) from cannot
        except BrokenPipeError:
            raise  # whoever read our output has seen enough
        except OSError as error:
            _say_why(_file_trouble(error), for_programs=JSON_KEY in ctx.meta)
            raise typer.Exit(ExitCode.CANNOT_START) from error


def _json_last(args: list[str]) -> list[str]:
    """`--json` is an option of every command: before the command it means the same as behind it."""
    ours = args.index("--") if "--" in args else len(args)
    if "--json" not in args[:ours]:
        return args
    return [*(word for word in args[:ours] if word != "--json"), "--json", *args[ours:]]


def _file_trouble(error: OSError) -> Stopped:
    """A file or a folder that was named and cannot be used, wherever that was found out."""
    place = "" if error.filename is None else f"{error.filename}: "
    return Stopped(ExitCode.CANNOT_START, f"{place}{error.strerror or error}")


def _say_why(stopped: Stopped, *, for_programs: bool) -> None:
    if for_programs:
        to_programs(stopped.told)
    complaints().print(f"ordergate: {stopped.sentence}", markup=False, soft_wrap=True, style="red")


app = typer.Typer(
    cls=Commands,
    name="ordergate",
    help="A secure execution gateway between trading applications and brokerages.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(running.run)
app.command()(servers.serve)
app.command()(servers.venue)
app.command()(servers.migrate)
app.command()(declare.declare)
app.command()(login.login)
app.command()(login.logout)
app.command()(login.whoami)
app.command()(egress.egress)
app.command()(accounts.token)
app.add_typer(orders.app, name="orders")
app.command()(accounts.positions)
app.add_typer(accounts.app, name="accounts")
app.command()(accounts.executions)
app.command()(accounts.instruments)
app.command()(accounts.quotes)
app.add_typer(groups.app, name="groups")
app.command()(groups.flatten)
app.command()(alarms.alarms)
app.add_typer(breaks.app, name="breaks")
app.command()(breaks.reconcile)
app.add_typer(kill.app, name="kill")
app.add_typer(limits.app, name="limits")
app.add_typer(rates.app, name="rates")
app.add_typer(journal.app, name="journal")
app.add_typer(audit.app, name="audit")
app.add_typer(report.app, name="report")
app.add_typer(clients.app, name="clients")
app.add_typer(hooks.app, name="hooks")
app.add_typer(roles.tenants, name="tenants")
app.add_typer(roles.desks, name="desks")
app.add_typer(roles.app, name="roles")
app.add_typer(strategies.app, name="strategies")
app.add_typer(users.app, name="users")
app.add_typer(credentials.app, name="credentials")
app.add_typer(keys.app, name="keys")
app.add_typer(secrets.app, name="secrets")
app.command()(doctor.doctor)
app.add_typer(drill.app, name="drill")


@app.command()
def version(as_json: AsJson = False) -> None:
    """Which release this is, and which build: every change of its code makes another."""
    if as_json:
        to_programs({"version": ordergate.__version__, "build": build()})
    else:
        people().print(f"ordergate {build()}")
