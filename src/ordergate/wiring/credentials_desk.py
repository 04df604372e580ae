"""Puts the desk for broker credentials together: for a gateway, and for the command line beside one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal, TypeVar

import msgspec

from ordergate.api.stored_credentials import CredentialView, Step
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.keys import Keys, Purpose, newest
from ordergate.security.credentials import store
from ordergate.security.credentials.desk import CredentialDesk, LoginInfo
from ordergate.security.credentials.documents import ApiKeys
from ordergate.security.credentials.grants import Grants, GrantSettings
from ordergate.security.credentials.refreshing import Refresher
from ordergate.security.credentials.slots import Credential
from ordergate.security.sealing.envelope import Envelope
from ordergate.telemetry.log import logger
from ordergate.telemetry.secret import Secret
from ordergate.wiring import brokerages, databases, key_service
from ordergate.wiring.pins import context_of
from ordergate.wiring.secret_sources import Rereading
from ordergate.wiring.settings import CannotStart, OAuthSettings, Settings
from ordergate.wiring.system import SystemChance, SystemClock

T = TypeVar("T")

log = logger("credentials")


class Office(msgspec.Struct, frozen=True):
    """The desk, who refreshes what users granted, and what seals."""

    desk: CredentialDesk
    refresher: Refresher
    store: store.CredentialStore
    envelope: Envelope
    grants: dict[str, Grants]


@asynccontextmanager
async def opened(
    settings: Settings, dsn: str, keys: Keys, clock: SystemClock, chance: SystemChance
) -> AsyncIterator[Office]:
    """Over this database and these keys. Raises CannotStart, StoreUnavailable and the faults of keys."""
    logins = _logins(settings)
    if logins and newest(await keys.describe(Purpose.SECRETS)) is None:
        await keys.rotate(Purpose.SECRETS)
    grants = {
        name: Grants(_described(its.oauth), clock, chance, tls=context_of(its.pins))
        for name, its in settings.brokers.items()
        if its.oauth
    }
    envelope = key_service.envelope(settings, keys)
    async with store.connected(settings.environment, dsn) as rows:
        desk = CredentialDesk(
            settings.environment,
            rows,
            envelope,
            logins,
            probe=partial(brokerages.probe, settings, clock, chance),
            clock=clock,
            chance=chance,
        )
        yield Office(desk, Refresher(rows, envelope, desk, grants, clock), rows, envelope, grants)


class StoredCredentials:
    """Keeps the promises of `ports.credentials.Credentials`, for the gateway's own interface."""

    def __init__(self, desk: CredentialDesk, settings: Settings) -> None:
        self._desk = desk
        self._accounts = {
            name: frozenset(AccountId(account) for account in its.accounts)
            for name, its in _logins(settings).items()
        }

    def accounts_of(self, broker: str) -> frozenset[AccountId]:
        return self._accounts.get(broker, frozenset())

    async def listed(self) -> list[CredentialView] | Refusal:
        try:
            return [_shown(row) for row in await self._desk.listed()]
        except Fault as fault:
            return _away(fault)

    async def add(self, broker: str, key_id: Secret, secret_key: Secret) -> CredentialView | Refusal:
        try:
            return told(await self._desk.add(broker, ApiKeys(key_id, secret_key)))
        except Fault as fault:
            return _away(fault)

    async def move(self, broker: str, step: Step) -> CredentialView | Refusal:
        steps: dict[Step, Callable[[], Awaitable[Credential | Refusal]]] = {
            "verify": lambda: self._desk.verify(broker),
            "switch": lambda: self._desk.switch(broker),
            "drain": lambda: self._desk.drain(broker, 0.0),
            "revoke": lambda: self._desk.revoke(broker),
        }
        try:
            return told(await steps[step]())
        except Fault as fault:
            return _away(fault)


def _away(fault: Fault) -> Refusal:
    log.warning("credentials.unavailable", why=str(fault))
    return Refusal(Code.UNAVAILABLE, "the database or the key service does not answer; nothing was changed")


class Pair(msgspec.Struct, frozen=True):
    """A key pair on its way into the seal."""

    key_id: Secret
    secret_key: Secret


def listed(settings: Settings) -> list[CredentialView]:
    """Every credential that is not revoked. Raises CannotStart."""

    async def ask(office: Office) -> list[CredentialView]:
        return [_shown(row) for row in await office.desk.listed()]

    return at(settings, ask)


def stored(
    settings: Settings, login: str, pair: Pair, step: Literal["add", "begin", "rotate"]
) -> CredentialView | Refusal:
    """One that is new, and how far it is to go. Raises CannotStart."""
    document = ApiKeys(pair.key_id, pair.secret_key)

    async def ask(office: Office) -> Credential | Refusal:
        match step:
            case "add":
                return await office.desk.add(login, document)
            case "begin":
                return await office.desk.begin(login, document)
            case "rotate":
                return await office.desk.rotate(login, document)

    return told(at(settings, ask))


def moved(
    settings: Settings, login: str, step: Literal["verify", "switch", "drain", "revoke"]
) -> CredentialView | Refusal:
    """One step of one that is stored. Raises CannotStart."""

    async def ask(office: Office) -> Credential | Refusal:
        match step:
            case "verify":
                return await office.desk.verify(login)
            case "switch":
                return await office.desk.switch(login)
            case "drain":
                return await office.desk.drain(login)
            case "revoke":
                return await office.desk.revoke(login)

    return told(at(settings, ask))


def at(settings: Settings, ask: Callable[[Office], Awaitable[T]]) -> T:
    """Ask from the command line. Raises CannotStart."""

    async def asked() -> T:
        clock, chance = SystemClock(), SystemChance()
        async with (
            databases.reached(databases.of(settings)) as dsn,
            key_service.opened(settings) as keys,
            opened(settings, dsn, keys, clock, chance) as office,
        ):
            return await ask(office)

    try:
        return asyncio.run(asked())
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error


def told(found: Credential | Refusal) -> CredentialView | Refusal:
    """Without its secret."""
    return found if isinstance(found, Refusal) else _shown(found)


def _shown(row: Credential) -> CredentialView:
    return CredentialView(
        broker=row.broker,
        row=row.row_id,
        kind=row.kind,
        state=row.state.value,
        account=row.fingerprint,
        since=row.created_at.isoformat(timespec="seconds"),
        expires=None if row.expires_at is None else row.expires_at.isoformat(timespec="seconds"),
    )


def _described(asked: OAuthSettings) -> GrantSettings:
    return GrantSettings(
        base_url=asked.base_url.rstrip("/"),
        client_id=asked.client_id,
        client_secret=Rereading(asked.client_secret),
        redirect_uri=asked.redirect_uri,
        scope=asked.scope,
    )


def _logins(settings: Settings) -> dict[str, LoginInfo]:
    """Every login whose credentials are stored and that some account uses."""
    found = {}
    for name, login in settings.brokers.items():
        accounts = {account: its for account, its in settings.accounts.items() if its.broker == name}
        if not login.stored or not accounts:
            continue
        registered = {its.broker_account for its in accounts.values()} - {None}
        found[name] = LoginInfo(
            tenant=next(iter(accounts.values())).tenant or settings.tenant,
            accounts=tuple(sorted(accounts)),
            fingerprint=next(iter(registered)) if len(registered) == 1 else None,
        )
    return found
