"""A trading application: places, cancels, replaces, repeats itself and contradicts itself.

What it does is drawn from the seed alone. It never looks at the engine; what it knows is what it was
answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from ordergate.core.access import Principal
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Refusal
from ordergate.core.risk.trading_state import Remaining
from ordergate.engine.answering.answers import Answer, DeadManView
from ordergate.engine.node import Node
from ordergate.simulation.clients import Client, NoAnswer, Reply
from ordergate.simulation.ground import Ground
from ordergate.simulation.grouping import Grouping
from ordergate.simulation.market import Market

STRATEGY: Final = "drill"
_STRATEGIC: Final = 3  # every third order is of the strategy
_ANSWERS: Final = "whoever answers for it"
_AGAIN: Final = 0.1
"""How often the same order comes a second time, under another key, where a risk officer may mind that."""
DEAD_MAN_S: Final = 5
SESSION: Final = "drill"
_REFRESH_S: Final = 1.5
_WATCHED_MAX: Final = 30
_TIMES: Final = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC)


class Trader:
    def __init__(
        self,
        ground: Ground,
        client: Client,
        market: Market,
        *,
        instruments: Mapping[Symbol, Instrument],
        number: int,
    ) -> None:
        self.client = client
        self.placed = 0
        self.other: Trader | None = None
        self._ground = ground
        self._market = market
        self._instruments = instruments
        self._chance = ground.chance(f"trader {number}")
        self._orders: list[OrderId] = []
        self._used: list[tuple[str, Terms]] = []
        self._keys = 0
        self._doing: set[asyncio.Task[None]] = set()
        self._trading = True
        self._mine = ground.plan.setting.orders // 2
        ground.weather.on("U3", lambda strike: self._repeat_soon(strike.account))
        self._number = number
        self._repeats = 0
        self._again = ground.chance(f"again {number}")
        self._arms = 0
        self.seen_s: float | None = None
        self._grouping = Grouping(ground, client, market, instruments, number=number)

    @property
    def is_quiet(self) -> bool:
        """Every command has its answer."""
        return not self._doing

    def begin(self) -> None:
        self._do(self._trade())
        if self._ground.plan.setting.watched:
            self._do(self._be_watched())
        if self._grouping.is_wanted:
            self._do(self._group())

    def close(self) -> None:
        """Ask for nothing new; what was asked is asked until it is answered."""
        self._trading = False

    async def _trade(self) -> None:
        setting = self._ground.plan.setting
        pause = setting.trading_s / (self._mine * 1.6)
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / pause))
            if not self._trading:
                return
            self._act(self._chance.random())

    async def _be_watched(self) -> None:
        """Arm a dead man's switch and refresh it for a while; then go away, and come back to arm it anew."""
        me, chance = self.client.principal, self._ground.chance(f"dead man {self._number}")
        while self._trading:
            await asyncio.sleep(chance.uniform(0.5, 3.0))
            gtc, there_s = chance.choice(tuple(Remaining)), chance.uniform(0.0, 8.0)
            self._arms += 1
            correlation = f"{self.client.name} arms {self._arms}"
            with suppress(NoAnswer):
                armed = await self.client.once_of(
                    partial(_arm, me, timeout_s=DEAD_MAN_S, gtc=gtc, correlation=correlation)
                )
                if isinstance(armed, Refusal):
                    continue
                until = self._ground.loop.time() + there_s
                while self._ground.loop.time() < until:
                    self.seen_s = self._ground.loop.time()
                    await asyncio.sleep(_REFRESH_S)
                    if isinstance(await self.client.once_of(partial(_refresh, me)), Refusal):
                        break
                self.seen_s = self._ground.loop.time()
            await asyncio.sleep(DEAD_MAN_S + chance.uniform(0.0, 6.0))

    async def _group(self) -> None:
        while True:
            await asyncio.sleep(self._grouping.pause_s())
            if not self._trading:
                return
            self._do(self._grouping.next())

    def _act(self, dice: float) -> None:
        if dice < 0.62:
            if self.placed < self._mine:
                self._do(self._place())
        elif dice < 0.78:
            self._do(self._cancel())
        elif dice < 0.90:
            self._do(self._replace())
        elif dice < 0.93:
            self._do(self._cancel_all())
        elif dice < 0.945:
            self._do(self._misuse())
        elif dice < 0.96:
            self._do(self._trespass())
        else:
            self._do(self._contradict())

    async def _place(self) -> None:
        self.placed += 1
        terms, key = self.terms(), self._key()
        if self._repeats or self._chance.random() < 0.05:
            if self._repeats:
                self._repeats -= 1
                self._ground.weather.seen("U3", key)
            await asyncio.gather(self._ask_to_place(terms, key), self._ask_to_place(terms, key))
        else:
            await self._ask_to_place(terms, key)
        if self._ground.plan.setting.governed and self._again.random() < _AGAIN:
            await self._ask_to_place(msgspec.structs.replace(terms, client_order_id=None), self._key())

    async def _ask_to_place(self, terms: Terms, key: str) -> None:
        me = self.client.principal
        reply = await self.client.command(
            "place", key, lambda gate: gate.place(me, terms, key=key, correlation=key)
        )
        self._remember(reply)
        if isinstance(reply, Answer):
            self._used.append((key, terms))

    def place_one(self) -> None:
        """One more order, so far from the market that nothing fills it by itself."""
        symbol = sorted(self._instruments)[0]
        price = self._market.prices[symbol] * Decimal("0.99")
        terms = Terms(
            account=self.client.account,
            symbol=symbol,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal(2),
            limit_price=price - price % self._instruments[symbol].tick,
            time_in_force=TimeInForce.GTC,
        )
        self._do(self._ask_to_place(terms, self._key()))

    async def place_as(self, terms: Terms) -> None:
        """Place exactly that, under a key of its own. Raises NoAnswer never: it asks until it knows."""
        await self._ask_to_place(terms, self._key())

    def group_one(self) -> None:
        """One more bracket, so far from the market that nothing fills it by itself."""
        self._do(self._grouping.place_one())

    def replace_one(self, order: OrderId, quantity: Decimal) -> None:
        self._do(self._ask_to_replace(order, quantity))

    async def _misuse(self) -> None:
        """A key that bought an order is used for another one."""
        if not self._used:
            return
        me, (key, terms) = self.client.principal, self._chance.choice(self._used)
        other = msgspec.structs.replace(terms, quantity=terms.quantity + 1)
        await self.client.command("misuse", key, lambda gate: gate.place(me, other, key=key, correlation=key))

    async def _cancel(self) -> None:
        order = self._some_order()
        if order is not None:
            await self._ask_to_cancel(order)

    async def _ask_to_cancel(self, order: OrderId) -> None:
        me, key = self.client.principal, self._key()
        await self.client.command(
            "cancel", key, lambda gate: gate.cancel(me, order, key=key, correlation=key), about=order
        )

    async def _replace(self) -> None:
        order = self._some_order()
        if order is not None:
            await self._ask_to_replace(order)

    async def _ask_to_replace(self, order: OrderId, quantity: Decimal | None = None) -> None:
        me, key = self.client.principal, self._key()
        quantity = quantity or Decimal(self._chance.randint(1, 6))
        await self.client.command(
            "replace",
            key,
            lambda gate: gate.replace(
                me, order, quantity=quantity, limit_price=None, stop_price=None, key=key, correlation=key
            ),
            about=order,
        )

    async def _cancel_all(self) -> None:
        me, key = self.client.principal, self._key()
        await self.client.command(
            "cancel-all",
            key,
            lambda gate: gate.cancel_all(me, self.client.account, key=key, correlation=key),
        )

    async def _contradict(self) -> None:
        """A cancel and a replace of the same order, at once, and then a cancel again."""
        order = self._some_order()
        if order is not None:
            await asyncio.gather(self._ask_to_cancel(order), self._ask_to_replace(order))
            await self._ask_to_cancel(order)

    async def _trespass(self) -> None:
        """Another tenant's order does not exist for us."""
        order = None if self.other is None else self.other.latest()
        if order is None:
            return
        me, key = self.client.principal, self._key()
        await self.client.command(
            "trespass", key, lambda gate: gate.cancel(me, order, key=key, correlation=key)
        )

    def latest(self) -> OrderId | None:
        return self._orders[-1] if self._orders else None

    def _repeat_soon(self, account: int) -> None:
        if account == self._number:
            self._repeats += 1

    def _remember(self, reply: Reply) -> None:
        if isinstance(reply, Answer) and not reply.failed:
            self._orders.append(reply.order_id)

    def _some_order(self) -> OrderId | None:
        recent = self._orders[-_WATCHED_MAX:]
        return self._chance.choice(recent) if recent else None

    def terms(self) -> Terms:
        """An order as it comes to mind."""
        chance = self._chance
        symbol = chance.choice(sorted(self._instruments))
        side = chance.choice((Side.BUY, Side.SELL))
        tick = self._instruments[symbol].tick
        away = Decimal(chance.randint(-4, 40)) * tick
        price = self._market.prices[symbol] - side.sign * away
        is_market = chance.random() < 0.12
        return Terms(
            account=self.client.account,
            symbol=symbol,
            side=side,
            type=OrderType.MARKET if is_market else OrderType.LIMIT,
            quantity=Decimal(chance.randint(1, 5)),
            limit_price=None if is_market else price - price % tick,
            time_in_force=chance.choice(_TIMES),
            client_order_id=f"label-{self._keys}" if chance.random() < 0.3 else None,
            strategy=STRATEGY if (is_strategic := self._keys % _STRATEGIC == 0) else None,
            strategy_version="1" if is_strategic and self._ground.plan.setting.governed else None,
            user=_ANSWERS if is_strategic and self._ground.plan.setting.governed else None,
        )

    def _key(self) -> str:
        self._keys += 1
        return f"drill-key-{self._keys:08}"  # the other tenant has the same

    def _do(self, what: Coroutine[None, None, None]) -> None:
        async def doing() -> None:
            try:
                await what
            except NoAnswer:
                return

        task = self._ground.loop.create_task(doing(), context=self._ground.world)
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)


async def _arm(
    me: Principal, node: Node, *, timeout_s: int, gtc: Remaining, correlation: str
) -> DeadManView | Refusal:
    return await node.dead_man.arm(me, SESSION, timeout_s=timeout_s, gtc=gtc, correlation=correlation)


async def _refresh(me: Principal, node: Node) -> DeadManView | Refusal:
    return node.dead_man.refresh(me, SESSION)
