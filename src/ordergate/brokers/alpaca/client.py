"""One Alpaca account as a Broker: orders, queries and news.

Dedup class A: Alpaca refuses a client order id that the account has used before, so "must be
unique" means that the order is there, and it is looked up and acknowledged. Nothing is ever
retried here. A yes counts only when it names our order; anything else is unknown.

After a StreamUp the engine fetches what the stream may have missed: `executions(after=cursor)`,
`open_orders()`, and `find()` for every order that is open or unknown in its books.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final, Generic

import aiohttp
import msgspec

from ordergate.brokers._shared.documents import UNREADABLE
from ordergate.brokers._shared.http import Answer, HttpClient
from ordergate.brokers._shared.lines import HttpLimits
from ordergate.brokers._shared.rate import RESERVE_MIN, Allowance, Need
from ordergate.brokers._shared.socket import Down, Patience, Renewal, Up, lifeline, stream_session
from ordergate.brokers.alpaca import wire
from ordergate.brokers.alpaca.access import Access, Credentials
from ordergate.brokers.alpaca.queries import Queries, order_path
from ordergate.brokers.alpaca.stream import TradeUpdates
from ordergate.brokers.alpaca.translate import orders, requests
from ordergate.core.ids import AccountId, ClOrdId, E, Symbol
from ordergate.core.money import ZERO
from ordergate.core.orders.order import Replacement
from ordergate.core.orders.reports import OrderSnapshot
from ordergate.core.orders.terms import OrderType, Terms, TimeInForce
from ordergate.ports.broker import (
    Acknowledged,
    BrokerAccount,
    BrokerExecution,
    BrokerNews,
    BrokerUnavailable,
    Capabilities,
    DedupClass,
    Holding,
    NotFound,
    OpenOrders,
    Outcome,
    Rejected,
    StreamDown,
    StreamUp,
    Unknown,
    Unsent,
    Veto,
    no_veto,
)
from ordergate.ports.clock import Chance, Clock

_USED: Final = "client_order_id must be unique"


_NOT_LEASED: Final = "the broker's credentials could not be unsealed for too long"


class Lease(msgspec.Struct, frozen=True):
    """Monotonic seconds: until when orders may be placed and changed, and until when anything is asked."""

    opens_until: float = float("inf")
    ends: float = float("inf")


class AlpacaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What may be tuned. The two claims stay False until proven against the real host.

    `resend_is_safe`: that a reused client order id is always refused. `replace_keeps_fills`: that
    replacing a partly filled order counts what was filled; until then such a replace is refused,
    because a broker that starts counting anew would buy the filled part again.
    """

    resend_is_safe: bool = False
    replace_keeps_fills: bool = False
    visibility_lag_s: float = 2.0
    requests_per_minute: int = 200
    cancel_reserve: float = RESERVE_MIN
    query_wait_s_max: float = 5.0
    http: HttpLimits = HttpLimits()
    patience: Patience = Patience()


