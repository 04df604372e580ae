"""Questions to Alpaca that change nothing: orders, fills, positions, the account.

A question that gets no definite, readable answer raises BrokerUnavailable, and nothing follows
from it. Questions wait for the rate limit up to a bound, behind orders and cancels; the history of
fills names orders by Alpaca's id only, so the client order ids seen on the way are remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from ordergate.brokers._shared.documents import UNREADABLE
from ordergate.brokers._shared.http import Answer, HttpClient
from ordergate.brokers._shared.rate import Need
from ordergate.brokers.alpaca import wire
from ordergate.brokers.alpaca.translate import Contradiction, Inexpressible, holdings, news, orders
from ordergate.core.ids import AccountId, ClOrdId, Env, Symbol
from ordergate.core.money import ZERO
from ordergate.core.orders.reports import OrderSnapshot
from ordergate.ports.broker import (
    BrokerAccount,
    BrokerExecution,
    BrokerUnavailable,
    Holding,
    NotFound,
    OpenOrders,
    OrderUnreadable,
    Unknown,
    Unsent,
)
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

T = TypeVar("T")

log = logger("brokers.alpaca")

_ORDERS_A_PAGE: Final = 500
_FILLS_A_PAGE: Final = 100
_PAGES_MAX: Final = 10_000
_KEPT_MAX: Final = 20_000
_REPLACED_ASKED_MAX: Final = 3
_NAMES_ASKED_MAX: Final = 3
_NAME_PAGES_MAX: Final = 4
_OK: Final = 200
_ABSENT: Final = 404
_NOT_LET_IN: Final = (401, 403)


class Queries:
    """The asking half of an Alpaca account."""

    def __init__(
        self, http: HttpClient, env: Env, account: AccountId, *, clock: Clock, wait_s_max: float
    ) -> None:
        self._http = http
        self._env = env
        self._account = account
        self._clock = clock
        self._wait_s_max = wait_s_max
        self._names: OrderedDict[str, str] = OrderedDict()
        self._legged: OrderedDict[str, wire.Order] = OrderedDict()
        self._replaced: OrderedDict[str, wire.Order] = OrderedDict()
        self._before: OrderedDict[str, Decimal] = OrderedDict()

    def remember(self, order: wire.Order) -> None:
        """Keep which client order id belongs to Alpaca's id, up to a bound."""
        _keep(self._names, order.id, order.client_order_id)
        if not orders.has_place(order):
            _keep(self._legged, order.id, order)

    # -- orders

    async def find(self, cl_ord_id: ClOrdId) -> OrderSnapshot | NotFound:
        order = await self.order_by_client_id(cl_ord_id, need=Need.QUESTION)
        return NotFound() if order is None else await self._snapshot(order)

    async def order_by_client_id(self, cl_ord_id: str, *, need: Need) -> wire.Order | None:
        name = quote(cl_ord_id, safe="")
        order = await self._order(f"/v2/orders:by_client_order_id?client_order_id={name}", need)
        if order is not None and order.client_order_id != cl_ord_id:
            raise BrokerUnavailable("asked about one order, answered about another")
        return order

    async def order(self, broker_order_id: str, *, need: Need = Need.QUESTION) -> wire.Order | None:
        order = await self._order(order_path(broker_order_id), need)
        if order is not None and order.id != broker_order_id:
            raise BrokerUnavailable("asked about one order, answered about another")
        return order

    async def open_orders(self) -> OpenOrders:
        """Of an order that is left out the log says why, and so does `find`."""
        seen = OpenOrders()
        async for order in self._listed("open", ""):
            try:
                seen.append(await self._snapshot(order))
            except OrderUnreadable as fault:
                seen.is_whole = False
                log.error("broker.order_unreadable", order=order.id, why=str(fault))
        return seen

    async def recent_orders(self, since: datetime) -> list[OrderSnapshot]:
        return [
            await self._snapshot(order) async for order in self._listed("all", f"&after={_instant(since)}")
        ]

    async def _listed(self, status: str, first: str) -> AsyncIterator[wire.Order]:
        """Oldest first, page by page, each order once; `first` is where the first page begins."""
        told: set[str] = set()
        path = f"/v2/orders?status={status}&limit={_ORDERS_A_PAGE}&direction=asc"
        page = await self._read(path + first, wire.ORDERS)
        for _ in range(_PAGES_MAX):
            for order in page:
                self.remember(order)
                self._keep_replaced(order)
                if order.id not in told:
                    told.add(order.id)
                    yield order
            if len(page) < _ORDERS_A_PAGE:
                return
            page = await self._read(f"{path}&after_order_id={quote(page[-1].id, safe='')}", wire.ORDERS)
        raise BrokerUnavailable("the list of orders does not end")

    async def _snapshot(self, order: wire.Order) -> OrderSnapshot:
        """An order that was placed here can never be beyond our terms, and one from elsewhere always may."""
        before = await self._filled_before(order)
        try:
            return orders.snapshot(order, env=self._env, account=self._account, filled_before=before)
        except Inexpressible as fault:
            raise OrderUnreadable(str(fault)) from fault

    async def _filled_before(self, order: wire.Order) -> Decimal:
        """What the orders that this one replaced had filled; what is replaced fills no more.

        So the sum is kept, and a new version costs one question. What was learned before a question
        failed is kept as well: the next try goes on from there. An order from elsewhere is one of its
        own here, whatever it replaced.
        """
        met, steps = {order.id}, []
        asked, in_list = 0, True
        while order.replaces is not None and order.id not in self._before:
            if orders.version(self._env, order.client_order_id) == 0:
                break
            replaced = self._replaced.get(order.replaces)
            if replaced is None and asked >= _REPLACED_ASKED_MAX and in_list:
                replaced = await self._listed_before(order)
                in_list = replaced is not None
            if replaced is None:
                replaced, asked = await self.order(order.replaces), asked + 1
            if replaced is None:
                raise OrderUnreadable("the broker does not know the order that another replaces")
            if replaced.id in met:
                raise OrderUnreadable("a chain of replacements goes in circles")
            met.add(replaced.id)
            self._keep_replaced(replaced)
            steps.append((order.id, replaced))
            order = replaced
        total, is_final = self._before.get(order.id, ZERO), True
        for order_id, replaced in reversed(steps):
            total += Decimal(replaced.filled_qty)
            is_final = is_final and replaced.status == "replaced"
            if is_final:
                _keep(self._before, order_id, total)
        return total

    async def _listed_before(self, order: wire.Order) -> wire.Order | None:
        """The order that it replaced, out of a list; those that went before are there as well."""
        if order.created_at is None or order.replaces is None:
            return None
        until = _instant(order.created_at + timedelta(seconds=1))
        path = f"/v2/orders?status=all&limit={_ORDERS_A_PAGE}&direction=desc&until={until}"
        for listed in await self._read(path, wire.ORDERS):
            self.remember(listed)
            self._keep_replaced(listed)
        return self._replaced.get(order.replaces)

    def _keep_replaced(self, order: wire.Order) -> None:
        if order.status == "replaced":
            _keep(self._replaced, order.id, order)

    # -- executions

    async def executions(self, *, after: str | None) -> AsyncIterator[BrokerExecution]:
        """Every fill after the cursor, oldest first; the cursor is the activity's id."""
        path = f"/v2/account/activities/FILL?direction=asc&page_size={_FILLS_A_PAGE}"
        cursor = after
        for _ in range(_PAGES_MAX):
            token = "" if cursor is None else f"&page_token={quote(cursor, safe='')}"
            page = await self._read(path + token, wire.FILLS)
            await self._learn_names(page)
            for fill in page:
                if fill.id == cursor:
                    raise BrokerUnavailable("the history of fills goes in circles")
                yield await self._execution(fill)
            if len(page) < _FILLS_A_PAGE:
                return
            cursor = page[-1].id
        raise BrokerUnavailable("the history of fills does not end")

    async def _learn_names(self, page: Sequence[wire.FillActivity]) -> None:
        """Many orders whose client ids are not known are looked up in lists, not one by one."""
        for _ in range(_NAME_PAGES_MAX):
            unknown = [fill for fill in page if fill.order_id not in self._names]
            if len({fill.order_id for fill in unknown}) <= _NAMES_ASKED_MAX:
                return
            latest = max(fill.transaction_time for fill in unknown) + timedelta(seconds=1)
            path = f"/v2/orders?status=all&limit={_ORDERS_A_PAGE}&direction=desc&until={_instant(latest)}"
            for order in await self._read(path, wire.ORDERS):
                self.remember(order)
            if all(fill.order_id not in self._names for fill in unknown):
                return

    async def _execution(self, fill: wire.FillActivity) -> BrokerExecution:
        """A fill of an order that is not shown has Alpaca's id of it for a name: it is told all the same."""
        name = self._names.get(fill.order_id)
        if name is None:
            order = await self.order(fill.order_id)
            name = fill.order_id if order is None else order.client_order_id
        try:
            report, leg = news.executed(fill, name, self._env), None
            if (parent := self._legged.get(fill.order_id)) is not None:
                leg = orders.leg(fill, parent, self._account)
                report = news.of_leg(report, leg)
        except Contradiction as fault:
            raise BrokerUnavailable(str(fault)) from fault
        return BrokerExecution(cursor=fill.id, report=report, symbol=Symbol(fill.symbol), snapshot=leg)

    # -- the account

    async def positions(self) -> Mapping[Symbol, Holding]:
        page = await self._read("/v2/positions", wire.POSITIONS)
        try:
            held = [holdings.holding(position) for position in page]
            return {symbol: Holding(quantity, price) for symbol, quantity, price in held}
        except Contradiction as fault:
            raise BrokerUnavailable(str(fault)) from fault

    async def account(self) -> BrokerAccount:
        account = await self._read("/v2/account", wire.ACCOUNT)
        power = account.buying_power
        return BrokerAccount(
            fingerprint=holdings.fingerprint(account),
            currency=account.currency,
            cash=Decimal(account.cash),
            foreign_cash=None,  # there is one figure, in the account's currency
            buying_power=None if power is None else Decimal(power),
            blocked=holdings.blocked(account),
        )

    # -- asking

    async def _order(self, path: str, need: Need) -> wire.Order | None:
        answer = await self._answer(path, need)
        if answer.status == _ABSENT and _says_no_such_order(answer):
            return None
        order = _decoded(answer, wire.ORDER)
        self.remember(order)
        return order

    async def _read(self, path: str, decoder: msgspec.json.Decoder[T]) -> T:
        return _decoded(await self._answer(path, Need.QUESTION), decoder)

    async def _answer(self, path: str, need: Need) -> Answer:
        """The definite answer, waiting for the rate limit as long as it may."""
        until = self._clock.monotonic() + self._wait_s_max
        while True:
            reply = await self._http.ask("GET", path, need=need)
            match reply:
                case Answer():
                    return reply
                case Unknown(why):
                    raise BrokerUnavailable(why)
                case Unsent(why, retry_after_s):
                    if retry_after_s <= 0 or self._clock.monotonic() + retry_after_s > until:
                        raise BrokerUnavailable(why)
                    await self._clock.sleep(retry_after_s)


def order_path(broker_order_id: str) -> str:
    """An id from outside cannot become another path."""
    return f"/v2/orders/{quote(broker_order_id, safe='')}"


def _instant(at: datetime) -> str:
    """As a query has it: a plus sign would be a blank there."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _keep(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    if len(kept) > _KEPT_MAX:
        kept.popitem(last=False)


def _decoded(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T:
    if answer.status in _NOT_LET_IN:
        raise BrokerUnavailable(
            f"status {answer.status}: the broker does not let this login in; look at its credentials"
        )
    if answer.status != _OK:
        raise BrokerUnavailable(f"status {answer.status}")
    try:
        return decoder.decode(answer.body)
    except UNREADABLE as fault:
        raise BrokerUnavailable(f"an answer that cannot be read: {fault}") from fault


def _says_no_such_order(answer: Answer) -> bool:
    """A 404 of a proxy on the way, or for the route, says nothing about the order."""
    try:
        error = wire.ERROR.decode(answer.body)
    except UNREADABLE:
        return False
    return "order not found" in error.message.lower()
