"""The accounts of this node: each with its lane, its broker and its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from ordergate.core.ids import AccountId
from ordergate.core.orders.reports import OrderSnapshot
from ordergate.core.risk.compiling import Compiled
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.memories import PricesSeen
from ordergate.core.risk.overrides import OverrideGranted
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.recent import RecentOrders
from ordergate.core.risk.valuation import Totals
from ordergate.core.risk.view import BuyingPower, Freshness
from ordergate.engine.accounts.ages import Ages
from ordergate.engine.accounts.lane import Lane
from ordergate.engine.accounts.rereading import Rereads
from ordergate.engine.accounts.runs import Runs
from ordergate.engine.accounts.sightings import Sightings
from ordergate.engine.accounts.stream_watch import StreamWatch
from ordergate.ports.broker import AnyBroker, BrokerAccount

WHYS_MAX: Final = 8
CURRENT: Final = Freshness(None)


class Narrower(Protocol):
    """Limits that are tighter for some who ask."""

    @property
    def drift_window(self) -> timedelta: ...

    @property
    def named(self) -> Sequence[tuple[str | None, str | None]]:
        """Each user and each strategy that some limits are tighter for, by itself."""
        ...

    def of(self, user: str | None, strategy: str | None) -> Compiled: ...

    def limits(self, user: str | None, strategy: str | None) -> Limits | None: ...


class Seat(msgspec.Struct):
    """One account's place in the engine. `limits` of None refuses every order.

    `expected` is the broker's name of the account, where the settings know it. `at_broker` is its
    latest own figures. `heard_at` is the monotonic second of the latest news from it. `wake` asks
    the reconciler to look now, `whys` says who asked. `read_anew` asks for its whole list
    of executions to be read beside that.
    `freshness` is how far the account's picture can be trusted, `watch` what the stream still owes,
    `deaf` that it must be connected anew.
    `unplaced` are the broker's ids of orders that it told executions of and does not show.
    `withheld` is what a broker shows of orders that may be ours, by its ids; see `quarantine`.
    `asked_last` is the order last asked for, so that each gets its turn. `ages` is how long orders have been
    in question, or as they are.
    `buckets`, `recent` and `prices_seen` are risk's memory of the account's latest messages, orders and
    prices. `own_lanes` are those of all accounts of the same owner, this one's first, and `groups` the
    sums of exposure that the account is part of. Until `limits_known` there are no limits; `narrower` is
    there while rules on users or strategies are in effect. `overrides` are for one order each, and may be
    spent or over. `login` is the settings' name of the broker, `tenant` whose account it is.
    """

    lane: Lane
    broker: AnyBroker
    limits: Limits | None
    freshness: Freshness
    expected: str | None = None
    at_broker: BrokerAccount | None = None
    at_broker_since: datetime | None = None
    stream_up: bool = False
    heard_at: float = 0.0
    synced: bool = False
    asked_last: str = ""
    unplaced: set[str] = msgspec.field(default_factory=set)
    withheld: dict[str, OrderSnapshot] = msgspec.field(default_factory=dict)
    wake: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    read_anew: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    whys: list[str] = msgspec.field(default_factory=list)
    deaf: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    deaf_generation: int = -1
    read_at: float | None = None
    watch: StreamWatch = msgspec.field(default_factory=StreamWatch)
    sightings: Sightings = msgspec.field(default_factory=Sightings)
    ages: Ages = msgspec.field(default_factory=Ages)
    rereads: Rereads = msgspec.field(default_factory=Rereads)
    rereads_for_averages: Rereads = msgspec.field(default_factory=Rereads)
    runs: Runs = msgspec.field(default_factory=Runs)
    buckets: MessageBuckets = msgspec.field(default_factory=lambda: MessageBuckets(None))
    recent: RecentOrders = msgspec.field(default_factory=RecentOrders)
    limits_known: bool = False
    narrower: Narrower | None = None
    login: str = ""
    tenant: str = "default"
    prices_seen: PricesSeen = msgspec.field(default_factory=PricesSeen)
    own_lanes: tuple[Lane, ...] = ()
    groups: Mapping[str, Totals] = {}
    overrides: tuple[OverrideGranted, ...] = ()

    def __post_init__(self) -> None:
        self.buckets.refit(self.limits)
        self.own_lanes = self.own_lanes or (self.lane,)

    def limited_by(self, limits: Limits | None, now: datetime) -> None:
        """Judge by these from now on; what has been counted stays counted.

        Without limits nothing was: what the account's books know of messages is counted then.
        """
        had_none, self.limits = self.limits is None, limits
        self.buckets.refit(limits, now)
        if had_none:
            self.buckets.orders_sent(self.lane.books.messages)

    @property
    def drift_window(self) -> timedelta:
        """How far back the market's prices count for anyone who trades here; zero where for nobody."""
        own = None if self.limits is None else self.limits.drift_window
        others = None if self.narrower is None else self.narrower.drift_window
        return max(own or timedelta(), others or timedelta())

    @property
    def buying_power(self) -> BuyingPower | None:
        """The broker's own figure, and since when it is known."""
        theirs, since = self.at_broker, self.at_broker_since
        if theirs is None or theirs.buying_power is None or since is None:
            return None
        return BuyingPower(theirs.buying_power, since)

    def limits_for(self, user: str | None, strategy: str | None) -> Limits | None:
        """The limits of an order, by who asks for it."""
        return self.limits if self.narrower is None else self.narrower.limits(user, strategy)

    def suspect(self, why: str) -> None:
        """Ask for a whole reconciliation now."""
        if why not in self.whys and len(self.whys) < WHYS_MAX:
            self.whys.append(why)
        self.wake.set()

    def asked_why(self) -> tuple[str, ...]:
        """Who asked since the last run; the run that begins now answers them."""
        whys = tuple(self.whys)
        self.whys.clear()
        return whys

    def stream_is_deaf(self, since: datetime) -> None:
        """It is up and keeps things back: stale until another connection was caught up with."""
        self.deaf_generation = self.watch.generation
        self.became_stale(since, "the broker's stream does not tell what happens")
        self.watch.went_down()
        self.deaf.set()

    def stream_came_up(self, now: float) -> None:
        """Still stale until everything that was missed has been read."""
        self.stream_up = True
        self.watch.came_up(now)

    def stream_went_down(self, at: datetime, why: str) -> None:
        """Stale from now on, if it was not already."""
        self.stream_up = False
        self.watch.went_down()
        self.became_stale(at, f"the broker's stream is down: {why}")

    @property
    def listening(self) -> int | None:
        """The connection that tells what happens; None while none does, or one that keeps things back.

        That one stays up until it has been closed, which may take longer than a whole reconciliation.
        """
        tells = self.stream_up and self.watch.generation > self.deaf_generation
        return self.watch.generation if tells else None

    def became_stale(self, since: datetime, why: str) -> None:
        if self.freshness.stale_since is None:
            self.freshness = Freshness(since, why)

    def became_fresh(self) -> None:
        if self.freshness.stale_since is not None:
            self.freshness = CURRENT

    @property
    def trouble(self) -> str | None:
        """Why the account takes no orders now, or None."""
        if not self.lane.ready.is_set():
            return self.lane.trouble or "recovering"
        if self.lane.books.account is not None:
            return None
        return self.as_the_broker_says("waiting for the broker's figures")

    def as_the_broker_says(self, reason: str) -> str:
        """A reason to wait, and what put the latest reconciliation off: whoever is not let in is told so."""
        latest = self.runs.latest
        return reason if latest is None or latest.trouble is None else f"{reason}: {latest.trouble}"


class Lanes:
    def __init__(self) -> None:
        self._seats: dict[AccountId, Seat] = {}

    def add(self, seat: Seat) -> None:
        self._seats[seat.lane.account] = seat

    def get(self, account: AccountId) -> Seat | None:
        return self._seats.get(account)

    def ready_first(self, accounts: Iterable[AccountId]) -> list[Seat]:
        """Their seats, first those that take commands now: one in trouble keeps nobody from the others."""
        seats = (self._seats.get(account) for account in accounts)
        return sorted((seat for seat in seats if seat is not None), key=lambda seat: seat.trouble is not None)

    def __iter__(self) -> Iterator[Seat]:
        return iter(tuple(self._seats.values()))

    def __len__(self) -> int:
        return len(self._seats)
