"""Puts one gateway together from settings, and takes it apart again in order.

Database first, then identity, then the engine, then the application over all of it. Whatever
cannot be had is a CannotStart with a sentence; nothing is left running then.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec

import ordergate
from ordergate.api.app import ApiDeps, create_app
from ordergate.api.app import Gateway as Application
from ordergate.api.deps import Asked, AuthorizationEndpoint, Bounds, Told
from ordergate.api.stream.hub import READERS_MAX, Hub
from ordergate.audit.checkpointer import Checkpointer
from ordergate.core.faults import Fault
from ordergate.core.ids import E, Env
from ordergate.engine.accounts.snapshots import SnapshotPace
from ordergate.engine.commands.judging import Hours
from ordergate.engine.desks.access_desk import AccessDesk
from ordergate.engine.desks.privileged import PrivilegedRecord
from ordergate.engine.desks.strategies_desk import StrategiesDesk
from ordergate.engine.node import Node
from ordergate.engine.reconciling.rhythm import Rhythm
from ordergate.engine.wire.dispatcher import Pace
from ordergate.engine.world import Served, World
from ordergate.engine.worth.appraising import Appraising
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.journal.fence import FencedViews, place_owners
from ordergate.journal.kill_rows import KillRows
from ordergate.journal.migrate import migrate
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.shared_stops import SharedStops
from ordergate.journal.views import PostgresViews
from ordergate.ports import nodes
from ordergate.ports.keys import Keys
from ordergate.security import service as security
from ordergate.security.authorization_server import Endpoint
from ordergate.security.external import ExternalIssuer, IssuerSettings, http_client
from ordergate.security.factor_key import FactorKeyStore, factor_key
from ordergate.security.migrations import identity_migrations
from ordergate.security.oauth_requests import Received
from ordergate.security.people.postgres import PostgresPeople
from ordergate.security.people.totp import Totp
from ordergate.security.postgres import PostgresStore
from ordergate.security.postgres import connected as identity_store
from ordergate.security.profile import profile
from ordergate.security.programs import Programs
from ordergate.telemetry.metrics import Metrics
from ordergate.wiring import auditing, credentials_desk, declaration, key_service, market_hours, surveillance
from ordergate.wiring.brokerages import Brokerages
from ordergate.wiring.build import build
from ordergate.wiring.client_settings import bounds_of
from ordergate.wiring.clock_offset import MachineOffset
from ordergate.wiring.credential_keeper import CredentialKeeper
from ordergate.wiring.fold_rules import fold_rules
from ordergate.wiring.hooks import Hooks
from ordergate.wiring.kill_files import KillFiles
from ordergate.wiring.people import breached_passwords
from ordergate.wiring.roles import places
from ordergate.wiring.secret_ages import SecretAges
from ordergate.wiring.settings import CannotStart, IssuerFile, Settings
from ordergate.wiring.system import SystemChance, SystemClock


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """A running gateway: `app` answers as soon as a server calls it."""

    settings: Settings
    app: Application
    node: Node
    hub: Hub
    identity: security.Security
    checkpointer: Checkpointer
    dsn: str


@asynccontextmanager
async def gateway(settings: Settings, *, bounds: Bounds | None = None) -> AsyncIterator[Gateway]:
    """A gateway for as long as the block lasts. Raises CannotStart."""
    async with AsyncExitStack() as stack:
        try:
            env = settings.environment
            bounds = bounds or _bounds(settings)
            if env is Env.LIVE:  # of either branch mypy knows which it is
                built = await _build(env, settings, bounds, stack)
            else:
                built = await _build(env, settings, bounds, stack)
        except (Fault, OSError) as error:
            raise CannotStart(str(error)) from error
        yield built


async def database(settings: Settings, stack: AsyncExitStack) -> str:
    """The address of a database of this release's schema, embedded if none is given."""
    if settings.database_url is not None:
        dsn = settings.database_url.read().reveal()
    else:
        folder = settings.data_dir / "postgres"
        server = await stack.enter_async_context(EmbeddedPostgres(folder))
        dsn = await server.database(f"ordergate_{settings.environment}")
    return dsn


def _bounds(settings: Settings) -> Bounds:
    return bounds_of(
        settings.quotas, settings.streams, origins=settings.origins, proxies=settings.trusted_proxies
    )


async def migrate_all(dsn: str) -> list[str]:
    """Bring every room's tables to this release."""
    return await migrate(dsn, also=identity_migrations())


