"""A small in-memory gate with its read tables: the twin that the API is tested against.

It keeps the gate's promises as far as a client can see them: scopes, accounts, idempotency, denial by
risk, cancels, fills on request, and an audience that is told every event after it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from functools import partial

from ordergate.core.access import Principal, Scope
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId, OrderId, Symbol
from ordergate.core.orders import events as e
from ordergate.core.orders.commands import CancelOrder, ReplaceOrder, ResolveOrder
from ordergate.core.orders.decide import decide_cancel, decide_replace
from ordergate.core.orders.order import Order
from ordergate.core.orders.resolving import decide_resolve
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import (
    Answer,
    CancelAllAnswer,
    CancelResult,
    ControlResult,
    KillView,
    Preview,
)
from tests.api.ledger import INSTRUMENTS, QUANTITY_MAX, Ledger, encode


class Books(Ledger):
    """Gate and views of a few accounts, in memory."""

    decides_at_once = False
    decided_at_once = 0
    next_commit_fails = False
    kept: asyncio.Queue[Callable[[], None]] | None = None

    # The gate

    async def place(
        self,
        principal: Principal,
        terms: Terms,
        *,
        key: str,
        correlation: str,
        wait_s: float = 0,
        deadline_s: float = 5,
    ) -> Answer | Refusal:
        if self.breaks_down:
            raise RuntimeError("a defect with a secret inside")
        if self.database_is_down:
            raise JournalUnavailable("the journal cannot be read")
        no = self._no_entry(principal, terms.account)
        if no is not None:
            return no
        mark = encode(terms)
        used = self._used(principal, "place", key, mark)
        if used is not None:
            return used
        if terms.symbol not in INSTRUMENTS:
            return Refusal(Code.UNKNOWN_INSTRUMENT, "there is no such instrument")
        if self.placing_waits_for is not None:
            await self.placing_waits_for.wait()
        order = self.new_order_id()
        self.receipts[principal.client_id, "place", key] = (mark, order)
        failed = self._risk(terms)
        if failed:
            event: e.AnyOrderEvent = e.OrderDenied(
                order_id=order, at=self.now(), terms=terms, actor="a", config_hash="c", failed=failed
            )
        else:
            event = e.OrderAccepted(order_id=order, at=self.now(), terms=terms, actor="a", config_hash="c")
        self.happen(event)
        return Answer(order_id=order, body=self.bodies[order], failed=failed)

    async def cancel(
        self,
        principal: Principal,
        order_id: OrderId,
        *,
        key: str,
        correlation: str,
        wait_s: float = 0,
        if_revision: int | None = None,
    ) -> Answer | Refusal:
        order = self._visible(principal, order_id)
        if isinstance(order, Refusal):
            return order
        used = self._used(principal, "cancel", key, order_id.encode())
        if used is not None:
            return used
        command = CancelOrder(order_id=order_id, actor="a", asked_at=self.now(), if_revision=if_revision)
        event = decide_cancel(order, command)
        if isinstance(event, Refusal):
            return event
        self.receipts[principal.client_id, "cancel", key] = (order_id.encode(), order_id)
        self.happen(event)
        if wait_s:
            self.happen(e.OrderCanceled(order_id=order_id, at=self.now(), evidence="twin"))
        return Answer(order_id=order_id, body=self.bodies[order_id])

    def place_now(
        self,
        principal: Principal,
        terms: Terms,
        *,
        key: str,
        correlation: str,
        tell: Callable[[Answer | Refusal | None], None],
    ) -> bool:
        """Off unless a test says so; `kept` keeps the answers back until the test gives them out."""
        if not self.decides_at_once or (principal.client_id, "place", key) in self.receipts:
            return False
        self.decided_at_once += 1
        if self.next_commit_fails:
            self.next_commit_fails = False
            tell(None)
            return True
        placing = self.place(principal, terms, key=key, correlation=correlation)
        try:
            placing.send(None)
        except StopIteration as decided:
            if self.kept is None:
                tell(decided.value)
            else:
                self.kept.put_nowait(partial(tell, decided.value))
        return True

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
        if_revision: int | None = None,
    ) -> Answer | Refusal:
        order = self._visible(principal, order_id)
        if isinstance(order, Refusal):
            return order
        mark = encode([order_id, quantity, limit_price, stop_price])
        used = self._used(principal, "replace", key, mark)
        if used is not None:
            return used
        asked = decide_replace(
            order,
            ReplaceOrder(
                order_id=order_id,
                quantity=quantity,
                limit_price=limit_price,
                stop_price=stop_price,
                actor="a",
                asked_at=self.now(),
                if_revision=if_revision,
            ),
        )
        if isinstance(asked, Refusal):
            return asked
        self.receipts[principal.client_id, "replace", key] = (mark, order_id)
        self.happen(
            e.ReplaceRequested(
                order_id=order_id,
                at=self.now(),
                version=asked.version,
                quantity=asked.quantity,
                limit_price=asked.limit_price,
                stop_price=asked.stop_price,
                actor="a",
                config_hash="c",
            )
        )
        return Answer(order_id=order_id, body=self.bodies[order_id])

    async def resolve(
        self,
        principal: Principal,
        order_id: OrderId,
        *,
        resolution: e.Resolution,
        reason: str,
        broker_order_id: str | None,
        cum_qty: Decimal | None,
        avg_px: Decimal | None,
        key: str,
        correlation: str,
    ) -> Answer | Refusal:
        order = self._visible(principal, order_id)
        if isinstance(order, Refusal):
            return order
        mark = encode([order_id, resolution, reason, broker_order_id, cum_qty, avg_px])
        used = self._used(principal, "resolve", key, mark)
        if used is not None:
            return used
        command = ResolveOrder(
            order_id=order_id,
            resolution=resolution,
            reason=reason,
            broker_order_id=broker_order_id,
            cum_qty=cum_qty,
            avg_px=avg_px,
            actor="a",
            asked_at=self.now(),
        )
        events = decide_resolve(order, command)
        if isinstance(events, Refusal):
            return events
        self.receipts[principal.client_id, "resolve", key] = (mark, order_id)
        for event in events:
            self.happen(event)
        return Answer(order_id=order_id, body=self.bodies[order_id])

    async def cancel_all(
        self,
        principal: Principal,
        account: AccountId,
        *,
        key: str,
        correlation: str,
        symbol: Symbol | None = None,
    ) -> CancelAllAnswer | Refusal:
        no = self._no_entry(principal, account)
        if no is not None:
            return no
        results = []
        for order in list(self.orders_by_id.values()):
            if order.terms.account != account or order.is_final or symbol not in (None, order.terms.symbol):
                continue
            asked_at = self.now()
            event = decide_cancel(order, CancelOrder(order_id=order.id, actor="a", asked_at=asked_at))
            if isinstance(event, Refusal):
                results.append(CancelResult(order_id=order.id, code=event.code))
            else:
                self.happen(event)
                results.append(CancelResult(order_id=order.id, code="cancel-requested"))
        return CancelAllAnswer(results=tuple(results))

    async def preview(self, principal: Principal, terms: Terms) -> Preview | Refusal:
        no = self._no_entry(principal, terms.account)
        if no is not None:
            return no
        failed = self._risk(terms)
        result = ControlResult(control="R05", passed=not failed, limit=str(QUANTITY_MAX))
        return Preview(would_be_accepted=not failed, controls=(result,))

    async def engage_kill(
        self, principal: Principal, *, grade: str, reason: str, correlation: str, level: str, target: str
    ) -> KillView | Refusal:
        self.kill = KillView(
            engaged=True,
            level=level,
            target=target or None,
            grade=grade,
            reason=reason,
            actor="a",
            since="2024-03-01T14:30:00Z",
        )
        return self.kill

    async def flatten_kill(
        self, principal: Principal, *, reason: str, correlation: str, level: str, target: str
    ) -> KillView | Refusal:
        if not self.kill.engaged:
            return Refusal(Code.ACTION_NOT_ALLOWED, "nothing is engaged")
        return self.kill

    async def release_kill(
        self, principal: Principal, *, reason: str, correlation: str, level: str, target: str
    ) -> KillView | Refusal:
        self.kill = KillView(engaged=False, level="global")
        return self.kill

    def kill_state_for(self, principal: Principal) -> KillView:
        return self.kill

    def readiness(self) -> dict[str, str]:
        return self.reasons

    def limits_of(self, account: AccountId) -> bytes | None:
        if account not in self.accounts_by_id:
            return None
        return encode({"account_id": account, "max_order_quantity": str(QUANTITY_MAX)})

    # Inside

    def _no_entry(self, principal: Principal, account: AccountId) -> Refusal | None:
        if not principal.may(Scope.ORDERS_WRITE):
            return Refusal(Code.FORBIDDEN, "the token lacks the scope orders:write")
        if account not in principal.accounts or account not in self.accounts_by_id:
            return Refusal(Code.NOT_FOUND, "there is no such account")
        return None

    def _visible(self, principal: Principal, order: OrderId) -> Order | Refusal:
        found = self.orders_by_id.get(order)
        if found is None or found.terms.account not in principal.accounts:
            return Refusal(Code.NOT_FOUND, "there is no such order")
        return found

    def _used(self, principal: Principal, route: str, key: str, mark: bytes) -> Answer | Refusal | None:
        used = self.receipts.get((principal.client_id, route, key))
        if used is None:
            return None
        if used[0] != mark or used[1] is None:
            return Refusal(Code.IDEMPOTENCY_KEY_REUSED, "this key was used for another request")
        order = self.orders_by_id[used[1]]
        return Answer(order_id=order.id, body=self.bodies[order.id], replayed=True, failed=order.failed)

    def _risk(self, terms: Terms) -> tuple[e.FailedControl, ...]:
        if self.kill.engaged:
            return (e.FailedControl(control="R01", reason="kill-switch", detail="it is engaged"),)
        if terms.quantity <= QUANTITY_MAX:
            return ()
        return (
            e.FailedControl(
                control="R05",
                reason="order-too-large",
                detail="the quantity is over the limit",
                limit=str(QUANTITY_MAX),
                value=str(terms.quantity),
            ),
        )
