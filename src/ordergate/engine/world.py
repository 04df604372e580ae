"""What a node is given: everything outside the engine, and the accounts that it serves.

Decides nothing and starts nothing, and names no concrete adapter; wiring fills it in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeAlias

import msgspec

from ordergate.core.faults import InvariantBroken
from ordergate.core.ids import AccountId, E, Live, Paper, Symbol, is_account_id
from ordergate.core.instruments import Instrument
from ordergate.core.risk.compiling import Subject
from ordergate.core.risk.limits import Limits
from ordergate.core.strategies import Registered
from ordergate.engine.commands.judging import Hours, always_unknown
from ordergate.ports.audience import Audience
from ordergate.ports.broker import Broker
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.clock_offset import ClockOffset
from ordergate.ports.journal import JournalOf
from ordergate.ports.kill_flags import KillFlags, SharedFlags
from ordergate.ports.market_data import MarketData
from ordergate.ports.nodes import Node as SeenNode
from ordergate.ports.nodes import Nodes
from ordergate.ports.views import Views
from ordergate.telemetry.metrics import Metrics


class Served(msgspec.Struct, Generic[E], frozen=True):
    """One account that this node serves. `expected` is what the broker calls it, where that is known.

    `limits` are what the settings say; what holds is compiled from the rules in the journal. `login` is
    what the settings call the broker, `tenant` and `desk` whose account it is. Accounts of one `owner` do
    not trade with each other; `groups` have limits of exposure in common.
    """

    account: AccountId
    broker: Broker[E]
    limits: Limits | None
    expected: str | None = None
    login: str = ""
    tenant: str = "default"
    desk: str = ""
    owner: str | None = None
    groups: tuple[str, ...] = ()


class World(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """Everything outside the engine, as the ports promise it: all of one environment.

    `rules` names the code and the instruments that events are folded by; snapshots of others are not used.
    `audit` says why records cannot be proved now, or None. `parts` are run for as long as the node is,
    `duties` only while no other process is known to write the database.
    `strategies` are those that a tenant has registered.
    """

    env: E
    clock: Clock
    chance: Chance
    journal: JournalOf[E]
    views: Views
    audience: Audience
    metrics: Metrics
    instruments: Mapping[Symbol, Instrument]
    prices: Sequence[MarketData] = ()
    rules: str = ""
    kill_flags: Sequence[KillFlags] = ()
    shared_stops: SharedFlags | None = None
    hours: Hours = always_unknown
    offset: ClockOffset | None = None
    nodes: Nodes | None = None
    ourselves: SeenNode | None = None
    audit: Callable[[], str | None] = lambda: None
    strategies: Callable[[str], Registered | None] = lambda _: None
    parts: Mapping[str, Callable[[], Awaitable[None]]] = {}
    duties: Mapping[str, Callable[[], Awaitable[None]]] = {}


AnyServed: TypeAlias = Served[Paper] | Served[Live]
AnyWorld: TypeAlias = World[Paper] | World[Live]


def subjects(served: Sequence[AnyServed]) -> dict[AccountId, Subject]:
    """Whose limits each account is under."""
    return {one.account: Subject(one.account, one.tenant, one.desk) for one in served}


def require_one_environment(env: E, served: Sequence[Served[E]]) -> None:
    """A node of one environment never holds a broker, or an account, of another. Raises InvariantBroken."""
    for one in served:
        if one.broker.env is not env or not is_account_id(env, one.account):
            what = f"{one.account} at a broker of {one.broker.env}"
            raise InvariantBroken(f"a node of {env} was given {what}")