async def _build(env: E, settings: Settings, bounds: Bounds, stack: AsyncExitStack) -> Gateway:
    """From here on what belongs to the other environment does not fit, by its type."""
    clock, chance, metrics = SystemClock(), SystemChance(), Metrics()
    declaration.check(settings, os.environ)
    keys = await stack.enter_async_context(key_service.opened(settings))
    dsn = await database(settings, stack)
    if settings.database_url is None:
        await migrate_all(dsn)
    journal = await PostgresJournal.connect(
        dsn, env, on_committed=lambda batch: metrics.batch_size.observe(batch.units)
    )
    stack.push_async_callback(journal.close)
    views = await PostgresViews.connect(dsn)
    stack.push_async_callback(views.close)
    fenced = await FencedViews.connect(dsn, connections_max=READERS_MAX)  # as many as the stream may want
    stack.push_async_callback(fenced.close)
    rows = KillRows(dsn)
    ourselves = _ourselves(settings, chance)
    stack.push_async_callback(_leave, rows, ourselves)

    hub = Hub(views)
    watched = await surveillance.surveillance(
        settings, dsn, hub, journal, fenced, clock=clock, chance=chance, stack=stack
    )
    record = PrivilegedRecord(env, journal, watched.audience, clock)
    brokerages, credentials, office = await _brokerages(
        env, settings, dsn, keys, clock=clock, chance=chance, stack=stack
    )
    identity, changes = await _identity(settings, dsn, keys, record, clock=clock, stack=stack)
    checkpointer = await auditing.checkpointer(settings, dsn, keys, clock, stack)
    await auditing.begin(settings, record, checkpointer, clock, stack)
    access = AccessDesk(
        env,
        identity.directory,
        Programs(identity.directory),
        journal=journal,
        audience=watched.audience,
        clock=clock,
        chance=chance,
    )
    hooks = Hooks(settings, clock)
    world = World(
        env=env,
        clock=clock,
        chance=chance,
        journal=journal,
        views=views,
        audience=watched.audience,
        metrics=metrics,
        instruments=settings.symbols,
        prices=brokerages.prices(),
        rules=fold_rules(settings.symbols),
        kill_flags=(KillFiles(settings.data_dir), rows),
        shared_stops=_shared_stops(settings, dsn, ourselves.name, stack),
        hours=_hours(settings, clock),
        offset=MachineOffset(),
        nodes=rows,
        ourselves=ourselves,
        audit=lambda: checkpointer.trouble,
        strategies=identity.directory.strategies,
        parts={
            "access": access.keep,
            "credentials": lambda: credentials.run(brokerages),
            "secret-ages": SecretAges(settings, keys, office.store, changes, metrics, clock=clock).run,
            **({"hooks": hooks.run} if settings.hooks else {}),
        },
        duties={
            "audit": checkpointer.run,
            "audit-past": checkpointer.watch_past,
            "identity-changes": lambda: record.follow(changes),
            **watched.duties,
        },
    )
    node = Node(
        world,
        [
            Served(
                account,
                brokerages.broker(account),
                its.parsed_limits(),
                its.broker_account,
                owner=its.owner,
                groups=its.groups,
                login=its.broker,
                tenant=its.tenant or settings.tenant,
                desk=its.desk,
            )
            for account, its in settings.accounts.items()
        ],
        rhythm=Rhythm(**msgspec.structs.asdict(settings.reconciliation)),
        pace=Pace(),
        two_persons=settings.kill_switch.two_persons,
        snapshots=SnapshotPace(events=settings.snapshot_events),
        trips=settings.trips.policy(env),
    )
    app = create_app(
        ApiDeps(
            env=env,
            version=ordergate.__version__,
            gate=node.gate,
            breaks=node.breaks,
            alarms=node.alarms,
            groups=node.groups,
            limits=node.limits,
            access=access,
            programs=access.programs,
            strategies=StrategiesDesk(identity.directory, clock),
            credentials=credentials_desk.StoredCredentials(office.desk, settings),
            dead_man=node.dead_man,
            drop_copy=watched.drop_copy,
            views=fenced,
            prices=node.prices,
            worth=Appraising(node.lanes, node.prices.reference, settings.symbols, clock),
            identity=identity.bearer,
            signatures=identity.signatures,
            hub=hub,
            instruments=settings.symbols,
            authorization=_endpoints(settings, identity),
            metrics=metrics,
            clock=clock,
            chance=chance,
            bounds=bounds,
            hooks=hooks,
            admin_url=settings.admin_url,
            shown=settings.pages,
        )
    )
    node.start()
    stack.push_async_callback(node.stop)
    return Gateway(
        settings=settings,
        app=app,
        node=node,
        hub=hub,
        identity=identity,
        checkpointer=checkpointer,
        dsn=dsn,
    )