class AlpacaBroker(Generic[E]):
    """The Broker port over Alpaca's Trading API."""

    def __init__(
        self,
        access: Access[E],
        account: AccountId,
        *,
        clock: Clock,
        chance: Chance,
        settings: AlpacaSettings | None = None,
    ) -> None:
        settings = settings or AlpacaSettings()
        self.env: E = access.env
        self.capabilities = Capabilities(
            name="alpaca",
            dedup=DedupClass.A,
            resend_is_safe=settings.resend_is_safe,
            visibility_lag_s=settings.visibility_lag_s,
            order_types=frozenset(OrderType),
            times_in_force=frozenset(TimeInForce),
            replaces=True,
            cancels_all=True,
        )
        allowance = Allowance(
            per_minute=settings.requests_per_minute, clock=clock, reserve=settings.cancel_reserve
        )
        self._http = HttpClient(
            access.trading,
            headers=_headers(access),
            allowance=allowance,
            limits=settings.http,
            closed=self._ended,
            tls=access.tls,
        )
        self._queries = Queries(
            self._http, self.env, account, clock=clock, wait_s_max=settings.query_wait_s_max
        )
        self._conversation: TradeUpdates[E] = TradeUpdates(access, account)
        self._renewal = Renewal(two_at_once=True)
        self._access: Access[E] = access
        self._lease = Lease()
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._streams: aiohttp.ClientSession | None = None

    # -- credentials

    def use(self, credentials: Credentials[E]) -> None:
        """From the next request on, and on a fresh stream that listens before the old one ends."""
        if credentials == self._access.credentials:
            return
        self._access = msgspec.structs.replace(self._access, credentials=credentials)
        self._http.use(_headers(self._access))
        self._conversation.use(self._access)
        self._renewal.ask()

    def lease(self, lease: Lease) -> None:
        """Until when the credentials may be used. Without one they may be for ever."""
        self._lease = lease

    @property
    def earlier_in_use(self) -> bool:
        """Whether a request is under way, or a stream open, with credentials from before the last change."""
        return self._http.earlier_under_way > 0 or self._renewal.pending

    def _ended(self) -> str | None:
        return _NOT_LEASED if self._clock.monotonic() >= self._lease.ends else None

    # -- commands

    async def place(self, cl_ord_id: ClOrdId, terms: Terms, veto: Veto) -> Outcome:
        if terms.venue is not None:
            return Rejected(f"{terms.venue} is not offered: Alpaca chooses the venue")
        body = wire.ENCODER.encode(requests.place_body(cl_ord_id, terms))
        reply = await self._http.ask("POST", "/v2/orders", body=body, veto=partial(self._vetoed, veto))
        if not isinstance(reply, Answer):
            return reply
        return await self._placed(reply, cl_ord_id)

    async def cancel(self, cl_ord_id: ClOrdId, broker_order_id: str | None, veto: Veto = no_veto) -> Outcome:
        if broker_order_id is None:
            try:
                found = await self._queries.order_by_client_id(cl_ord_id, need=Need.CANCEL)
            except BrokerUnavailable as fault:
                return Unsent(f"the order to cancel could not be looked up: {fault}")
            if found is None:
                return Rejected("the broker knows no such order")
            broker_order_id = found.id
        reply = await self._http.ask("DELETE", order_path(broker_order_id), need=Need.CANCEL, veto=veto)
        if not isinstance(reply, Answer):
            return reply
        if reply.status < 300:
            return Acknowledged(broker_order_id)
        return _refused(reply)

    async def cancel_all(self, veto: Veto = no_veto) -> Outcome:
        """207 with a row for each; what each row says, the stream and questions say more surely."""
        reply = await self._http.ask("DELETE", "/v2/orders", need=Need.CANCEL, veto=veto)
        if not isinstance(reply, Answer):
            return reply
        return Acknowledged("") if reply.status < 300 else _refused(reply)

    async def dead_man(self, timeout_s: float) -> Outcome:
        return Rejected("Alpaca has no dead man's switch")

    async def replace(
        self, broker_order_id: str, new_cl_ord_id: ClOrdId, terms: Terms, asked: Replacement, veto: Veto
    ) -> Outcome:
        """A yes says that the replacement was taken; the stream's `replaced` proves that it won."""
        if (why := self._vetoed(no_veto)) is not None:
            return Unsent(why)
        held_qty = terms.quantity
        if asked.quantity != terms.quantity or not self._settings.replace_keeps_fills:
            held = await self._held(broker_order_id)
            if not isinstance(held, Decimal):
                return held
            held_qty = held
        body = wire.ENCODER.encode(requests.replace_body(new_cl_ord_id, terms, asked, held_qty))
        veto = partial(self._vetoed, veto)
        reply = await self._http.ask("PATCH", order_path(broker_order_id), body=body, veto=veto)
        if not isinstance(reply, Answer):
            return reply
        return await self._placed(reply, new_cl_ord_id)

    def _vetoed(self, veto: Veto) -> str | None:
        return _NOT_LEASED if self._clock.monotonic() >= self._lease.opens_until else veto()

    async def _placed(self, answer: Answer, cl_ord_id: ClOrdId) -> Outcome:
        """What the answer to a new order, or to a replacement, proves."""
        if answer.status >= 400:
            refusal = _refused(answer)
            if isinstance(refusal, Rejected) and _USED in refusal.reason.lower():
                return await self._adopted(cl_ord_id)
            return refusal
        try:
            order = wire.ORDER.decode(answer.body)
        except UNREADABLE as fault:
            return Unknown(f"a yes that cannot be read: {fault}")
        if order.client_order_id != cl_ord_id:
            return Unknown("a yes that names another order")
        if strange := orders.strange_words(order):
            return Unknown(f"a yes that cannot be read: an order {', '.join(strange)}")
        self._queries.remember(order)
        return _standing(order)

    async def _adopted(self, cl_ord_id: ClOrdId) -> Outcome:
        """Our id is used already, so the order is there: take what is found for the answer."""
        try:
            order = await self._queries.order_by_client_id(cl_ord_id, need=Need.ORDER)
        except BrokerUnavailable as fault:
            return Unknown(f"placed before, and not to be looked up: {fault}")
        if order is None:
            return Unknown("placed before, and not visible yet")
        return _standing(order)

    async def _held(self, broker_order_id: str) -> Decimal | Outcome:
        """The quantity of the broker's order, if it may be replaced."""
        try:
            order = await self._queries.order(broker_order_id, need=Need.ORDER)
        except BrokerUnavailable as fault:
            return Unsent(f"the order to replace could not be looked up: {fault}")
        if order is None or order.qty is None:
            return Rejected("the broker knows no such order")
        if Decimal(order.filled_qty) != ZERO and not self._settings.replace_keeps_fills:
            return Rejected("the order is partly filled, and such a replace is not proven safe here")
        return Decimal(order.qty)

    # -- queries

    async def find(self, cl_ord_id: ClOrdId) -> OrderSnapshot | NotFound:
        return await self._queries.find(cl_ord_id)

    async def open_orders(self) -> OpenOrders:
        return await self._queries.open_orders()

    async def recent_orders(self, since: datetime) -> list[OrderSnapshot]:
        return await self._queries.recent_orders(since)

    def executions(self, *, after: str | None) -> AsyncIterator[BrokerExecution]:
        return self._queries.executions(after=after)

    async def positions(self) -> Mapping[Symbol, Holding]:
        return await self._queries.positions()

    async def account(self) -> BrokerAccount:
        return await self._queries.account()

    # -- news

    async def news(self) -> AsyncIterator[BrokerNews]:
        if self._streams is None:
            self._streams = stream_session(self._access.tls)
        line = lifeline(
            self._streams,
            self._conversation,
            patience=self._settings.patience,
            clock=self._clock,
            chance=self._chance,
            renewal=self._renewal,
        )
        async with self._renewal, aclosing(line):
            async for item in line:
                match item:
                    case Up():
                        yield StreamUp()
                    case Down(why):
                        yield StreamDown(why)
                    case _:
                        yield item

    async def close(self) -> None:
        await self._http.close()
        if self._streams is not None:
            await self._streams.close()
            self._streams = None


def _headers(access: Access[E]) -> dict[str, str]:
    return {
        **access.headers(),
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "ordergate",
    }


def _standing(order: wire.Order) -> Outcome:
    """An order that was refused at once is no order, though it has an id."""
    if order.status == "rejected":
        return Rejected(orders.REJECTED)
    return Acknowledged(order.id, order.updated_at)


def _refused(answer: Answer) -> Outcome:
    """A definite no, in the broker's words; a no without the broker's words is not one."""
    try:
        error = wire.ERROR.decode(answer.body)
    except UNREADABLE:
        return Unknown(f"status {answer.status} without the broker's own words")
    return Rejected(f"{answer.status} {error.message}"[:500])
