"""Where commands come in: permission first, then idempotency, risk, one commit, an answer.

REST and the stream call the same methods, so the same key on both is the same request. What
is not visible to the client does not exist for it: another's account or order is not found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId, Env, OrderId, Symbol, is_order_id
from ordergate.core.instruments import Instrument
from ordergate.core.key_bounds import refuse_scope
from ordergate.core.orders.commands import CancelOrder, ReplaceOrder, ResolveOrder
from ordergate.core.orders.events import Resolution
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.limits import config_hash, mapping_of
from ordergate.engine.accounts.durable import Durable
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.accounts.shares import TOO_MUCH_WAITS
from ordergate.engine.answering import cancels, envelopes
from ordergate.engine.answering.answers import (
    Answer,
    CancelAllAnswer,
    CancelResult,
    Preview,
)
from ordergate.engine.answering.envelopes import Asker, Request, Route, fields_of, written
from ordergate.engine.answering.once import NOT_KNOWN, Decided, Once, until_ready
from ordergate.engine.commands.judging import Judging, unroutable
from ordergate.engine.commands.key_guard import Asked, KeyGuard
from ordergate.engine.commands.kill_gate import KillGate
from ordergate.engine.commands.questions import preview_of, reasons_not_ready
from ordergate.engine.commands.resolving import Resolving
from ordergate.engine.limits.desk import LimitsDesk
from ordergate.engine.stopping.kill_desk import KillDesk
from ordergate.engine.stopping.kill_switch import KillSwitch
from ordergate.engine.wire.dispatcher import Dispatcher
from ordergate.ports.clock import Clock

DEADLINE_S: Final = 5.0


class Gate(KillGate):
    def __init__(
        self,
        env: Env,
        *,
        lanes: Lanes,
        judging: Judging,
        once: Once,
        kill_switch: KillSwitch,
        limits: LimitsDesk,
        dispatcher: Dispatcher,
        resolving: Resolving,
        instruments: Mapping[Symbol, Instrument],
        keys: KeyGuard,
        clock: Clock,
        kill_desk: KillDesk,
        down: Mapping[str, str],
        nodes_differ: Callable[[], str | None] = lambda: None,
        audit: Callable[[], str | None] = lambda: None,
    ) -> None:
        super().__init__(kill_desk)
        self._env = env
        self._lanes = lanes
        self._judging = judging
        self._once = once
        self._kill_switch = kill_switch
        self._limits = limits
        self._dispatcher = dispatcher
        self._resolving = resolving
        self._instruments = instruments
        self._clock = clock
        self._down = down
        self._nodes_differ = nodes_differ
        self._audit = audit
        self._durable = Durable()
        self._keys = keys

    async def place(
        self,
        principal: Principal,
        terms: Terms,
        *,
        key: str,
        correlation: str,
        wait_s: float = 0,
        deadline_s: float = DEADLINE_S,
    ) -> Answer | Refusal:
        """Accept a new order, or say why not. A denial by risk is an Answer with `failed`."""
        received = self._clock.now()
        if not wait_s and deadline_s == DEADLINE_S:
            soon: asyncio.Future[Answer | Refusal | None] = asyncio.get_running_loop().create_future()
            tell = partial(_tell_once, soon)
            if self.place_now(principal, terms, key=key, correlation=correlation, tell=tell):
                answer = await soon
                if answer is not None:
                    return answer
        seat = self._seat_for(principal, terms)
        if isinstance(seat, Refusal):
            return seat
        asker = Asker(principal, key, correlation)
        request = self._request(asker, envelopes.PLACE, seat, fields_of(terms), received)
        used_before = await self._once.has_client_order_id(seat, terms)

        def decide() -> Decided | Refusal:
            label = terms.client_order_id
            if used_before or (label and seat.lane.books.has_client_order_id(label)):
                return _duplicate(terms)
            return self._place(seat, terms, request, principal)

        return await self._decided(seat, request, decide, wait_s, deadline_s)

    def place_now(
        self,
        principal: Principal,
        terms: Terms,
        *,
        key: str,
        correlation: str,
        tell: Callable[[Answer | Refusal | None], None],
    ) -> bool:
        """As `place`, for an order about which nothing has to be looked up: as nearly all are.

        False: something has, and nothing was done; ask `place`. True: `tell` is called once, with the
        answer, or with None when the commit failed: then the key must be asked for again, by `place`.
        """
        seat = self._seat_for(principal, terms)
        if isinstance(seat, Refusal):
            tell(seat)
            return True
        label = terms.client_order_id
        if label is not None and seat.lane.books.may_have_client_order_id(label):
            return False
        asker = Asker(principal, key, correlation)
        request = self._request(asker, envelopes.PLACE, seat, fields_of(terms))
        begun = self._once.begin(seat, request, lambda: self._place(seat, terms, request, principal))
        if begun is None:
            return False
        if isinstance(begun, Refusal):
            tell(begun)
            return True
        self._durable.when(begun.committed, lambda ended: tell(self._once.end(begun) if ended else NOT_KNOWN))
        return True

    async def cancel(
        self,
        principal: Principal,
        order_id: OrderId,
        *,
        key: str,
        correlation: str,
        wait_s: float = 0,
        deadline_s: float = DEADLINE_S,
        if_revision: int | None = None,
    ) -> Answer | Refusal:
        """Ask the broker to cancel. Never refused by risk or the kill switch.

        With `if_revision` only what the asker saw. It is a condition and no part of the request: a key that
        was used names what it bought, whatever has become of that.
        """
        seat = await self._seat_of(principal, order_id)
        if isinstance(seat, Refusal):
            return seat
        request = self._request(Asker(principal, key, correlation), envelopes.CANCEL, seat, {"id": order_id})

        def decide() -> Decided | Refusal:
            command = CancelOrder(
                order_id=order_id,
                actor=principal.subject,
                asked_at=self._clock.now(),
                if_revision=if_revision,
            )
            return self._judging.cancel(seat, command, request)

        return await self._decided(seat, request, decide, wait_s, deadline_s)

    async def replace(
        self,
        principal: Principal,
        order_id: OrderId,
        *,
        quantity: Decimal | None,
        limit_price: Decimal | None,
        stop_price: Decimal | None,
        key: str,
        correlation: str,
        wait_s: float = 0,
        deadline_s: float = DEADLINE_S,
        if_revision: int | None = None,
    ) -> Answer | Refusal:
        """Change a working order; risk judges the worst case of old and new. `if_revision` as in `cancel`."""
        received = self._clock.now()
        seat = await self._seat_of(principal, order_id)
        if isinstance(seat, Refusal):
            return seat
        if (unproved := self._audit()) is not None:
            return Refusal(Code.AUDIT_UNAVAILABLE, unproved)
        if seat.lane.is_crowded:
            return TOO_MUCH_WAITS
        fields = {
            "id": str(order_id),
            "quantity": written(quantity),
            "limit_price": written(limit_price),
            "stop_price": written(stop_price),
        }
        request = self._request(Asker(principal, key, correlation), envelopes.REPLACE, seat, fields)

        def decide() -> Decided | Refusal:
            command = ReplaceOrder(
                order_id=order_id,
                quantity=quantity,
                limit_price=limit_price,
                stop_price=stop_price,
                actor=principal.subject,
                asked_at=received,
                if_revision=if_revision,
            )
            order = seat.lane.books.order(order_id)
            asked = Asked(seat.lane, principal, correlation)
            no = self._keys.refuse_replacement(asked, order, command)
            return self._judging.replace(seat, command, request) if no is None else no

        return await self._decided(seat, request, decide, wait_s, deadline_s)

    async def resolve(
        self,
        principal: Principal,
        order_id: OrderId,
        *,
        resolution: Resolution,
        reason: str,
        broker_order_id: str | None,
        cum_qty: Decimal | None,
        avg_px: Decimal | None,
        key: str,
        correlation: str,
        deadline_s: float = DEADLINE_S,
    ) -> Answer | Refusal:
        """Take a person's word on an order in question, unless the broker has a better one."""
        seat = await self._seat_of(principal, order_id, Scope.OPERATIONS_WRITE)
        if isinstance(seat, Refusal):
            return seat
        fields = {
            "id": str(order_id),
            "resolution": resolution.value,
            "reason": reason,
            "broker_order_id": broker_order_id,
            "cum_qty": written(cum_qty),
            "avg_px": written(avg_px),
        }
        request = self._request(Asker(principal, key, correlation), envelopes.RESOLVE, seat, fields)
        command = ResolveOrder(
            order_id=order_id,
            resolution=resolution,
            reason=reason,
            broker_order_id=broker_order_id,
            cum_qty=cum_qty,
            avg_px=avg_px,
            actor=principal.subject,
            asked_at=self._clock.now(),
        )
        return await self._resolving.resolve(seat, command, request, deadline_s=deadline_s)

    async def cancel_all(
        self,
        principal: Principal,
        account: AccountId,
        *,
        key: str,
        correlation: str,
        symbol: Symbol | None = None,
    ) -> CancelAllAnswer | Refusal:
        """Ask for the cancel of every open order of the account, with a result for each."""
        seat = self._seat(principal, Scope.ORDERS_WRITE, account)
        if isinstance(seat, Refusal):
            return seat
        request = self._request(
            Asker(principal, key, correlation), envelopes.CANCEL_ALL, seat, {"symbol": symbol}
        )
        if (refusal := await until_ready(seat)) is not None:
            return refusal
        known = await self._once.recall(seat, request)
        if isinstance(known, Refusal):
            return known
        if known is not None:
            results = msgspec.json.decode(known.body or "[]", type=tuple[CancelResult, ...])
            return CancelAllAnswer(results=results, replayed=True)
        if (no := cancels.refuse_nothing(seat, symbol, self._instruments)) is not None:
            return no
        return await cancels.ask_all(seat, request, at=self._clock.now(), symbol=symbol, within_s=DEADLINE_S)

    async def preview(self, principal: Principal, terms: Terms) -> Preview | Refusal:
        """What every control would say now, and who else would say no. Changes and counts nothing."""
        seat = self._seat(principal, Scope.ORDERS_READ, terms.account)
        if isinstance(seat, Refusal):
            return seat
        if terms.symbol not in self._instruments:
            return _unlisted(terms)
        used_before = await self._once.has_client_order_id(seat, terms)
        if (trouble := seat.trouble) is not None:
            return Refusal(Code.NOT_READY, trouble)
        if (no := unroutable(seat, terms)) is not None:
            return no
        # A client that has to sign is asked about the order alone: it need not sign what places nothing.
        taken = self._seat_for(msgspec.structs.replace(principal, signed=True), terms)
        found = [taken] if isinstance(taken, Refusal) else []
        found += [_duplicate(terms)] if used_before else []
        found += self._keys.every_no(principal, terms)
        limits = self._limits.uses(terms, principal.subject)
        return preview_of(self._judging.preview(seat, terms, user=principal.subject), limits, found)

    def limits_of(self, account: AccountId) -> bytes | None:
        """The account's limits as JSON; None where it has none."""
        seat = self._lanes.get(account)
        if seat is None or seat.limits is None:
            return None
        told = {"account_id": account, "config_hash": config_hash(seat.limits), **mapping_of(seat.limits)}
        return msgspec.json.encode(told)

    def readiness(self) -> dict[str, str]:
        """What keeps this node from serving, by part. Empty when it is ready."""
        reasons = reasons_not_ready(self._lanes, self._kill_switch, self._limits, self._down)
        if (unproved := self._audit()) is not None:
            reasons["audit"] = unproved
        if (differ := self._nodes_differ()) is not None:
            reasons["nodes"] = differ
        return reasons

    def _place(self, seat: Seat, terms: Terms, request: Request, principal: Principal) -> Decided | Refusal:
        """A key tells what it bought before any of this is asked, also of what is listed no more."""
        if terms.symbol not in self._instruments:
            return _unlisted(terms)
        no = self._keys.refuse_order(Asked(seat.lane, principal, request.correlation), terms)
        return self._judging.place(seat, terms, request) if no is None else no

    async def _decided(
        self,
        seat: Seat,
        request: Request,
        decide: Callable[[], Decided | Refusal],
        wait_s: float,
        deadline_s: float,
    ) -> Answer | Refusal:
        answer = await self._once.decide(seat, request, decide, deadline_s=deadline_s)
        if isinstance(answer, Refusal) or wait_s <= 0 or answer.failed:
            return answer
        return await self._once.after_broker(seat, answer, wait_s)

    def _seat_for(self, principal: Principal, terms: Terms) -> Seat | Refusal:
        """Where a new order belongs, if it can be taken at all."""
        seat = self._seat(principal, Scope.ORDERS_WRITE, terms.account)
        if isinstance(seat, Refusal):
            return seat
        if (unproved := self._audit()) is not None:
            return Refusal(Code.AUDIT_UNAVAILABLE, unproved)
        if seat.lane.is_crowded or self._dispatcher.is_full_for(terms.account):
            return TOO_MUCH_WAITS
        return seat

    def _seat(self, principal: Principal, scope: Scope, account: AccountId) -> Seat | Refusal:
        if (no := refuse_scope(principal, scope)) is not None:
            return no
        seat = self._lanes.get(account)
        if seat is None or not principal.may_on(scope, account):
            return Refusal(Code.NOT_FOUND, f"there is no account {account}")
        return seat

    async def _seat_of(
        self, principal: Principal, order_id: OrderId, scope: Scope = Scope.ORDERS_WRITE
    ) -> Seat | Refusal:
        """The account of an order that the principal may change."""
        if (no := refuse_scope(principal, scope)) is not None:
            return no
        if is_order_id(self._env, order_id):
            for seat in self._lanes.ready_first(principal.accounts_for(scope)):
                if (refusal := await until_ready(seat)) is not None:
                    return refusal
                if await seat.lane.order(order_id) is not None:
                    return seat
        return Refusal(Code.NOT_FOUND, f"there is no order {order_id}")

    def _request(
        self,
        asker: Asker,
        route: Route,
        seat: Seat,
        fields: Mapping[str, str | None],
        received_at: datetime | None = None,
    ) -> Request:
        return envelopes.request(self._env, asker, route, seat.lane.account, fields, received_at=received_at)


def _unlisted(terms: Terms) -> Refusal:
    return Refusal(Code.UNKNOWN_INSTRUMENT, f"{terms.symbol} is not listed here")


def _duplicate(terms: Terms) -> Refusal:
    return Refusal(Code.DUPLICATE_CLIENT_ORDER_ID, f"{terms.client_order_id} was used before")


def _tell_once(soon: asyncio.Future[Answer | Refusal | None], answer: Answer | Refusal | None) -> None:
    """Nobody waits any more where the future is done: its request was cancelled."""
    if not soon.done():
        soon.set_result(answer)
