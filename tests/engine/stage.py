"""A whole engine in memory: twin journal, twin broker, a clock that moves only when told.

`Stage.until` moves the clock in small steps until something is true; nothing here waits for
real time.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from types import TracebackType
from typing import Any, Self, cast

import msgspec

from ordergate.brokers.paper import fates
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.brokers.paper.exchange import PaperExchange
from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId, Env, OrderId, Paper, Symbol
from ordergate.core.instruments import AssetClass, Instrument
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Refusal
from ordergate.core.risk.limits import limits_of, mapping_of
from ordergate.core.strategies import Registered
from ordergate.engine.accounts.lane import Lane
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.accounts.snapshots import SnapshotPace
from ordergate.engine.answering.answers import Answer
from ordergate.engine.commands.gate import Gate
from ordergate.engine.commands.judging import Hours, always_unknown
from ordergate.engine.node import Node
from ordergate.engine.reconciling.rhythm import Rhythm
from ordergate.engine.stopping.trips import TripPolicy
from ordergate.engine.wire.dispatcher import Pace
from ordergate.engine.world import Served, World
from ordergate.journal.memory import MemoryJournal
from ordergate.journal.memory_views import MemoryViews
from ordergate.ports.broker import Corrections, DedupClass
from ordergate.ports.clock_offset import ClockOffset
from ordergate.ports.kill_flags import KillFlags, SharedFlags
from ordergate.ports.market_data import Quote, Trade
from ordergate.ports.nodes import Node as SeenNode
from ordergate.ports.nodes import Nodes
from ordergate.telemetry.metrics import Metrics
from tests.e2e.pacing import PACE
from tests.engine.noting import NotingCarrier

ACCOUNT = AccountId("P-TEST")
ES = Symbol("ESH4")
STEP_S = 0.25
START = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)

INSTRUMENT = Instrument(
    symbol=ES,
    name="E-mini S&P 500",
    asset_class=AssetClass.FUTURE,
    currency="USD",
    tick=Decimal("0.25"),
    lot=Decimal(1),
    multiplier=Decimal(50),
    calendar="CMES",
)

LIMITS = limits_of(
    {
        "version": 1,
        "enabled": True,
        "max_open_orders": 1000,
        "max_open_notional": "1000000000",
        "message_windows": [[100000, 1]],
        "order_types": ["market", "limit", "stop", "stop_limit"],
        "sides": ["buy", "sell"],
        "times_in_force": ["day", "gtc", "ioc", "fok"],
        "duplicate_window_s": "0",
        "reference_price_max_age_s": "86400",
        "buying_power_max_age_s": "86400",
        "instruments": {
            "ESH4": {
                "max_order_quantity": "100",
                "max_order_notional": "100000000",
                "max_long": "1000",
                "max_short": "1000",
                "collar_percent": "10",
                "initial_margin": "1",
            }
        },
    }
)

TRADER = Principal(
    env=Env.PAPER,
    tenant="test",
    client_id="trader",
    subject="trader",
    scopes=frozenset(Scope),
    accounts=frozenset({ACCOUNT}),
    expires_at=2**40,
    token_id="t",
    auth_time=int(START.timestamp()),
)


RISK = msgspec.structs.replace(TRADER, client_id="risk", subject="risk")
"""Another person, who may do the same."""


class HandClock:
    """Time that stands still until it is moved. At each move `real_s` of ours pass, for what is real."""

    def __init__(self, real_s: float = 0.0) -> None:
        self._real_s = real_s
        self.wrong_by = timedelta(0)
        self._moved = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._ticket = count()

    def now(self) -> datetime:
        return START + timedelta(seconds=self._moved) + self.wrong_by

    def monotonic(self) -> float:
        return self._moved

    async def sleep(self, seconds: float) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._moved + seconds, next(self._ticket), waiting))
        await waiting

    async def move(self, seconds: float) -> None:
        self._moved += seconds
        while self._sleepers and self._sleepers[0][0] <= self._moved:
            _, _, waiting = heapq.heappop(self._sleepers)
            if not waiting.done():
                waiting.set_result(None)
        await let_run()
        if self._real_s:
            await PACE.sleep(self._real_s)


class CountingChance:
    """Numbers that never repeat and are the same in every run."""

    def __init__(self) -> None:
        self._given = 0

    def bits(self, count: int) -> int:
        self._given += 1
        return self._given & ((1 << count) - 1)


class Listener:
    """Keeps every frame it was told, in order."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.kinds: list[str] = []
        self.frames: list[bytes] = []
        self._calls: dict[str, Callable[[], None]] = {}

    def frames_of(self, kind: str) -> list[dict[str, Any]]:
        """What was told of this kind, as a client reads it."""
        return [told for told in map(msgspec.json.decode, self.frames) if told["kind"] == kind]

    def on(self, kind: str, call: Callable[[], None]) -> None:
        """Do this the moment an event of the kind is told, before anything follows from it."""
        self._calls[kind] = call

    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None:
        if account == ACCOUNT:
            self.seqs.append(seq)
            self.kinds.append(kind)
            self.frames.append(frame)
            if kind in self._calls:
                self._calls[kind]()

    def tell_price(self, price: Quote | Trade) -> None: ...


