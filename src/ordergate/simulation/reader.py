"""What an application reads: one order by its id or by its own name for it, or all that are open.

It reads for as long as a world lasts, at moments of its own and soon after answers, from whichever gateway
serves, through the query that REST asks. It judges nothing: what it was shown is noted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Final

import msgspec

from ordergate.core.ids import AccountId, OrderId
from ordergate.ports.views import OrderQuery, Views
from ordergate.simulation.clients import Client, NoAnswer
from ordergate.simulation.ground import Ground
from ordergate.simulation.witness import Answered, Read

BY_ID: Final = "id"
BY_LABEL: Final = "label"
OPEN: Final = "open"

Question = Callable[[Views], Coroutine[None, None, Sequence[bytes]]]

_PAUSE_S: Final = 1.2
_AFTER_AN_ANSWER: Final = 0.3
"""How often an answered command is looked up at once."""
_AT_ONCE_S: Final = 0.05
_RECENT_MAX: Final = 30
_PAGE_MAX: Final = 500


class _Shown(msgspec.Struct):
    """As much of an order as its application looks at."""

    id: OrderId
    client_order_id: str | None = None


_decode: Final = msgspec.json.Decoder(_Shown).decode


class Reader:
    """Reads for one client. `others` are orders of somebody else, which must not be shown to it."""

    def __init__(
        self, ground: Ground, client: Client, *, number: int, others: Callable[[], OrderId | None]
    ) -> None:
        self._ground = ground
        self._client = client
        self._others = others
        self._chance = ground.chance(f"reader {number}")
        self._known: list[_Shown] = []
        self._reading: set[asyncio.Task[None]] = set()
        client.on_answer = self._answered

    def begin(self) -> None:
        self._do(self._read_on())

    def _answered(self, answered: Answered) -> None:
        """What was answered a moment ago is what an application looks up, and finds."""
        if not answered.order:
            return
        order = _decode(answered.body)
        if answered.verb == "place":
            self._known.append(order)
        if self._chance.random() < _AFTER_AN_ANSWER:
            self._do(self._look_soon(order))

    async def _look_soon(self, order: _Shown) -> None:
        await asyncio.sleep(self._chance.uniform(0.0, _AT_ONCE_S))
        await self._look(order)

    async def _read_on(self) -> None:
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / _PAUSE_S))
            dice = self._chance.random()
            if dice < 0.4 or not self._known:
                await self._list()
            elif dice < 0.95:
                await self._look(self._chance.choice(self._known[-_RECENT_MAX:]))
            elif (strange := self._others()) is not None:
                await self._look(_Shown(id=strange))

    async def _look(self, order: _Shown) -> None:
        label = order.client_order_id
        if label is not None and self._chance.random() < 0.5:
            await self._ask(BY_LABEL, order.id, partial(_labelled, self._client.account, label))
        else:
            await self._ask(BY_ID, order.id, partial(_one, order.id, (self._client.account,)))

    async def _list(self) -> None:
        await self._ask(OPEN, "", partial(_open, self._client.account))

    async def _ask(self, by: str, order: str, ask: Question) -> None:
        asked_s = self._ground.loop.time()
        try:
            found = await self._client.look(ask)
        except NoAnswer:
            return
        self._ground.witness.read(
            Read(
                account=self._client.account,
                client=self._client.name,
                by=by,
                order=order,
                found={_decode(body).id: body for body in found},
                asked_s=asked_s,
            )
        )

    def _do(self, what: Coroutine[None, None, None]) -> None:
        task = self._ground.loop.create_task(what, context=self._ground.world)
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)


# What `GET /v1/orders/{order_id}` and `GET /v1/orders` ask of the read tables.


async def _one(order: OrderId, accounts: Sequence[AccountId], views: Views) -> Sequence[bytes]:
    body = await views.order(order, accounts)
    return () if body is None else (body,)


async def _labelled(account: AccountId, label: str, views: Views) -> Sequence[bytes]:
    query = OrderQuery(accounts=(account,), limit=_PAGE_MAX, client_order_id=label)
    return (await views.orders(query)).bodies


async def _open(account: AccountId, views: Views) -> Sequence[bytes]:
    return (await views.orders(OrderQuery(accounts=(account,), limit=_PAGE_MAX, open=True))).bodies
