"""Watches over what trading rests on: prices, brokers' streams, the clock, and nodes that agree.

Each looks at how things are now, and trips or lifts by that alone. What is wrong by the latest look is
remembered, for another stop at the same place may hide it until that one is lifted; whatever else there is
stands in the control stream. What cannot be measured is unknown, and what unknown means is a setting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Final

from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.money import ZERO
from ordergate.core.risk.trading_state import Grade, Level, Place, Trip
from ordergate.engine.accounts.lanes import Lanes
from ordergate.engine.stopping.breakers import Breakers
from ordergate.engine.stopping.trips import TripPolicy, Trips
from ordergate.engine.worth.prices import PriceBoard
from ordergate.ports.clock import Clock
from ordergate.ports.clock_offset import ClockOffset
from ordergate.ports.nodes import Node, Nodes
from ordergate.telemetry.log import logger
from ordergate.telemetry.metrics import Metrics

log = logger("watches")

LOOK_S: Final = 1.0
NODE_LIVES_S: Final = 15.0  # where its machine is gone, and nobody ended its session
UNASKED: Final = "the other nodes of the database have not been looked at yet"


class Watches:
    """`nodes` and `offset` are None where nobody can tell.

    `nodes_differ` says how nodes differ, or that it is not known yet; None when they agree.
    """

    def __init__(
        self,
        env: Env,
        *,
        lanes: Lanes,
        prices: PriceBoard,
        trips: Trips,
        breakers: Breakers,
        clock: Clock,
        metrics: Metrics,
        policy: TripPolicy,
        offset: ClockOffset | None,
        tell_offset: Callable[[float | None], None],
        nodes: Nodes | None,
        ourselves: Node | None,
    ) -> None:
        self._env = env
        self._lanes = lanes
        self._prices = prices
        self._trips = trips
        self._breakers = breakers
        self._clock = clock
        self._metrics = metrics
        self._policy = policy
        self._offset = offset
        self._tell_offset = tell_offset
        self._nodes = nodes
        self._ourselves = ourselves
        self._due: dict[str, float] = {}
        self._wrong: dict[tuple[Place, Trip], str] = {}
        self._over: list[tuple[Place, Trip]] = []
        self._clock_known = True
        watched = nodes is not None and ourselves is not None and policy.nodes_every_s
        self.nodes_differ: str | None = UNASKED if watched else None

    async def keep(self) -> None:
        while True:
            await self._clock.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """All is looked at before anything is lifted: after a start nothing is known to be wrong yet."""
        policy = self._policy
        self._over.clear()
        self._look_at_streams()
        self._look_at_prices()
        await self._when_due("clock", policy.clock_every_s, self._look_at_clock)
        await self._when_due("nodes", policy.nodes_every_s, self._look_at_nodes)
        await self._breakers.look()
        for place, trip in self._over:
            await self._trips.lift(place, trip, "it is over")

    def look_again(self, place: Place, lifted_at: datetime) -> None:
        """A stop was lifted there: what it may have hidden is in force before anything passes."""
        for (where, trip), trouble in tuple(self._wrong.items()):
            if where == place:
                self._trips.engage(place, trip, Grade.REDUCE_ONLY, trouble)
        level, target = place
        seat = self._lanes.get(AccountId(target)) if level is Level.ACCOUNT else None
        if seat is not None:
            self._breakers.look_again(seat, lifted_at)
        elif level is Level.STRATEGY:
            self._breakers.look_again_at(target, lifted_at)

    async def _when_due(self, what: str, every_s: float, look: Callable[[], Awaitable[None]]) -> None:
        now = self._clock.monotonic()
        if every_s and now >= self._due.get(what, now):
            self._due[what] = now + every_s
            await look()

    def _look_at_streams(self) -> None:
        most = self._policy.stale_stream_s
        if not most:
            return
        now = self._clock.now()
        for seat in self._lanes:
            since = seat.freshness.stale_since
            age = None if since is None else (now - since).total_seconds()
            self._judge(
                (Level.ACCOUNT, seat.lane.account),
                Trip.STREAM_STALE,
                None if age is None or 0 <= age <= most else f"behind its broker: {seat.freshness.why}",
                over=age is None,
            )

    def _look_at_prices(self) -> None:
        most = self._policy.stale_prices_s
        if not most:
            return
        now = self._clock.now()
        symbols = set(self._at_stake())
        for place, trip in tuple(self._wrong):
            if trip is Trip.STALE_MARKET_DATA and place[1] not in symbols:
                del self._wrong[place, trip]  # nothing is at stake any more
        for symbol in sorted(symbols):
            reference = self._prices.reference(symbol)
            age = None if reference is None else abs((now - reference.at).total_seconds())
            stale = age is None or age > most
            what = "no price is known" if age is None else f"no price for {most:g} s"
            self._judge(
                (Level.INSTRUMENT, symbol), Trip.STALE_MARKET_DATA, what if stale else None, over=not stale
            )

    async def _look_at_clock(self) -> None:
        """The machine's clock against its time servers."""
        policy = self._policy
        offset = None if self._offset is None else await self._offset.offset_ms()
        self._tell_offset(offset)
        self._metrics.clock_offset.set(float("nan") if offset is None else offset / 1000)
        if offset is None:
            if self._clock_known:
                log.warning("clock.unknown")  # once: the gauge says it as long as it is so
            trouble = "nothing here can tell how wrong the clock is" if policy.clock_unknown_stops else None
        else:
            if abs(offset) > policy.clock_warn_ms:
                log.warning("clock.off", offset_ms=offset)
            off = abs(offset) > policy.clock_stop_ms
            trouble = f"the clock is {offset:.1f} ms off" if off else None
        self._clock_known = offset is not None
        if not policy.clock_stops:
            trouble = None
        self._judge((Level.ENVIRONMENT, self._env), Trip.CLOCK_OFFSET, trouble, over=trouble is None)

    async def _look_at_nodes(self) -> None:
        if self._nodes is None or self._ourselves is None:
            return
        us = self._ourselves
        try:
            await self._nodes.announce(us)
            seen = await self._nodes.seen(NODE_LIVES_S)
        except Fault as fault:
            log.warning("nodes.unseen", why=str(fault))
            return  # whoever cannot ask the database hears no control stream either, and stops for that
        living = [node for node in seen if not node.ended]
        others = [node for node in living if (node.build, node.config) != (us.build, us.config)]
        said = ", ".join(f"{node.name} runs {node.build} with {node.config[:12]}" for node in others)
        trouble = f"{said}; we run {us.build} with {us.config[:12]}" if others else None
        self._judge((Level.ENVIRONMENT, self._env), Trip.CONFIG_MISMATCH, trouble, over=trouble is None)
        self.nodes_differ = trouble

    def _judge(self, place: Place, trip: Trip, trouble: str | None, *, over: bool) -> None:
        if trouble is not None:
            self._wrong[place, trip] = trouble
            self._trips.engage(place, trip, Grade.REDUCE_ONLY, trouble)
        elif over:
            self._wrong.pop((place, trip), None)
            self._over.append((place, trip))

    def _at_stake(self) -> Iterator[Symbol]:
        """Symbols in which something is open or held, and those that are stopped for want of a price.

        What is kept until a market opens waits for its price by itself.
        """
        for seat in self._lanes:
            books = seat.lane.books
            kept = Counter(books.present_name(order.terms.symbol) for order in books.held_orders())
            yield from (one for one in books.exposure.symbols() if books.exposure.of(one).orders > kept[one])
            if books.account is not None:
                yield from (
                    Symbol(symbol) for symbol, its in books.account.positions.items() if its.quantity != ZERO
                )
        yield from self._trips.stopped_symbols()
