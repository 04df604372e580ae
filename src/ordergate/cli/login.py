"""`login`, `logout` and `whoami`: a person at a gateway, from a browser on this machine.

A profile of a person is made here, and a program's is never written over.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from joserfc.jwk import ECKey

from ordergate.cli import authorizing, files, profiles, tables
from ordergate.cli.authorizing import Wanted
from ordergate.cli.client import connection, gateway, logging_in, tell
from ordergate.cli.exchange import Exchange
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import AsJson, ProfileFile
from ordergate.cli.output import people, show, to_programs
from ordergate.cli.private import CLIENT, SENDER, Private
from ordergate.cli.profiles import Profile
from ordergate.cli.proofs import Proofs
from ordergate.cli.tokens import PersonTokens, proves_itself
from ordergate.core.access import Scope

PROGRAM = "cli"


def login(
    *,
    url: Annotated[
        str | None, typer.Option(help="The gateway's address; the profile's, if not given.")
    ] = None,
    client: Annotated[
        str | None, typer.Option(help=f"What the gateway knows this program as; {PROGRAM} by default.")
    ] = None,
    scope: Annotated[
        list[Scope] | None,
        typer.Option("--scope", help="Only this much; may be repeated. All, if not given."),
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="The profile's account; by default yours, if you have one.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page, and not only print its address.")] = True,
    two_factors: Annotated[
        bool, typer.Option("--two-factors", help="Take no login by a password alone.")
    ] = False,
    profile: ProfileFile = None,
    as_json: AsJson = False,
) -> None:
    """Log in at a gateway in the browser; from then on the other commands act in your name."""
    file, known = _place(profile, url)
    base_url = _address(url or (known.base_url if known else ""))
    program = client or (known.client_id if known else PROGRAM)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = Private(file)
    draft = profiles.of_person(file, base_url, program, key=None, account=account or "")
    with connection(draft) as http:
        exchange = Exchange(http, Proofs(private.key(SENDER)))
        public_keys = None
        if not authorizing.discovered(exchange, base_url).lets_in_public_programs:
            public_keys = str(private.publish())
            draft = msgspec.structs.replace(draft, client_key=_from(file, private.folder / CLIENT))
        wanted = Wanted(
            public_keys=public_keys,
            scopes=sorted(each.value for each in scope or ()),
            two_factors=two_factors,
            browser=browser,
        )
        kept = authorizing.log_in(draft, exchange, proves_itself(draft, file), wanted, tell)
    private.begin(kept)
    files.write_json(file, draft)
    with gateway(file) as opened:
        me = opened.get("/v1/access/me")
    accounts = [one["account_id"] for one in me["accounts"]]
    before = known.account if known is not None and known.account in accounts else ""
    chosen = account or before or (accounts[0] if len(accounts) == 1 else "")
    files.write_json(file, msgspec.structs.replace(draft, account=chosen))
    told = {**_seen(me), "account": chosen or "name one with --account", "profile": str(file)}
    show({**me, "account_id": chosen, "profile": str(file)}, as_json, tables.sheet(told))


def logout(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """End the login, here and at the gateway, and everything that it led to."""
    file = profiles.locate(profile)
    known = _of_person(file)
    private = Private(file)
    kept = private.login()
    try:
        if kept is not None:
            with connection(known) as http:
                exchange = Exchange(http, Proofs(ECKey.generate_key("P-256", private=True)))
                authorizing.end(known, exchange, proves_itself(known, file), kept)
    finally:
        private.forget(SENDER)
    if as_json:
        to_programs({"profile": str(file), "logged_in": False, "ended": kept is not None})
    else:
        people().print("logged out" if kept is not None else "nobody was logged in")


def whoami(profile: ProfileFile = None, as_json: AsJson = False) -> None:
    """Show whom the gateway takes us for, its roles, what that allows now, and how long the token is good."""
    with gateway(profile) as client:
        me = client.get("/v1/access/me")
        since = _moment(client.tokens.kept().since) if isinstance(client.tokens, PersonTokens) else None
        until = _moment(client.token().expires_at)
    told = {"gateway": client.profile.base_url, **_seen(me), "token until": until}
    if since is not None:
        told["logged in"] = since
    show({**me, "logged_in_at": since, "token_expires_at": until}, as_json, tables.sheet(told))


def _place(named: Path | None, url: str | None) -> tuple[Path, Profile | None]:
    """Where the profile is, or will be, and what it says by now. Raises Stopped."""
    if url is None:
        file = profiles.locate(named)
        return file, _of_person(file)
    file = named or profiles.from_environment() or profiles.at_home()
    return file, _of_person(file) if file.exists() else None


def _of_person(file: Path) -> Profile:
    known = profiles.read(file)
    if known.person:
        return known
    raise Stopped(
        ExitCode.USAGE,
        f"{file} is a program's: name another file with --profile, and the gateway with --url, as in "
        f"`{logging_in(profiles.at_home())} --url {known.base_url}`",
    )


def _address(url: str) -> str:
    base_url = url.rstrip("/")
    if not base_url.startswith(("https://", "http://")) or not profiles.is_confidential(base_url):
        raise Stopped(
            ExitCode.USAGE, f"{url!r} is no address to log in at: use https, or http on this machine"
        )
    return base_url


def _from(file: Path, key: Path) -> str:
    """A file's place as told from the profile's."""
    return os.path.relpath(key, file.parent)


def _seen(me: dict[str, Any]) -> dict[str, Any]:
    return {
        "environment": me["env"],
        "tenant": me["tenant"],
        "subject": me["subject"],
        "program": me["client_id"],
        "roles": ", ".join(map(_role, me["roles"])),
        "scopes": " ".join(me["scopes"]),
        "accounts": " ".join(one["account_id"] for one in me["accounts"]),
    }


def _role(one: dict[str, Any]) -> str:
    where = "everything" if one["reach"] == "tenant" else f"{one['reach']} {one['of']}"
    return f"{one['role']} of {where}"


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
