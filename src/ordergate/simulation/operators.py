"""Who stops trading and lets it go on, and who decides what only a person may.

Stops come at every level and grade, again and again, or when a broker cannot be spoken to. At the heal
every stop is released, and the limits are taken back to what they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import msgspec

from ordergate.core.access import Principal
from ordergate.core.accounts.breaks import Action, Nature
from ordergate.core.ids import AccountId, Env, OrderId, cl_ord_id
from ordergate.core.orders.events import Resolution
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.engine.commands.gate import Gate
from ordergate.engine.node import Node
from ordergate.ports.broker import DedupClass
from ordergate.simulation.audit import Known
from ordergate.simulation.brokerage import Brokerage
from ordergate.simulation.clients import Client, NoAnswer, of_the_house
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.ground import Ground
from ordergate.simulation.listing import LOGIN, SPY, TENANT
from ordergate.simulation.officer import Officer
from ordergate.simulation.plan import Strike
from ordergate.simulation.trader import STRATEGY, Trader

_OPERATOR_S: Final = 0.7
_WATCHFUL_S: Final = 6.0
_SWEPT_S_MAX: Final = 30.0
_BLOCKING: Final = (Grade.BLOCK_NEW, Grade.CANCEL_ALL)
_GRADES: Final = (*_BLOCKING, Grade.BLOCK_NEW, Grade.REDUCE_ONLY)

Word = tuple[Resolution, str | None]


class Place(Protocol):
    """Where they work."""

    ground: Ground
    brokerages: list[Brokerage]
    traders: list[Trader]
    officer: Officer

    @property
    def serving(self) -> Gateway | None: ...

    def questions(self, account: AccountId) -> list[Known]: ...

    def breaks(self, account: AccountId) -> Mapping[str, str]: ...


class Operators:
    def __init__(self, town: Place) -> None:
        self._town = town
        self._ground = town.ground
        self._calls: list[asyncio.Task[None]] = []
        self._alarmed: list[Strike] = []
        self._watchful: list[Strike] = []
        weather = town.ground.weather
        weather.on("O1", self._operator)
        for fault in ("B16", "B19", "N4"):
            weather.on(fault, self._alarm)

    def heal(self) -> None:
        """Everything is set right again, as far as a person has to."""
        self._calls = [
            self._ground.loop.create_task(call, context=self._ground.world)
            for call in (
                self._release(),
                self._town.officer.lift(),
                self._release_what_trips(),
                *(self._settle_breaks(one) for one in self._town.traders),
                *(self._settle_questions(one) for one in self._town.traders),
            )
        ]

    @property
    def is_over(self) -> bool:
        """The kill switch is released, and the limits are what they were in the beginning."""
        return bool(self._calls) and all(call.done() for call in self._calls[:2])

    def _operator(self, strike: Strike) -> None:
        """O1: the kill switch is engaged and released, again and again, at one level or another.

        Others wait until a broker is slow or cannot be spoken to, or until an order is in question, and
        keep it engaged for longer.
        """
        if waits := _waits(strike):
            (self._watchful if waits == 2 else self._alarmed).append(strike)
            return
        for turn in range(1 + int(3 * strike.dose)):
            self._ground.later(turn * _OPERATOR_S * 2, lambda: self._throw(strike, engage=True))
            self._ground.later((turn * 2 + 1) * _OPERATOR_S, lambda: self._throw(strike, engage=False))

    def _alarm(self, spell: Strike) -> None:
        """What was tried meanwhile is tried again, and must not be any more."""
        if self._alarmed:
            strike = self._alarmed.pop(0)
            self._ground.later(0.2, lambda: self._throw(strike, engage=True))
            self._ground.later(spell.lasts + 3.0, lambda: self._throw(strike, engage=False))

    def mind_the_doubtful(self) -> None:
        """Whoever watches stops all trading when an order is in question, or waits for its connection."""
        brokerages = self._town.brokerages
        if self._watchful and any(self._town.questions(one.account) for one in brokerages):
            self._throw_for_long(self._watchful.pop(0))
        if self._alarmed and any(one.connecting for one in brokerages):
            self._throw_for_long(self._alarmed.pop(0))

    def _throw_for_long(self, strike: Strike) -> None:
        self._throw(strike, engage=True)
        self._ground.later(_WATCHFUL_S, lambda: self._throw(strike, engage=False))

    def _throw(self, strike: Strike, *, engage: bool) -> None:
        if not self._ground.weather.healed:
            self._ground.loop.create_task(self._thrown(strike, engage), context=self._ground.world)

    async def _thrown(self, strike: Strike, engage: bool) -> None:
        operator = self._town.traders[0].client
        level, target = self._stopped(strike)

        async def release(gate: Gate) -> object:
            return await gate.release_kill(
                _another(operator.principal),
                reason="over",
                correlation="operator",
                level=level,
                target=target,
            )

        try:
            if engage:
                await operator.engage(level, target, self._grade(strike))
                self._ground.weather.seen("O1")
            else:
                await operator.once(release)
        except NoAnswer:
            return

    def _grade(self, strike: Strike) -> Grade:
        grades = _BLOCKING if _waits(strike) else _GRADES
        return grades[strike.number % len(grades)]

    def stop_trading_for(self, seconds: float) -> None:
        """The operator of the healed house stops all trading for a while, and releases it again."""
        stopped = self._stopped_for(seconds)
        self._calls[0] = self._ground.loop.create_task(stopped, context=self._ground.world)

    def restart_stopped(self, grade: Grade) -> None:
        """All trading is stopped, the gateway dies, and somebody tries to trade with the next one."""
        restarted = self._restarted(self._town.traders[0], grade)
        self._calls[0] = self._ground.loop.create_task(restarted, context=self._ground.world)

    async def _restarted(self, trader: Trader, grade: Grade) -> None:
        await self._engage(grade)
        dying = self._town.serving
        if dying is not None:
            dying.die("the epilogue", "while trading was stopped")
        while True:
            await asyncio.sleep(_OPERATOR_S)
            serving = self._town.serving
            if serving is not None and not serving.recovering:
                break
        trader.place_one()
        until = self._ground.loop.time() + (_SWEPT_S_MAX if grade.cancels else 0.0)
        while True:
            await asyncio.sleep(2 * _OPERATOR_S)
            if self._ground.loop.time() >= until or not self._is_anything_open():
                break
        await self._release()

    def _is_anything_open(self) -> bool:
        return any(order.is_open for one in self._town.brokerages for order in one.exchange.orders())

    async def _stopped_for(self, seconds: float) -> None:
        await self._engage(Grade.BLOCK_NEW)
        await asyncio.sleep(seconds)
        await self._release()

    async def _engage(self, grade: Grade) -> None:
        with suppress(NoAnswer):
            await self._town.traders[0].client.engage(Level.GLOBAL, "", grade)

    def _stopped(self, strike: Strike) -> tuple[Level, str]:
        """Everything where it waited, or in five of twelve; otherwise one thing, the same at its release."""
        if _waits(strike):
            return Level.GLOBAL, ""
        client = self._town.traders[strike.number % len(self._town.traders)].client
        others = (
            (Level.ACCOUNT, str(client.account)),
            (Level.USER, client.principal.subject),
            (Level.ENVIRONMENT, Env.PAPER),
            (Level.INSTRUMENT, SPY),
            (Level.STRATEGY, STRATEGY),
            (Level.BROKER, LOGIN),
            (Level.TENANT, TENANT),
        )
        which = int(strike.dose * 1200) % 12
        return others[which] if which < len(others) else (Level.GLOBAL, "")

    async def _release(self) -> None:
        """The operator of the healed house releases every stop, until that is so."""
        while True:
            await asyncio.sleep(_OPERATOR_S)
            with suppress(NoAnswer):
                if await self._town.traders[0].client.once(self._released):
                    return

    async def _release_what_trips(self) -> None:
        """What the gateway stops by itself after that, and only a person lifts."""
        while True:
            await asyncio.sleep(_OPERATOR_S)
            with suppress(NoAnswer):
                await self._town.traders[0].client.once(partial(self._released, tripped=True))

    async def _released(self, gate: Gate, *, tripped: bool = False) -> bool:
        """Every stop, or those alone that nobody decided; True when there is none any more."""
        operator = _another(self._town.traders[0].client.principal)
        for stop in gate.kill_state().stops:
            if stop.trip is None and tripped:
                continue
            target = stop.target or ""
            await gate.release_kill(
                operator, reason="healed", correlation="operator", level=stop.level, target=target
            )
        return not gate.kill_state().engaged

    async def _settle_breaks(self, trader: Trader) -> None:
        """B22: a person confirms that the account is the right one again, as only a person may."""
        client = trader.client
        turn = 0
        while True:
            await asyncio.sleep(_OPERATOR_S)
            turn += 1
            for break_id, nature in tuple(self._town.breaks(client.account).items()):
                if nature == Nature.ENVIRONMENT:
                    key = f"{client.name}-confirms-{turn:04}-{break_id}"
                    with suppress(NoAnswer):
                        await client.once_of(partial(_confirm, client, break_id, key))

    async def _settle_questions(self, trader: Trader) -> None:
        """A person decides about the orders that no question to their broker can answer."""
        client = trader.client
        brokerage = next(one for one in self._town.brokerages if one.account == client.account)
        turn = 0
        while brokerage.setting.dedup is DedupClass.C:
            await asyncio.sleep(_OPERATOR_S)
            for order in self._town.questions(client.account):
                word = _word(order, brokerage)
                if word is not None:
                    turn += 1
                    key = f"{client.name}-decides-{turn:06}"
                    with suppress(NoAnswer):
                        await client.once(partial(_decide, client, order.id, word, key))


def _waits(strike: Strike) -> int:
    """What an engagement waits for: nothing, a broker that is slow or silent, or an order in question."""
    return int(strike.dose * 100) % 4


def _word(order: Known, brokerage: Brokerage) -> Word | None:
    """What a person sees who asks the broker on the telephone; None while bytes are on their way."""
    asked = cl_ord_id(order.id, 1)
    if brokerage.in_flight.get(asked):
        return None
    theirs = brokerage.order_of(asked)
    return (Resolution.NEVER_ARRIVED, None) if theirs is None else (Resolution.WORKING, theirs.id)


async def _confirm(client: Client, break_id: str, key: str, node: Node) -> object:
    """What `ordergate breaks resolve` asks for."""
    return await node.breaks.resolve(
        client.principal,
        break_id,
        action=Action.CONFIRM,
        reason="the drill's account is the right one again",
        key=key,
        correlation=key,
    )


async def _decide(client: Client, order: OrderId, word: Word, key: str, gate: Gate) -> object:
    """What `ordergate orders resolve` asks for."""
    resolution, broker_order_id = word
    return await gate.resolve(
        client.principal,
        order,
        resolution=resolution,
        reason="the broker was asked on the telephone",
        broker_order_id=broker_order_id,
        cum_qty=None,
        avg_px=None,
        key=key,
        correlation=key,
    )


def _another(principal: Principal) -> Principal:
    """The second of two persons: who engages the kill switch does not release it."""
    name = f"another than {principal.subject}"
    return msgspec.structs.replace(of_the_house(principal), subject=name, client_id=name)
