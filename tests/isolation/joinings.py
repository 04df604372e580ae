"""What may be joined and what may not, said to mypy: a line that is marked must be an error of its kind.

Never run: `test_types` has it judged. Each function joins two things; what differs is whose they are.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from ordergate.brokers.alpaca import access
from ordergate.brokers.alpaca.client import AlpacaBroker
from ordergate.brokers.alpaca.live import live
from ordergate.brokers.alpaca.prices import AlpacaPrices
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.core.ids import AccountId, Env, Live, Paper
from ordergate.engine.node import Node
from ordergate.engine.wire.renamed import Renamed
from ordergate.engine.world import Served, World
from ordergate.journal.memory import MemoryJournal
from ordergate.journal.postgres import PostgresJournal
from ordergate.ports.broker import Broker
from ordergate.ports.journal import JournalOf
from ordergate.security.credentials.documents import Document
from ordergate.telemetry.secret import Secret
from ordergate.wiring.brokerages import Brokerages, access_of, credentials_of, named_in
from ordergate.wiring.credential_keeper import CredentialKeeper
from ordergate.wiring.settings import BrokerSettings, Settings

ACCOUNT = AccountId("P-TEST")


def a_login(real: access.Credentials[Live], practice: access.Credentials[Paper]) -> None:
    live(real)
    access.paper(practice)
    live(practice)  # wrong: arg-type
    access.paper(real)  # wrong: arg-type


def an_address(real: access.Credentials[Live], practice: access.Credentials[Paper]) -> None:
    there = live(real)
    access.Access(env=Env.LIVE, trading=there.trading, data=there.data, credentials=real)
    access.Access(env=Env.LIVE, trading=there.trading, data=there.data, credentials=practice)  # wrong: misc


def a_session(
    real: access.Access[Live], practice: access.Credentials[Paper], outside: dict[str, Any]
) -> AlpacaBroker[Live]:
    session = AlpacaBroker(real, ACCOUNT, **outside)
    session.use(real.credentials)
    session.use(practice)  # wrong: arg-type
    return session


def a_session_told_apart(
    practice: access.Access[Paper], outside: dict[str, Any]
) -> tuple[Broker[Paper], Broker[Live]]:
    session = AlpacaBroker(practice, ACCOUNT, **outside)
    return session, session  # wrong: return-value


def prices(source: AlpacaPrices[Live], real: access.Keys[Live], practice: access.Keys[Paper]) -> None:
    source.use(real)
    source.use(practice)  # wrong: arg-type


def a_secret_on_its_way(login: BrokerSettings, document: Document) -> None:
    access_of(login, Env.LIVE, credentials_of(Env.LIVE, document))
    access_of(login, Env.PAPER, named_in(Env.PAPER, login))
    access_of(login, Env.LIVE, credentials_of(Env.PAPER, document))  # wrong: misc
    access_of(login, Env.PAPER, named_in(Env.LIVE, login))  # wrong: misc


def logins(
    settings: Settings,
    real: dict[str, access.Credentials[Live]],
    practice: dict[str, access.Credentials[Paper]],
    outside: dict[str, Any],
) -> None:
    Brokerages(Env.LIVE, settings, real, **outside)
    Brokerages(Env.LIVE, settings, practice, **outside)  # wrong: misc


async def a_rotation(
    keeper: CredentialKeeper[Live], real: Brokerages[Live], practice: Brokerages[Paper]
) -> None:
    await keeper.look(real)
    await keeper.look(practice)  # wrong: arg-type


def a_journal(practice: MemoryJournal[Paper], outside: dict[str, Any]) -> None:
    World(env=Env.PAPER, journal=practice, **outside)
    World(env=Env.LIVE, journal=practice, **outside)  # wrong: misc


async def a_database(dsn: str, stack: AsyncExitStack, settings: Settings) -> JournalOf[Live]:
    opened = await PostgresJournal.connect(dsn, Env.LIVE)
    await PostgresJournal.connect(dsn, settings.environment)  # wrong: type-var
    if settings.environment is Env.LIVE:
        return opened
    return await PostgresJournal.connect(dsn, Env.PAPER)  # wrong: arg-type


def a_seat(real: Broker[Live], practice: Broker[Paper]) -> list[Served[Live]]:
    return [
        Served(ACCOUNT, real, None),
        Served(ACCOUNT, Renamed(real, {}), None),
        Served(ACCOUNT, practice, None),  # wrong: arg-type
        Served(ACCOUNT, Renamed(practice, {}), None),  # wrong: arg-type
    ]


def a_node(
    world: World[Live], real: list[Served[Live]], practice: list[Served[Paper]], outside: dict[str, Any]
) -> None:
    Node(world, real, **outside)
    Node(world, practice, **outside)  # wrong: misc
    Node(world, [*real, *practice], **outside)  # wrong: list-item


def either(env: Env, exchange: Any, clock: Any) -> None:
    MemoryJournal(Env.PAPER)
    MemoryJournal(env)  # wrong: type-var
    PaperBroker(exchange, env=env, clock=clock)  # wrong: type-var
    access.Keys(env, Secret(""), Secret(""))  # wrong: type-var


def unsaid(
    broker: Broker,  # wrong: type-arg
    world: World,  # wrong: type-arg
    served: Served,  # wrong: type-arg
    keys: access.Keys,  # wrong: type-arg
    undecided: Broker[Env],  # wrong: type-var
) -> JournalOf:  # wrong: type-arg
    raise NotImplementedError
