"""What a trading application does with orders that belong together: in a share of the worlds only.

It places brackets, pairs of which one fills, orders that follow others, and trailing stops; it cancels some
of them, or one of their orders by itself, and now and then everything it has is closed. What it does is
drawn from the seed alone; it knows what it was answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from ordergate.core.contingent.terms import GroupKind, GroupTerms, Leg, LegType, Role
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders.terms import Side, TimeInForce
from ordergate.engine.answering.answers import GroupAnswer
from ordergate.engine.node import Node
from ordergate.simulation.clients import Client
from ordergate.simulation.ground import Ground
from ordergate.simulation.market import Market

GROUPS: Final = 9
"""How many each application places in a run."""
_KINDS: Final = (
    GroupKind.BRACKET,
    GroupKind.BRACKET,
    GroupKind.BRACKET,
    GroupKind.OCO,
    GroupKind.OTO,
    GroupKind.TRAILING_STOP,
)
_GUARDS: Final = (LegType.STOP, LegType.STOP, LegType.STOP_LIMIT, LegType.TRAILING_STOP)
_PLACED: Final = 0.64
_CANCELED: Final = 0.78
_PICKED: Final = 0.94
_FAR: Final = 200  # ticks
_FLATTENED_OF_ALL: Final = 0.3

Ask = Coroutine[None, None, None]


class Grouping:
    def __init__(
        self,
        ground: Ground,
        client: Client,
        market: Market,
        instruments: Mapping[Symbol, Instrument],
        *,
        number: int,
    ) -> None:
        self._ground = ground
        self._client = client
        self._market = market
        self._instruments = instruments
        self._chance = ground.chance(f"groups {number}")
        self._groups: list[str] = []
        self._keys = 0

    @property
    def is_wanted(self) -> bool:
        return self._ground.plan.setting.grouped

    def pause_s(self) -> float:
        """Until the next thing to do."""
        pause = self._ground.plan.setting.trading_s * _PLACED / GROUPS
        return self._chance.expovariate(1 / pause)

    def next(self) -> Ask:
        """What to do now."""
        dice = self._chance.random()
        if dice < _PLACED or not self._groups:
            return self._place()
        if dice < _CANCELED:
            return self._cancel(self._chance.choice(self._groups[-4:]))
        if dice < _PICKED:
            return self._pick(self._chance.choice(self._groups[-4:]))
        return self._flatten()

    async def place_one(self) -> None:
        """A bracket that buys far below the market, and sells farther from it."""
        symbol, out = sorted(self._instruments)[0], Side.SELL
        low, lower, high = (self._limit(symbol, ticks) for ticks in (-_FAR, -2 * _FAR, 2 * _FAR))
        legs = (
            Leg(role=Role.ENTRY, side=Side.BUY, type=LegType.LIMIT, limit_price=low),
            Leg(role=Role.TAKE_PROFIT, side=out, type=LegType.LIMIT, limit_price=high),
            Leg(role=Role.STOP_LOSS, side=out, type=LegType.STOP, stop_price=lower),
        )
        await self._ask_to_place(
            GroupTerms(
                account=self._client.account,
                kind=GroupKind.BRACKET,
                symbol=symbol,
                quantity=Decimal(2),
                legs=legs,
            )
        )

    async def _place(self) -> None:
        await self._ask_to_place(self._terms())

    async def _ask_to_place(self, terms: GroupTerms) -> None:
        me, key = self._client.principal, self._key()

        async def ask(node: Node) -> Any:
            return await node.groups.place(me, terms, key=key, correlation=key)

        twice = self._chance.random() < 0.1
        asked = [self._client.command_of("group", key, ask) for _ in range(1 + twice)]
        for reply in await asyncio.gather(*asked):
            if isinstance(reply, GroupAnswer) and not reply.failed and reply.group_id not in self._groups:
                self._groups.append(reply.group_id)

    async def _cancel(self, group: str) -> None:
        me, key = self._client.principal, self._key()

        async def ask(node: Node) -> Any:
            return await node.groups.cancel(me, group, key=key, correlation=key)

        await self._client.command_of("cancel-group", key, ask, about=group)

    async def _flatten(self) -> None:
        me, key, account = self._client.principal, self._key(), self._client.account
        of_all = self._chance.random() < _FLATTENED_OF_ALL
        symbol = None if of_all else self._chance.choice(sorted(self._instruments))

        async def ask(node: Node) -> Any:
            return await node.groups.flatten(me, account, key=key, correlation=key, symbol=symbol)

        await self._client.command_of("flatten", key, ask)

    async def _pick(self, group: str) -> None:
        """One order of the group is canceled by itself, or made larger behind its back."""
        me, key, dice = self._client.principal, self._key(), self._chance.random()

        async def ask(node: Node) -> Any:
            return await node.groups.show(me, group)

        shown = await self._client.once_of(ask)
        orders = msgspec.json.decode(shown)["orders"] if isinstance(shown, bytes) else []
        if not orders:
            return
        picked = OrderId(orders[int(dice * 100) % len(orders)]["order_id"])
        if dice < 0.5:
            await self._client.command(
                "cancel", key, lambda gate: gate.cancel(me, picked, key=key, correlation=key), about=picked
            )
            return
        await self._client.command(
            "replace",
            key,
            lambda gate: gate.replace(
                me, picked, quantity=Decimal(5), limit_price=None, stop_price=None, key=key, correlation=key
            ),
            about=picked,
        )

    def _terms(self) -> GroupTerms:
        chance = self._chance
        kind, symbol = chance.choice(_KINDS), chance.choice(sorted(self._instruments))
        side = chance.choice((Side.BUY, Side.SELL))
        return GroupTerms(
            account=self._client.account,
            kind=kind,
            symbol=symbol,
            quantity=Decimal(chance.randint(1, 4)),
            legs=tuple(self._legs(kind, symbol, side)),
        )

    def _legs(self, kind: GroupKind, symbol: Symbol, side: Side) -> list[Leg]:
        """Exits lie on either side of the market, near enough that it reaches some of them."""
        out = Side.SELL if side is Side.BUY else Side.BUY
        profit = self._limit(symbol, side.sign * self._chance.randint(3, 40))
        entry = Leg(
            role=Role.ENTRY,
            side=side,
            type=LegType.LIMIT,
            limit_price=self._limit(symbol, -side.sign * self._chance.randint(-6, 8)),
            time_in_force=self._chance.choice((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.DAY)),
        )
        match kind:
            case GroupKind.BRACKET:
                takes = Leg(role=Role.TAKE_PROFIT, side=out, type=LegType.LIMIT, limit_price=profit)
                return [entry, takes, self._guard(Role.STOP_LOSS, symbol, out)]
            case GroupKind.OCO:
                first = Leg(role=Role.FIRST, side=out, type=LegType.LIMIT, limit_price=profit)
                return [first, self._guard(Role.SECOND, symbol, out)]
            case GroupKind.OTO if self._chance.random() < 0.5:
                return [entry, Leg(role=Role.THEN, side=out, type=LegType.LIMIT, limit_price=profit)]
            case GroupKind.OTO:
                return [entry, self._guard(Role.THEN, symbol, out)]
            case _:
                return [self._guard(Role.TRAIL, symbol, out, LegType.TRAILING_STOP)]

    def _guard(self, role: Role, symbol: Symbol, side: Side, type_: LegType | None = None) -> Leg:
        """What acts when the market moves against what is held: down where it sells."""
        kind = self._chance.choice(_GUARDS) if type_ is None else type_
        away = self._chance.randint(3, 40)
        if kind is LegType.TRAILING_STOP:
            return Leg(role=role, side=side, type=kind, trail_amount=away * self._instruments[symbol].tick)
        stop = self._limit(symbol, side.sign * away)
        worse = None if kind is LegType.STOP else self._limit(symbol, side.sign * (away + 5))
        return Leg(role=role, side=side, type=kind, stop_price=stop, limit_price=worse)

    def _limit(self, symbol: Symbol, ticks: int) -> Decimal:
        """So many ticks from the market."""
        tick = self._instruments[symbol].tick
        price = self._market.prices[symbol] + ticks * tick
        return price - price % tick

    def _key(self) -> str:
        self._keys += 1
        return f"drill-group-{self._keys:08}"
