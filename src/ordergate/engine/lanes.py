"""The accounts of this node: each with its lane, its broker and its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime

import msgspec

from ordergate.core.ids import AccountId
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.recent import RecentOrders
from ordergate.engine.lane import Lane
from ordergate.ports.broker import Broker, BrokerAccount


class Seat(msgspec.Struct):
    """One account's place in the engine. `limits` of None refuses every order.

    `at_broker` is the broker's latest own figures. `heard_at` is the monotonic second
    of the latest news from it. `wake` asks the reconciler to look now.
    `asked_last` is the order last asked for, so that each gets its turn.
    `buckets` and `recent` are risk's memory of the account's latest messages and orders.
    """

    lane: Lane
    broker: Broker
    limits: Limits | None
    at_broker: BrokerAccount | None = None
    at_broker_since: datetime | None = None
    stream_up: bool = False
    heard_at: float = 0.0
    synced: bool = False
    asked_last: str = ""
    wake: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    buckets: MessageBuckets = msgspec.field(default_factory=lambda: MessageBuckets(None))
    recent: RecentOrders = msgspec.field(default_factory=RecentOrders)

    def __post_init__(self) -> None:
        self.buckets.refit(self.limits)

    @property
    def trouble(self) -> str | None:
        """Why the account takes no orders now, or None."""
        if not self.lane.ready.is_set():
            return self.lane.trouble or "recovering"
        return None if self.lane.books.account is not None else "waiting for the broker's figures"


class Lanes:
    def __init__(self) -> None:
        self._seats: dict[AccountId, Seat] = {}

    def add(self, seat: Seat) -> None:
        self._seats[seat.lane.account] = seat

    def get(self, account: AccountId) -> Seat | None:
        return self._seats.get(account)

    def __iter__(self) -> Iterator[Seat]:
        return iter(tuple(self._seats.values()))

    def __len__(self) -> int:
        return len(self._seats)
