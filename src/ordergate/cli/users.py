"""`users`: the people who may log in and let programs act in their name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ordergate.cli import passkeys, tables
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir, EndLogins
from ordergate.cli.output import people, show, to_programs, waiting
from ordergate.core.access import Scope
from ordergate.core.ids import AccountId
from ordergate.telemetry.secret import Secret

app = typer.Typer(no_args_is_help=True, help="Register the people who may log in.")
app.add_typer(passkeys.app, name="passkeys")

UserId = Annotated[str, typer.Argument(help="The person's name.")]


@app.command()
def add(
    user_id: UserId,
    *,
    account: Annotated[
        list[str], typer.Option("--account", help="An account they may touch; may be repeated.")
    ],
    scope: Annotated[
        list[Scope] | None,
        typer.Option("--scope", help="What they may do at most. If not given, as their roles say."),
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="Read the password from a file instead of asking for it.")
    ] = None,
    second_factor: Annotated[
        bool, typer.Option(help="Ask for a code of an authenticator app, too. Always, in live.")
    ] = True,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give a known person a new password and factor, and no passkey.")
    ] = False,
    end_logins: EndLogins = True,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Register a person, and show what their authenticator app needs, this once."""
    from ordergate.wiring import databases
    from ordergate.wiring import people as registry

    settings = databases.settings_of(config, data_dir)
    password = _password(password_file)
    with _refusals(), waiting("registering"):
        factor = registry.add(
            settings,
            user_id,
            password,
            scopes=scope or (),
            accounts=[AccountId(one) for one in account],
            second_factor=second_factor,
            replace=replace,
            end_logins=end_logins,
        )
    told: dict[str, Any] = {"user_id": user_id, "accounts": account}
    if factor is not None:
        told["second_factor"] = factor.reveal()
    if as_json:
        to_programs(told)
        return
    people().print(tables.sheet({**told, "accounts": ", ".join(account)}), soft_wrap=True)
    if factor is not None:
        people().print("Enter the second factor in an authenticator app; it is not shown again.", style="dim")


@app.command("list")
def list_(config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """List people. Nobody knows their passwords."""
    from ordergate.wiring import databases
    from ordergate.wiring import people as registry

    with waiting("reading"):
        found = registry.listed(databases.settings_of(config, data_dir))
    rows = [
        (
            one.user_id,
            "enabled" if one.enabled else "disabled",
            "two factors" if one.second_factor else "password",
            " ".join(one.accounts),
            " ".join(one.scopes) or "by roles",
        )
        for one in found
    ]
    plain = {"users": [msgspec.to_builtins(one) for one in found]}
    show(plain, as_json, tables.plain(("user", "", "login", "accounts", "scopes"), rows))


@app.command()
def reset(
    user_id: UserId, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """Show a code, this once, by which a person who has lost their password chooses another one."""
    from ordergate.wiring import databases
    from ordergate.wiring import people as registry

    with _refusals(), waiting("starting the reset"):
        started = registry.reset(databases.settings_of(config, data_dir), user_id)
    told = {"user_id": user_id, "code": started.code.reveal(), "expires_in_s": started.expires_in_s}
    if as_json:
        to_programs(told)
        return
    people().print(tables.sheet({**told, "expires_in_s": str(started.expires_in_s)}), soft_wrap=True)
    people().print(
        "Give it to its owner: it stands for the password under Change the password, on the login page, "
        "once. Their second factor is asked beside it.",
        style="dim",
        soft_wrap=True,
    )


@app.command()
def disable(
    user_id: UserId, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """Refuse a person new logins, and end what they let programs do."""
    from ordergate.wiring import databases
    from ordergate.wiring import people as registry

    with _refusals(), waiting("disabling"):
        found = registry.disable(databases.settings_of(config, data_dir), user_id)
    show(msgspec.to_builtins(found), as_json, tables.plain(("user", ""), [(found.user_id, "disabled")]))


def _password(file: Path | None) -> Secret:
    if file is None:
        return Secret(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    try:
        return Secret(file.read_text(encoding="utf-8").rstrip("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise Stopped(ExitCode.REFUSED, f"cannot read {file}: {error}") from error


@contextmanager
def _refusals() -> Iterator[None]:
    from ordergate.wiring.registry import CannotRegister

    try:
        yield
    except CannotRegister as cannot:
        raise Stopped(ExitCode.REFUSED, str(cannot)) from cannot
