"""`clients`: the programs that may ask this gateway for tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal, InvalidOperation
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from ordergate.cli import files, tables
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.loopback import REDIRECT
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir, decimal_number
from ordergate.cli.output import people, show, to_programs, waiting
from ordergate.cli.profiles import Profile
from ordergate.core.access import OF_ACCESS, SCOPES_OF, KeyBounds, Role, Scope, Sender
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.programs import OVERLAP_S_MAX

if TYPE_CHECKING:
    from ordergate.telemetry.secret import Secret
    from ordergate.wiring.settings import Settings

DAY_S = 86_400

app = typer.Typer(no_args_is_help=True, help="Register the programs that may use the gateway.")

ClientId = Annotated[str, typer.Argument(help="The client's name.")]


@app.command()
def add(
    client_id: ClientId,
    *,
    account: Annotated[
        list[str], typer.Option("--account", help="An account it may touch; may be repeated.")
    ],
    scope: Annotated[
        list[Scope] | None,
        typer.Option("--scope", help="What it may do; may be repeated. Trading, if not given."),
    ] = None,
    public_keys: Annotated[
        Path | None,
        typer.Option(help="A JWK set: the client proves itself by signing, and has no secret."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="A program that can keep no secret; it acts for people only.")
    ] = False,
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option("--redirect-uri", help="Where people are sent back to; may be repeated."),
    ] = None,
    cli: Annotated[
        bool,
        typer.Option(
            "--cli", help="What people use for `ordergate login`: public unless it has keys, and bound."
        ),
    ] = False,
    sender: Annotated[Sender, typer.Option(help="What its tokens must be bound to.")] = Sender.ANY,
    instrument: Annotated[
        list[str] | None, typer.Option("--instrument", help="Only orders in this one; may be repeated.")
    ] = None,
    strategy: Annotated[
        list[str] | None, typer.Option("--strategy", help="Only orders of this one; may be repeated.")
    ] = None,
    notional_max: Annotated[
        str | None,
        typer.Option("--max-notional", help="Only orders worth so much at most.", callback=decimal_number),
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option("--network", help="Only from these addresses, such as 10.0.0.0/8; may be repeated."),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=3_650, help="For so many days, and then no more.")
    ] = None,
    signed_requests: Annotated[
        bool, typer.Option("--signed-requests", help="Only orders in requests that it signs (RFC 9421).")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Give a known client a new secret.")] = False,
    overlap_s: Annotated[
        int,
        typer.Option(
            "--overlap", min=0, max=OVERLAP_S_MAX, help="With --replace: so many seconds both serve."
        ),
    ] = 0,
    write_profile: Annotated[
        Path | None,
        typer.Option(help="Put the secret into a profile for the client commands, not on the screen."),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Register a client and show its secret, this once."""
    from ordergate.wiring import databases, registry

    settings = databases.settings_of(config, data_dir)
    accounts = [AccountId(one) for one in account]
    terms = registry.Terms(
        keys=None if public_keys is None else _text(public_keys),
        public=public or (cli and public_keys is None),
        redirect_uris=(*(redirect_uri or ()), *((REDIRECT,) if cli else ())),
        sender=Sender.DPOP if cli else sender,
    )
    if write_profile is not None and (terms.keys is not None or terms.public):
        raise Stopped(ExitCode.USAGE, "--write-profile is for a client with a secret, and this one has none")
    with _refusals(), waiting("registering"):
        secret = registry.add(
            settings,
            client_id,
            scopes=scope or _usual(acts_for_people=cli or bool(redirect_uri)),
            accounts=accounts,
            replace=replace,
            terms=terms,
            bounds=_bounds(
                instrument, strategy, notional_max, network, days, signed_requests=signed_requests
            ),
            overlap_s=overlap_s,
            keeping=partial(_kept, settings, client_id, accounts[0], write_profile),
        )
    told: dict[str, Any] = {"client_id": client_id, "accounts": account}
    if secret is None:
        show(told, as_json, tables.plain(("client", ""), [(client_id, "registered without a secret")]))
        return
    if write_profile is None:
        told["client_secret"] = secret.reveal()
    else:
        told["profile"] = str(write_profile)
    if as_json:
        to_programs(told)
        return
    people().print(tables.sheet({**told, "accounts": ", ".join(account)}), soft_wrap=True)
    if write_profile is None:
        people().print("The secret is not kept here and cannot be shown again.", style="dim")


