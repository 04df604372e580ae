"""Options and arguments that several commands have, each said once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from ordergate.cli.exits import ExitCode, Stopped
from ordergate.core.idempotency import parse_key
from ordergate.core.refusals import Refusal

DATA_DIR: Final = Path(".ordergate")
JSON_KEY: Final = "ordergate.json"
"""Where the context remembers that programs are listening, for whoever has to say no."""

_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?")  # as the API takes it


_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")  # of whatever a path names


def _remember_json(context: typer.Context, value: bool) -> bool:
    if value:
        context.meta[JSON_KEY] = True
    return value


def decimal_number(param: typer.CallbackParam, value: str | None) -> str | None:
    """The value as it was given, once it is one that an order can have. Raises Stopped."""
    if value is None or _DECIMAL.fullmatch(value):
        return value
    raise Stopped(ExitCode.USAGE, f"{_named(param)} must be a decimal number such as 1 or 0.5, not {value!r}")


def an_id(param: typer.CallbackParam, value: str | None) -> str | None:
    """The value as it was given, once nothing in it could lead a request to another thing. Raises Stopped.

    `../orders?account_id=P-DEMO` in the place of one order's id would be every order of the account.
    """
    if value is None or _ID.fullmatch(value):
        return value
    raise Stopped(ExitCode.USAGE, f"{_named(param)} is an id, not {value!r}")


def a_key(value: str | None) -> str | None:
    """The value as it was given, once it is a key. Raises Stopped.

    An empty one, as of a variable that is not set, is no wish for a key that is made up: that would be
    another order.
    """
    wrong = None if value is None else parse_key(value)
    if isinstance(wrong, Refusal):
        raise Stopped(ExitCode.USAGE, f"--key must be a key, not {value!r}: {wrong.detail}")
    return value


def _named(param: typer.CallbackParam) -> str:
    return param.opts[0] if param.param_type_name == "option" else f"the {param.name}"


AsJson = Annotated[
    bool, typer.Option("--json", callback=_remember_json, help="JSON on standard output, and nothing else.")
]
ProfileFile = Annotated[
    Path | None,
    typer.Option("--profile", help="Who we are at which gateway; by default the one that `run` left behind."),
]
DataDir = Annotated[
    Path, typer.Option("--data-dir", help="Where a gateway started by `run` keeps everything.")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A gateway's settings file.")]
Host = Annotated[str | None, typer.Option("--host", help="Instead of the host in the file.")]
Port = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65_535, help="Instead of the port in the file; 0 takes a free one."),
]
ReadyFile = Annotated[
    Path | None,
    typer.Option("--ready-file", help="Written once everything answers: JSON that says where it is."),
]
EndLogins = Annotated[
    bool,
    typer.Option(
        "--end-logins/--keep-logins", help="End every login the person had before, and what it led to."
    ),
]
Account = Annotated[
    str | None, typer.Option("--account", help="Instead of the profile's account.", callback=an_id)
]
OnlyAccount = Annotated[
    str | None,
    typer.Option(
        "--account",
        help="Only this account's; without it, those of every account that we may see.",
        callback=an_id,
    ),
]
OrderId = Annotated[str, typer.Argument(help="The order's id, as `place` showed it.", callback=an_id)]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="Idempotency key: the same key and order never act twice. Made up if not given.",
        callback=a_key,
    ),
]
WaitFor = Annotated[
    int, typer.Option("--wait", min=0, max=30, help="Wait up to so many seconds for the broker's answer.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")]