async def let_run() -> None:
    """Let everything that can go on without time go on."""
    for _ in range(30):
        await asyncio.sleep(0)


class Stage(AbstractAsyncContextManager["Stage"]):
    """The journal and the exchange outlive the node: `crash` and `restart` exercise recovery."""

    def __init__(
        self,
        *,
        fate: fates.Fates = fates.always_delivered,
        dedup: DedupClass = DedupClass.A,
        resend_is_safe: bool = True,
        limits: Mapping[str, object] | None = None,
        expected: str | None = None,
        corrections: Corrections = Corrections.REPLACE,
        latency_s: float = 0.0,
        snapshots: SnapshotPace | None = None,
        cancels_all: bool = False,
        dead_man: bool = False,
        kill_flags: Sequence[KillFlags] = (),
        shared_stops: SharedFlags | None = None,
        trips: TripPolicy | None = None,
        offset: ClockOffset | None = None,
        nodes: Nodes | None = None,
        ourselves: SeenNode | None = None,
        env: Env = Env.PAPER,
        hours: Hours = always_unknown,
        room: int = 16_384,
        questions_max: int = 20_000,
        others: Sequence[AccountId] = (),
        clock: HandClock | None = None,
    ) -> None:
        """`limits` change the ordinary ones. Orders in `hidden` are not found by questions."""
        self.env = env
        self.hours = hours
        self.account = AccountId(f"{env.letter}-TEST")
        self.clock = clock or HandClock()
        self.chance = CountingChance()
        # A test may mix environments as only a mistake could: the types are told that it is always paper.
        self.journal = MemoryJournal(cast("Paper", env), queued_units_max=room)
        self.views = MemoryViews(self.journal)
        self.exchange = self._exchange(dedups=dedup is DedupClass.A)
        self.last_price = Decimal(4800)
        self.listener = Listener()
        self._fate = fate
        self._dedup = dedup
        self._resend_is_safe = resend_is_safe
        self._corrections = corrections
        self._latency_s = latency_s
        self.snapshots = snapshots
        self.rules = "the test's"
        self._cancels_all = cancels_all
        self._dead_man = dead_man
        self._kill_flags = kill_flags
        self._shared_stops = shared_stops
        self._trips = trips
        self._offset = offset
        self._nodes = nodes
        self._ourselves = ourselves
        self.instruments = {ES: INSTRUMENT}
        self._limits = limits_of({**mapping_of(LIMITS), **(limits or {})})
        self._expected = expected
        self.hidden: set[str] = set()
        self.asked: list[str] = []
        self.connected = asyncio.Event()
        self.connected.set()
        self.unproved: str | None = None
        self.registered: dict[str, Registered] = {}
        self.duties: dict[str, Callable[[], Awaitable[None]]] = {}
        self._keys = count()
        self._pace = Pace(questions_max=questions_max)
        self._others = others

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.crash()

    async def start(self, *, ready: bool = True) -> None:
        self.broker = PaperBroker(
            self.exchange,
            env=cast("Paper", self.env),
            clock=self.clock,
            dedup=self._dedup,
            resend_is_safe=self._resend_is_safe,
            hides=lambda order: order.id in self.hidden,
            carrier=NotingCarrier(self.asked, self.connected, self.clock, self._fate, self._latency_s),
            corrections=self._corrections,
            cancels_all=self._cancels_all,
            dead_man=self._dead_man,
        )
        self.metrics = Metrics()
        world = World(
            env=cast("Paper", self.env),
            clock=self.clock,
            chance=self.chance,
            journal=self.journal,
            views=self.views,
            audience=self.listener,
            metrics=self.metrics,
            instruments=self.instruments,
            rules=self.rules,
            kill_flags=self._kill_flags,
            shared_stops=self._shared_stops,
            offset=self._offset,
            nodes=self._nodes,
            ourselves=self._ourselves,
            audit=lambda: self.unproved,
            hours=self.hours,
            strategies=self.registered.get,
            duties=self.duties,
        )
        served = [Served(self.account, self.broker, self._limits, self._expected, login="paper-login")]
        for other in self._others:
            broker = PaperBroker(self._exchange(), env=cast("Paper", self.env), clock=self.clock)
            served.append(Served(other, broker, self._limits, login=f"login-of-{other}"))
        self.node = Node(
            world, served, rhythm=Rhythm(), pace=self._pace, snapshots=self.snapshots, trips=self._trips
        )
        self.price(self.last_price)
        self.node.start()
        if ready:
            await self.until(lambda: not self.gate.readiness())

    def _exchange(self, *, dedups: bool = True) -> PaperExchange:
        exchange = PaperExchange(now=self.clock.now, instruments={ES: INSTRUMENT}, dedups=dedups)
        exchange.mark(ES, Decimal(4800))
        return exchange

    async def crash(self) -> None:
        """Stop without a word: what is durable is all that is left."""
        await self.node.kill()

    async def restart(self) -> None:
        await self.crash()
        await self.start()

    @property
    def seat(self) -> Seat:
        seat = self.node.lanes.get(self.account)
        assert seat is not None
        return seat

    @property
    def lane(self) -> Lane:
        return self.seat.lane

    @property
    def gate(self) -> Gate:
        return self.node.gate

    def price(self, price: Decimal) -> None:
        """The market as the gateway sees it; a restart finds it as it was."""
        self.last_price = price
        quarter = Decimal("0.25")
        self.node.prices.take(
            Quote(
                symbol=ES,
                bid=price - quarter,
                bid_size=Decimal(10),
                ask=price + quarter,
                ask_size=Decimal(10),
                at=self.clock.now(),
            )
        )

    async def until(self, true: Callable[[], object], *, within_s: float = 180) -> None:
        """Move time on until it is so; fails when it is not in `within_s`."""
        await let_run()
        waited = 0.0
        while not true():
            assert waited < within_s, "it never came true"
            await self.clock.move(STEP_S)
            waited += STEP_S

    async def place(
        self,
        *,
        side: Side = Side.BUY,
        quantity: int = 1,
        limit: str | None = "4700",
        key: str | None = None,
        client_order_id: str | None = None,
    ) -> Answer | Refusal:
        terms = Terms(
            account=ACCOUNT,
            symbol=ES,
            side=side,
            type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            quantity=Decimal(quantity),
            limit_price=None if limit is None else Decimal(limit),
            time_in_force=TimeInForce.GTC,
            client_order_id=client_order_id,
        )
        return await self.gate.place(TRADER, terms, key=key or self.key(), correlation="test")

    async def accepted(
        self,
        *,
        side: Side = Side.BUY,
        quantity: int = 1,
        limit: str | None = "4700",
        client_order_id: str | None = None,
    ) -> OrderId:
        answer = await self.place(side=side, quantity=quantity, limit=limit, client_order_id=client_order_id)
        assert isinstance(answer, Answer), answer
        assert not answer.failed, answer.failed
        return answer.order_id

    def held(self, symbol: Symbol) -> Decimal:
        account = self.lane.books.account
        assert account is not None
        return account.position(symbol).quantity

    def key(self) -> str:
        return f"key-of-the-test-{next(self._keys):06}"

    def status(self, order_id: OrderId) -> str:
        order = self.lane.books.order(order_id)
        return "none" if order is None else order.status

    def body(self, answer: Answer) -> dict[str, object]:
        decoded: dict[str, object] = msgspec.json.decode(answer.body)
        return decoded

    def placed_at_exchange(self) -> int:
        return sum(1 for _ in self.exchange.orders())
