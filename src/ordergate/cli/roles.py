"""`tenants`, `desks`, `roles`: who belongs where, and who may do what there, in a gateway's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import typer

from ordergate.cli import tables
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.options import DATA_DIR, AsJson, ConfigFile, DataDir
from ordergate.cli.output import show, waiting
from ordergate.core.access import SCOPES_OF, Role
from ordergate.core.tenancy import Assignment, Desk, Reach, Subject

tenants = typer.Typer(no_args_is_help=True, help="The firms that one gateway keeps apart.")
desks = typer.Typer(no_args_is_help=True, help="The desks of a tenant.")
app = typer.Typer(no_args_is_help=True, help="Give and take roles; they are all that a subject may do.")

TenantName = Annotated[str, typer.Argument(help="The tenant's name.")]
DeskName = Annotated[str, typer.Argument(help="The desk's name.")]
SubjectName = Annotated[
    str, typer.Argument(help="A client's id, or what `sub` says of a person; of an issuer, `name:sub`.")
]
RoleName = Annotated[Role, typer.Argument(help="The role.")]
OfTenant = Annotated[str | None, typer.Option("--tenant", help="By default the gateway's own.")]
OfDesk = Annotated[str | None, typer.Option("--desk", help="On this desk's accounts only.")]
OfAccount = Annotated[str | None, typer.Option("--account", help="On this account only.")]


@tenants.command("add")
def add_tenant(
    tenant: TenantName, config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
) -> None:
    """Make a tenant known. Those of accounts in the settings are known by themselves."""
    from ordergate.wiring import databases, roles

    with refusals(), waiting("adding"):
        roles.add_tenant(databases.settings_of(config, data_dir), tenant)
    show({"tenant": tenant}, as_json, tables.plain(("tenant",), [(tenant,)]))


@tenants.command("list")
def list_tenants(config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """List tenants with their accounts."""
    from ordergate.wiring import databases, roles

    with waiting("reading"):
        found = roles.access(databases.settings_of(config, data_dir))
    listed = {
        one: [place.account for place in found.accounts if place.tenant == one] for one in found.tenants
    }
    plain = {"tenants": [{"tenant": one, "accounts": accounts} for one, accounts in listed.items()]}
    rows = [(one, " ".join(accounts)) for one, accounts in listed.items()]
    show(plain, as_json, tables.plain(("tenant", "accounts"), rows))


@desks.command("add")
def add_desk(
    desk: DeskName,
    tenant: OfTenant = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a desk known. Which accounts are of it, the settings say."""
    from ordergate.wiring import databases, roles

    settings = databases.settings_of(config, data_dir)
    made = Desk(tenant or settings.tenant, desk)
    with refusals(), waiting("adding"):
        roles.add_desk(settings, made)
    show({"tenant": made.tenant, "desk": desk}, as_json, tables.plain(("desk",), [(desk,)]))