async def _identity(
    settings: Settings,
    dsn: str,
    keys: Keys,
    record: PrivilegedRecord,
    *,
    clock: SystemClock,
    stack: AsyncExitStack,
) -> tuple[security.Security, PostgresStore]:
    env = settings.environment
    http = await stack.enter_async_context(http_client())
    issuers = [ExternalIssuer(_issuer(one), http, clock) for one in settings.issuers]
    try:
        known_as = profile(env, settings.base_url)
    except ValueError as error:
        raise CannotStart(f"{error}: set `public_url` to what clients call the gateway") from error
    store = await stack.enter_async_context(identity_store(env, dsn))
    try:
        await store.place_accounts(places(settings))
        await place_owners(dsn, {place.account: place.tenant for place in places(settings)})
    except ValueError as error:
        raise CannotStart(f"{error}: `accounts` in the settings and the database say otherwise") from error
    envelope = key_service.envelope(settings, keys)
    factors = await factor_key(env, keys, envelope, FactorKeyStore(env, store.pool))
    identity = await security.start(
        known_as,
        store,
        clock,
        people=PostgresPeople(env, store.pool),
        totp=Totp(env, factors, settings.keys.cipher),
        keys=keys,
        issuers=issuers,
        noted=partial(auditing.note_token, record, clock),
        signed=partial(auditing.note_signed, record, clock),
        programs_step_up=not settings.kill_switch.two_persons,
        breached=breached_passwords(settings),
    )
    running = asyncio.create_task(identity.run(), name="identity")
    stack.push_async_callback(_end, running)
    return identity, store


async def _brokerages(
    env: E,
    settings: Settings,
    dsn: str,
    keys: Keys,
    *,
    clock: SystemClock,
    chance: SystemChance,
    stack: AsyncExitStack,
) -> tuple[Brokerages[E], CredentialKeeper[E], credentials_desk.Office]:
    office = await stack.enter_async_context(credentials_desk.opened(settings, dsn, keys, clock, chance))
    keeper = CredentialKeeper(env, settings.brokers, office.desk, office.refresher, clock)
    brokerages = Brokerages(env, settings, await keeper.first(), clock=clock, chance=chance, stack=stack)
    return brokerages, keeper, office


def _hours(settings: Settings, clock: SystemClock) -> Hours:
    """The trading hours of every instrument: read now where the settings bind an account by them."""
    limits = [its.parsed_limits() for its in settings.accounts.values()]
    if all(one is None or one.hours is market_hours.ANY for one in limits):
        return market_hours.WhenNeeded(settings.symbols, clock)
    try:
        return market_hours.of(settings.symbols, clock.now())
    except market_hours.NoCalendar as error:
        raise CannotStart(str(error)) from error


def _issuer(one: IssuerFile) -> IssuerSettings:
    try:
        return IssuerSettings(**msgspec.structs.asdict(one))
    except ValueError as error:
        raise CannotStart(f"issuer {one.name}: {error}") from error


def _ourselves(settings: Settings, chance: SystemChance) -> nodes.Node:
    """What other nodes of the database must run as well: this code, and all of these settings.

    Where each listens and keeps its files may differ.
    """
    alike = msgspec.structs.replace(
        settings, host="", port=0, admin_host="", admin_port=None, data_dir=Path()
    )
    plain = msgspec.json.encode(alike, enc_hook=str)
    return nodes.Node(
        name=f"{socket.gethostname()}-{os.getpid()}-{chance.bits(32):08x}",
        build=build(),
        config=hashlib.sha256(plain).hexdigest(),
    )


def _shared_stops(settings: Settings, dsn: str, node: str, stack: AsyncExitStack) -> SharedStops | None:
    if settings.kill_switch.shared_database_url is None:
        return None
    address = settings.kill_switch.shared_database_url.read().reveal()
    shared = SharedStops(address, dsn, settings.environment, node)
    stack.push_async_callback(shared.close)
    return shared


async def _leave(rows: KillRows, ourselves: nodes.Node) -> None:
    with suppress(Fault):  # a node that could not say goodbye is forgotten a little later
        await rows.withdraw(ourselves)
    await rows.close()


def _endpoints(settings: Settings, identity: security.Security) -> tuple[AuthorizationEndpoint, ...]:
    """None where another issuer's server is used instead of ours."""
    return tuple(mounted(one) for one in identity.endpoints()) if settings.authorization_server else ()


def mounted(endpoint: Endpoint) -> AuthorizationEndpoint:
    """An endpoint of the authorization server as the API serves it."""

    async def call(asked: Asked) -> Told:
        answer = await endpoint.call(Received(**msgspec.structs.asdict(asked)))
        return Told(status=answer.status, body=answer.body, headers=answer.headers)

    return AuthorizationEndpoint(
        path=endpoint.path, methods=(endpoint.method,), summary=endpoint.summary, call=call
    )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