@contextmanager
def _kept(
    settings: Settings, client_id: str, account: AccountId, profile: Path | None, secret: Secret
) -> Iterator[None]:
    """The secret is where it is looked for once the client is registered, and nowhere if it is not."""
    from ordergate.wiring import demo

    with ExitStack() as stack:
        if profile is not None:
            whole = Profile(
                base_url=settings.base_url,
                stream_url=settings.base_url.replace("http", "ws", 1) + "/v1/stream",
                token_url=settings.base_url + "/oauth/token",
                client_id=client_id,
                client_secret=secret.reveal(),
                account=account,
            )
            stack.enter_context(files.written(profile, files.as_json(whole)))
        its = settings.data_dir / demo.CLIENT_SECRET
        if client_id == demo.CLIENT_ID and its.is_file():  # `run` goes by it, and would tell the old one
            stack.enter_context(files.written(its, secret.reveal().encode()))
        yield


def _usual(*, acts_for_people: bool) -> list[Scope]:
    """People bring their own bounds to the program that they use; a program has none but these."""
    return sorted(set(Scope) - OF_ACCESS if acts_for_people else SCOPES_OF[Role.TRADER])


@app.command("list")
def list_(config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """List clients. Nobody knows their secrets."""
    from ordergate.wiring import databases, registry

    with waiting("reading"):
        found = registry.listed(databases.settings_of(config, data_dir))
    rows = [
        (
            one.client_id,
            "enabled" if one.enabled else "disabled",
            " ".join(one.accounts),
            " ".join(one.scopes),
        )
        for one in found
    ]
    plain = {"clients": [msgspec.to_builtins(one) for one in found]}
    show(plain, as_json, tables.plain(("client", "", "accounts", "scopes"), rows))


@app.command()
def disable(
    client_id: ClientId, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """Refuse a client new tokens, and the ones it has."""
    from ordergate.wiring import databases, registry

    with _refusals(), waiting("disabling"):
        found = registry.disable(databases.settings_of(config, data_dir), client_id)
    show(msgspec.to_builtins(found), as_json, tables.plain(("client", ""), [(found.client_id, "disabled")]))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Stopped(ExitCode.REFUSED, f"cannot read {file}: {error}") from error


def _bounds(
    instruments: list[str] | None,
    strategies: list[str] | None,
    notional_max: str | None,
    networks: list[str] | None,
    days: int | None,
    *,
    signed_requests: bool,
) -> KeyBounds | None:
    if not (instruments or strategies or notional_max or networks or days or signed_requests):
        return None
    try:
        return KeyBounds(
            instruments=frozenset(Symbol(symbol) for symbol in instruments or ()),
            strategies=frozenset(strategies or ()),
            notional_max=None if notional_max is None else Decimal(notional_max),
            networks=tuple(ip_network(network) for network in networks or ()),
            expires_at=None if days is None else int(time.time()) + days * DAY_S,
            signed_requests=signed_requests,
        )
    except (ValueError, InvalidOperation) as wrong:
        raise Stopped(ExitCode.USAGE, f"a bound of the key makes no sense: {wrong}") from wrong


@contextmanager
def _refusals() -> Iterator[None]:
    from ordergate.wiring.registry import CannotRegister

    try:
        yield
    except CannotRegister as cannot:
        raise Stopped(ExitCode.REFUSED, str(cannot)) from cannot