@desks.command("list")
def list_desks(config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """List desks with their accounts."""
    from ordergate.wiring import databases, roles

    with waiting("reading"):
        found = roles.access(databases.settings_of(config, data_dir))
    listed = [
        (one, [p.account for p in found.accounts if (p.tenant, p.desk) == (one.tenant, one.name)])
        for one in found.desks
    ]
    plain = {
        "desks": [{"tenant": one.tenant, "desk": one.name, "accounts": accounts} for one, accounts in listed]
    }
    rows = [(one.tenant, one.name, " ".join(accounts)) for one, accounts in listed]
    show(plain, as_json, tables.plain(("tenant", "desk", "accounts"), rows))


@app.command("list")
def list_roles(config: ConfigFile = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """List who has which role where."""
    from ordergate.wiring import databases, roles

    with waiting("reading"):
        found = roles.access(databases.settings_of(config, data_dir))
    kept_out = {(one.tenant, one.name) for one in found.subjects if not one.enabled}
    rows = [
        (
            one.tenant,
            one.subject,
            one.role.value,
            f"{one.reach} {one.of}".rstrip(),
            "kept out" if (one.tenant, one.subject) in kept_out else "",
        )
        for one in found.assignments
    ]
    plain = {
        "subjects": [msgspec.to_builtins(one) for one in found.subjects],
        "roles": [msgspec.to_builtins(one) for one in found.assignments],
    }
    show(plain, as_json, tables.plain(("tenant", "subject", "role", "where", ""), rows))


@app.command("show")
def show_roles(as_json: AsJson = False) -> None:
    """Which scopes each role has."""
    scopes = {role.value: sorted(SCOPES_OF[role]) for role in Role}
    rows = [(role, " ".join(of_role)) for role, of_role in scopes.items()]
    show({"roles": scopes}, as_json, tables.plain(("role", "scopes"), rows))


@app.command()
def give(
    subject: SubjectName,
    role: RoleName,
    *,
    tenant: OfTenant = None,
    desk: OfDesk = None,
    account: OfAccount = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Give a role, in the whole tenant unless a desk or an account is named."""
    from ordergate.wiring import databases, roles

    settings = databases.settings_of(config, data_dir)
    given = _assignment(tenant or settings.tenant, subject, role, desk, account)
    with refusals(), waiting("giving"):
        found = roles.give(settings, given)
    _told(found, given, as_json)


@app.command()
def take(
    subject: SubjectName,
    role: RoleName,
    *,
    tenant: OfTenant = None,
    desk: OfDesk = None,
    account: OfAccount = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Take a role away. In force within seconds, for open streams too."""
    from ordergate.wiring import databases, roles

    settings = databases.settings_of(config, data_dir)
    taken = _assignment(tenant or settings.tenant, subject, role, desk, account)
    with refusals(), waiting("taking"):
        found = roles.take(settings, taken)
    _told(found, taken, as_json)


@app.command("keep-out")
def keep_out(
    subject: SubjectName,
    tenant: OfTenant = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Refuse a subject everything, whatever its roles are."""
    _enable(subject, tenant, config, data_dir, as_json, enabled=False)


@app.command("let-in")
def let_in(
    subject: SubjectName,
    tenant: OfTenant = None,
    config: ConfigFile = None,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Let a subject in again, with the roles it has."""
    _enable(subject, tenant, config, data_dir, as_json, enabled=True)


def _enable(
    subject: str, tenant: str | None, config: Any, data_dir: Any, as_json: bool, *, enabled: bool
) -> None:
    from ordergate.wiring import databases, roles

    settings = databases.settings_of(config, data_dir)
    with refusals(), waiting("changing"):
        found = roles.enable(settings, tenant or settings.tenant, subject, enabled=enabled)
    row = (found.tenant, found.name, "may come in" if found.enabled else "kept out")
    show(msgspec.to_builtins(found), as_json, tables.plain(("tenant", "subject", ""), [row]))


def _assignment(tenant: str, subject: str, role: Role, desk: str | None, account: str | None) -> Assignment:
    if desk is not None and account is not None:
        raise Stopped(ExitCode.USAGE, "a role is of a desk or of an account: give two roles for both")
    if desk is not None:
        return Assignment(tenant, subject, role, Reach.DESK, desk)
    if account is not None:
        return Assignment(tenant, subject, role, Reach.ACCOUNT, account)
    return Assignment(tenant, subject, role, Reach.TENANT)


def _told(subject: Subject, about: Assignment, as_json: bool) -> None:
    plain = {**msgspec.to_builtins(about), "version": subject.version}
    where = f"{about.reach} {about.of}".rstrip()
    row = (about.tenant, about.subject, about.role.value, where, str(subject.version))
    show(plain, as_json, tables.plain(("tenant", "subject", "role", "where", "version"), [row]))


@contextmanager
def refusals() -> Iterator[None]:
    from ordergate.wiring.registry import CannotRegister

    try:
        yield
    except CannotRegister as cannot:
        raise Stopped(ExitCode.REFUSED, str(cannot)) from cannot
