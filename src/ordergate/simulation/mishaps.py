"""What befalls gateways, their machines and their operators, and how it is set right again.

Whoever runs a gateway starts it again when it died. At the heal everything is made whole: one gateway
lives, the clock is right, the kill switch is released.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final, Protocol

import msgspec

from ordergate.core.access import Principal
from ordergate.core.accounts.breaks import Action, Nature
from ordergate.core.ids import AccountId, OrderId, cl_ord_id
from ordergate.core.orders.events import Resolution
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.engine.gate import Gate
from ordergate.engine.node import Node
from ordergate.ports.broker import DedupClass
from ordergate.simulation.audit import Known
from ordergate.simulation.brokerage import Brokerage
from ordergate.simulation.clients import Client, NoAnswer
from ordergate.simulation.database import Server
from ordergate.simulation.gateway import Gateway, WallClock
from ordergate.simulation.ground import Ground
from ordergate.simulation.plan import Strike
from ordergate.simulation.trader import Trader

_RESTART_S: Final = (0.1, 3.0)
_JUMPS_S: Final = (3600.0, -3600.0, -600.0, 1.0, -1.0, 0.25)
_OPERATOR_S: Final = 0.7
_WATCHFUL_S: Final = 6.0

Word = tuple[Resolution, str | None]


class Place(Protocol):
    """Where mishaps happen."""

    ground: Ground
    clock: WallClock
    server: Server
    gateways: list[Gateway]
    brokerages: list[Brokerage]
    traders: list[Trader]

    @property
    def serving(self) -> Gateway | None: ...

    def start_gateway(self) -> Gateway: ...

    def questions(self, account: AccountId) -> list[Known]: ...

    def breaks(self, account: AccountId) -> Mapping[str, str]: ...


class Mishaps:
    def __init__(self, town: Place) -> None:
        self._town = town
        self._ground = town.ground
        self._chance = town.ground.chance("mishaps")
        self._calls: list[asyncio.Task[None]] = []
        self._alarmed: list[Strike] = []
        self._watchful: list[Strike] = []
        weather = town.ground.weather
        weather.on("T1", self._jump, self._jump_back)
        weather.on("T2", self._stand_still, self._go_on)
        weather.on("S1", self._start_second)
        weather.on("S2", self._freeze)
        weather.on("N2", self._clog)
        weather.on("O1", self._operator)
        for fault in ("B16", "B19", "N4"):
            weather.on(fault, self._alarm)

    def died(self, gateway: Gateway) -> None:
        """Whoever runs it starts another, after a while."""
        wait = self._chance.uniform(*_RESTART_S)
        self._ground.later(wait, self._town.start_gateway)

    def mind_the_fenced(self) -> None:
        """Who runs a gateway that says it was fenced starts it anew (docs/operations.md)."""
        for gateway in self._town.gateways:
            if gateway.is_fenced:
                gateway.withdraw()
                if not any(one.alive for one in self._town.gateways):
                    self._ground.later(_RESTART_S[0], self._town.start_gateway)

    def heal(self) -> None:
        self._ground.weather.heal()
        self._town.clock.wrong_by = timedelta(0)
        self._ground.clogged_until.clear()
        for gateway in self._town.gateways:
            self._wake(gateway)
        for brokerage in self._town.brokerages:
            brokerage.reconnect()
        self._calls = [
            self._ground.loop.create_task(call, context=self._ground.world)
            for call in (
                self._release(),
                *(self._settle_breaks(one) for one in self._town.traders),
                *(self._settle_questions(one) for one in self._town.traders),
            )
        ]

    @property
    def is_over(self) -> bool:
        """The kill switch is released."""
        return bool(self._calls) and self._calls[0].done()

    # -- machines

    def _jump(self, strike: Strike) -> None:
        """T1: the wall clock is wrong for a while."""
        jump = _JUMPS_S[int(strike.dose * len(_JUMPS_S))]
        self._town.clock.wrong_by = timedelta(seconds=jump)
        self._ground.weather.seen("T1", f"{jump:+.2f} s")

    def _jump_back(self, strike: Strike) -> None:
        self._town.clock.wrong_by = timedelta(0)

    def be_wrong_for(self, seconds: float) -> None:
        """The wall clock of the healed house is an hour fast for a moment."""
        self._town.clock.wrong_by = timedelta(hours=1)
        self._ground.later(seconds, self._be_right)

    def _be_right(self) -> None:
        self._town.clock.wrong_by = timedelta(0)

    def _stand_still(self, strike: Strike) -> None:
        """T2: the process is stopped, and does not know."""
        gateway = self._town.serving
        if gateway is not None:
            gateway.freeze()
            self._ground.weather.seen("T2", f"{gateway.name} for {strike.lasts} s")

    def _go_on(self, strike: Strike) -> None:
        for gateway in self._town.gateways:
            gateway.thaw()

    def _start_second(self, strike: Strike) -> None:
        """S1: somebody starts a second gateway on the same database, and stops it soon."""
        if self._town.serving is None:
            return
        second = self._town.start_gateway()
        self._ground.later(4.0 + 10.0 * strike.dose, lambda: self._stop(second))

    def _freeze(self, strike: Strike) -> None:
        """S2: a gateway's machine stops for so long that its place is taken, and then goes on.

        Most stop at the worst moment, and for longer: an order is durable, and not sent yet.
        """
        gateway = self._town.serving
        if gateway is None:
            return
        if int(strike.dose * 100) % 4:
            stop = partial(self._stop_for_long, gateway, strike, 26.0 + 10.0 * strike.dose)
            self._town.server.at_the_door[gateway.name] = stop
        else:
            self._stop_for_long(gateway, strike, 16.0 + 20.0 * strike.dose)

    def _stop_for_long(self, gateway: Gateway, strike: Strike, seconds: float) -> None:
        if self._ground.weather.healed or not gateway.alive:
            return
        gateway.freeze()
        self._town.server.lost_process(gateway, host_gone=True)
        self._ground.trace.note("process", f"{gateway.name} is frozen")
        self._ground.later(2.0 + 6.0 * strike.dose, self._town.start_gateway)
        self._ground.later(seconds, lambda: self._wake(gateway))

    def _wake(self, gateway: Gateway) -> None:
        if not gateway.alive:
            return
        owners = self._town.server.owners.values()
        if gateway.name not in owners:
            self._ground.weather.seen("S2", gateway.name)
        self._ground.trace.note("process", f"{gateway.name} wakes")
        gateway.thaw()

    def _clog(self, strike: Strike) -> None:
        """N2: every line is clogged, one after the other, and freed in another order."""
        lines = ["broker 0", "broker 1", "database"]
        order = self._chance.sample(lines, len(lines))
        freed = self._chance.sample(lines, len(lines))
        begun = self._ground.loop.time()
        for number, line in enumerate(order):
            until = begun + 1.0 + 3.0 * strike.dose + 0.4 * freed.index(line)
            self._ground.later(0.2 * number, partial(self._clog_one, line, until))
        self._ground.later(0.5, self._clogged)

    def _clog_one(self, line: str, until: float) -> None:
        if not self._ground.weather.healed:
            self._ground.clogged_until[line] = until

    def _clogged(self) -> None:
        if all(self._ground.clog_s(line) > 0 for line in ("broker 0", "broker 1", "database")):
            self._ground.weather.seen("N2")

    def _stop(self, second: Gateway) -> None:
        """Of two only the one that has the fence stays, whichever it is."""
        living = [one for one in self._town.gateways if one.alive]
        if len(living) > 1:
            holder = self._town.server.holder
            for one in living:
                if holder is None or holder.process is not one:
                    one.withdraw()
            if holder is None:
                self._ground.later(_RESTART_S[1], self._town.start_gateway)

    # -- operators

    def _operator(self, strike: Strike) -> None:
        """O1: the kill switch is engaged and released, again and again, at one level or another.

        Others wait until a broker cannot be spoken to, or until an order is in question, and keep it
        engaged for longer.
        """
        waits = int(strike.dose * 100) % 4
        if waits:
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
        """Whoever watches stops all trading when nobody knows what became of an order."""
        if self._watchful and any(self._town.questions(one.account) for one in self._town.brokerages):
            strike = self._watchful.pop(0)
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
        return Grade.CANCEL_ALL if strike.number % 2 else Grade.BLOCK_NEW

    def stop_trading_for(self, seconds: float) -> None:
        """The operator of the healed house stops all trading for a while, and releases it again."""
        stopped = self._stopped_for(seconds)
        self._calls[0] = self._ground.loop.create_task(stopped, context=self._ground.world)

    def restart_stopped(self) -> None:
        """All trading is stopped, the gateway dies, and somebody tries to trade with the next one."""
        restarted = self._restarted(self._town.traders[0])
        self._calls[0] = self._ground.loop.create_task(restarted, context=self._ground.world)

    async def _restarted(self, trader: Trader) -> None:
        await self._engage()
        dying = self._town.serving
        if dying is not None:
            dying.die("the epilogue", "while trading was stopped")
        while True:
            await asyncio.sleep(_OPERATOR_S)
            serving = self._town.serving
            if serving is not None and not serving.recovering:
                break
        trader.place_one()
        await asyncio.sleep(2 * _OPERATOR_S)
        await self._release()

    async def _stopped_for(self, seconds: float) -> None:
        await self._engage()
        await asyncio.sleep(seconds)
        await self._release()

    async def _engage(self) -> None:
        with suppress(NoAnswer):
            await self._town.traders[0].client.engage(Level.GLOBAL, "", Grade.BLOCK_NEW)

    def _stopped(self, strike: Strike) -> tuple[Level, str]:
        """Everything half of the time; otherwise what one strike is about, the same at its release."""
        client = self._town.traders[strike.number % len(self._town.traders)].client
        others = (
            (Level.ACCOUNT, str(client.account)),
            (Level.USER, client.principal.subject),
            (Level.ENVIRONMENT, "paper"),
        )
        which = int(strike.dose * 600) % 6
        return others[which] if which < len(others) else (Level.GLOBAL, "")

    async def _release(self) -> None:
        """The operator of the healed house releases every stop, until that is so."""
        operator = self._town.traders[0].client

        async def ask(gate: Gate) -> bool:
            for stop in gate.kill_state().stops:
                await gate.release_kill(
                    _another(operator.principal),
                    reason="healed",
                    correlation="operator",
                    level=stop.level,
                    target=stop.target or "",
                )
            return not gate.kill_state().engaged

        while True:
            await asyncio.sleep(_OPERATOR_S)
            try:
                if await operator.once(ask):
                    return
            except NoAnswer:
                continue

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
    return msgspec.structs.replace(principal, subject=f"another than {principal.subject}")
