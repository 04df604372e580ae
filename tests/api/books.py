"""A small in-memory gate with its read tables: the twin that the API is tested against.

It keeps the gate's promises as far as a client can see them: scopes, accounts, idempotency, denial by
risk, cancels, fills on request, and an audience that is told every event after it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from ordergate.core.access import Principal, Scope
from ordergate.core.accounts import account as books
from ordergate.core.accounts import events as a
from ordergate.core.accounts.views import balance_view, execution_view, order_view, position_view
from ordergate.core.ids import AccountId, Env, OrderId, Symbol, order_id
from ordergate.core.instruments import AssetClass, Instrument
from ordergate.core.orders import events as e
from ordergate.core.orders.commands import CancelOrder, ReplaceOrder
from ordergate.core.orders.decide import decide_cancel, decide_replace
from ordergate.core.orders.order import Order, evolve, first
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answers import (
    Answer,
    CancelAllAnswer,
    CancelResult,
    ControlResult,
    KillView,
    Preview,
)
from ordergate.ports.audience import Audience
from ordergate.ports.views import EventRow, OrderQuery, Page, Snapshot

ACCOUNT = AccountId("P-DEMO")
OTHER_ACCOUNT = AccountId("P-OTHER")
STREAM_ID = "stream-1"
QUANTITY_MAX = Decimal(1_000)
ES = Instrument(
    symbol=Symbol("ESM4"),
    name="E-mini S&P 500 June 2024",
    asset_class=AssetClass.FUTURE,
    currency="USD",
    tick=Decimal("0.25"),
    lot=Decimal(1),
    multiplier=Decimal(50),
    calendar="24/7",
)
BTC = Instrument(
    symbol=Symbol("BTC/USD"),
    name="Bitcoin",
    asset_class=AssetClass.CRYPTO,
    currency="USD",
    tick=Decimal("0.01"),
    lot=Decimal("0.0001"),
    multiplier=Decimal(1),
    calendar="24/7",
)
INSTRUMENTS = {ES.symbol: ES, BTC.symbol: BTC}
_START = datetime(2024, 3, 1, 14, 30, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class Silence:
    """An audience of nobody."""

    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None: ...

    def tell_price(self, price: object) -> None: ...


class Books:
    """Gate and views of one account each, in memory."""

    def __init__(self, accounts: Sequence[AccountId] = (ACCOUNT, OTHER_ACCOUNT)) -> None:
        self.audience: Audience = Silence()
        self.orders_by_id: dict[OrderId, Order] = {}
        self.bodies: dict[OrderId, bytes] = {}
        self.rows: dict[AccountId, list[EventRow]] = {}
        self.order_frames: dict[OrderId, list[bytes]] = {}
        self.accounts_by_id: dict[AccountId, books.Account] = {}
        self.executions_by_account: dict[AccountId, list[bytes]] = {}
        self.receipts: dict[tuple[str, str, str], tuple[bytes, OrderId | None]] = {}
        self.kill = KillView(engaged=False, level="global")
        self.reasons: dict[str, str] = {}
        self.stream_id = STREAM_ID
        self.placing_waits_for: asyncio.Event | None = None
        self.breaks_down = False
        self._count = 0
        for account in accounts:
            self._open(account)

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
        no = self._no_entry(principal, terms.account)
        if no is not None:
            return no
        mark = _encode(terms)
        used = self._used(principal, "place", key, mark)
        if used is not None:
            return used
        if terms.symbol not in INSTRUMENTS:
            return Refusal(Code.UNKNOWN_INSTRUMENT, "there is no such instrument")
        if self.kill.engaged:
            return Refusal(Code.KILL_SWITCH, "the kill switch is engaged")
        if self.placing_waits_for is not None:
            await self.placing_waits_for.wait()
        order = OrderId(order_id(Env.PAPER, at_ms=self._next(), entropy=self._count))
        self.receipts[principal.client_id, "place", key] = (mark, order)
        failed = self._risk(terms)
        if failed:
            event: e.AnyOrderEvent = e.OrderDenied(
                order_id=order, at=self._now(), terms=terms, actor="a", config_hash="c", failed=failed
            )
        else:
            event = e.OrderAccepted(
                order_id=order, at=self._now(), terms=terms, actor="a", config_hash="c"
            )
        self.happen(event)
        return Answer(order_id=order, body=self.bodies[order], failed=failed)

    async def cancel(
        self, principal: Principal, order_id: OrderId, *, key: str, correlation: str, wait_s: float = 0
    ) -> Answer | Refusal:
        order = self._visible(principal, order_id)
        if isinstance(order, Refusal):
            return order
        used = self._used(principal, "cancel", key, order_id.encode())
        if used is not None:
            return used
        command = CancelOrder(order_id=order_id, actor="a", asked_at=self._now())
        event = decide_cancel(order, command)
        if isinstance(event, Refusal):
            return event
        self.receipts[principal.client_id, "cancel", key] = (order_id.encode(), order_id)
        self.happen(event)
        if wait_s:
            self.happen(e.OrderCanceled(order_id=order_id, at=self._now(), evidence="twin"))
        return Answer(order_id=order_id, body=self.bodies[order_id])

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
    ) -> Answer | Refusal:
        order = self._visible(principal, order_id)
        if isinstance(order, Refusal):
            return order
        mark = _encode([order_id, quantity, limit_price, stop_price])
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
                asked_at=self._now(),
            ),
        )
        if isinstance(asked, Refusal):
            return asked
        self.receipts[principal.client_id, "replace", key] = (mark, order_id)
        self.happen(
            e.ReplaceRequested(
                order_id=order_id,
                at=self._now(),
                version=asked.version,
                quantity=asked.quantity,
                limit_price=asked.limit_price,
                stop_price=asked.stop_price,
                actor="a",
                config_hash="c",
            )
        )
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
            asked_at = self._now()
            event = decide_cancel(order, CancelOrder(order_id=order.id, actor="a", asked_at=asked_at))
            if isinstance(event, Refusal):
                results.append(CancelResult(order_id=order.id, code=event.code))
            else:
                self.happen(event)
                results.append(CancelResult(order_id=order.id, code="cancel-requested"))
        return CancelAllAnswer(results=tuple(results))

    def preview(self, principal: Principal, terms: Terms) -> Preview | Refusal:
        no = self._no_entry(principal, terms.account)
        if no is not None:
            return no
        failed = self._risk(terms)
        result = ControlResult(control="R05", passed=not failed, limit=str(QUANTITY_MAX))
        return Preview(would_be_accepted=not failed, controls=(result,))

    async def engage_kill(
        self, principal: Principal, *, grade: str, reason: str, correlation: str
    ) -> KillView | Refusal:
        self.kill = KillView(
            engaged=True, level="global", grade=grade, reason=reason, actor="a", since="2024-03-01T14:30:00Z"
        )
        return self.kill

    async def release_kill(
        self, principal: Principal, *, reason: str, correlation: str
    ) -> KillView | Refusal:
        self.kill = KillView(engaged=False, level="global")
        return self.kill

    def kill_state(self) -> KillView:
        return self.kill

    def readiness(self) -> dict[str, str]:
        return self.reasons

    def limits_of(self, account: AccountId) -> bytes | None:
        if account not in self.accounts_by_id:
            return None
        return _encode({"account_id": account, "max_order_quantity": str(QUANTITY_MAX)})

    # What happens

    def happen(self, event: e.AnyOrderEvent) -> int:
        """An order event: folded, stored, shown, told. Returns its sequence number."""
        before = self.orders_by_id.get(event.order_id)
        order = first(event) if before is None else evolve(before, event)
        self.orders_by_id[order.id] = order
        self.bodies[order.id] = _encode(order_view(order))
        account = order.terms.account
        parts = {"order": msgspec.Raw(self.bodies[order.id])}
        exec_id = getattr(event, "exec_id", None)
        if exec_id is not None and before is not None:
            instrument = INSTRUMENTS[order.terms.symbol]
            after = books.book(self.accounts_by_id[account], instrument, before, event)
            self.accounts_by_id[account] = after
            execution = _encode(execution_view(order, exec_id, event))
            self.executions_by_account[account].append(execution)
            position = after.position(instrument.symbol)
            parts["execution"] = msgspec.Raw(execution)
            parts["position"] = msgspec.Raw(_encode(position_view(after, position, instrument)))
            parts["balance"] = msgspec.Raw(_encode(balance_view(after)))
        kind = str(event.__struct_config__.tag)
        frame = self._tell(account, kind, event.at, parts)
        self.order_frames.setdefault(order.id, []).append(frame)
        return len(self.rows[account])

    def fill(self, order: OrderId, quantity: str, price: str) -> int:
        asked = self.orders_by_id[order]
        completes = asked.cum_qty + Decimal(quantity) >= asked.terms.quantity
        kind = e.OrderFilled if completes else e.OrderPartiallyFilled
        return self.happen(
            kind(
                order_id=order,
                at=self._now(),
                exec_id=f"x{self._next()}",
                quantity=Decimal(quantity),
                price=Decimal(price),
            )
        )

    def account_event(self, event: a.AnyAccountEvent) -> int:
        account = event.account
        if not isinstance(event, a.AccountOpened):
            self.accounts_by_id[account] = books.evolve(self.accounts_by_id[account], event)
        kind = str(event.__struct_config__.tag)
        self._tell(account, kind, event.at, {"detail": msgspec.Raw(_encode(event))})
        return len(self.rows[account])

    def _open(self, account: AccountId) -> None:
        event = a.AccountOpened(
            account=account,
            at=_START,
            broker="paper",
            broker_account="twin",
            currency="USD",
            cash=Decimal(100_000),
        )
        self.accounts_by_id[account] = books.opened(event)
        self.rows[account] = []
        self.executions_by_account[account] = []
        self.account_event(event)

    def _tell(self, account: AccountId, kind: str, at: datetime, parts: dict[str, msgspec.Raw]) -> bytes:
        seq = len(self.rows[account]) + 1
        frame = _encode(
            {
                "type": "event",
                "account_id": account,
                "seq": seq,
                "kind": kind,
                "at": at,
                "correlation_id": "c",
                **parts,
            }
        )
        self.rows[account].append(EventRow(seq=seq, kind=kind, frame=frame))
        self.audience.tell(account, seq, kind, frame)
        return frame

    # The views

    async def order(self, order: OrderId, accounts: Sequence[AccountId]) -> bytes | None:
        found = self.orders_by_id.get(order)
        if found is None or found.terms.account not in accounts:
            return None
        return self.bodies[order]

    async def order_by_client_id(self, account: AccountId, client_order_id: str) -> bytes | None:
        for order in self.orders_by_id.values():
            if (order.terms.account, order.terms.client_order_id) == (account, client_order_id):
                return self.bodies[order.id]
        return None

    async def orders(self, query: OrderQuery) -> Page:
        found = [
            order
            for order in sorted(self.orders_by_id.values(), key=lambda order: order.id, reverse=True)
            if order.terms.account in query.accounts
            and (query.before is None or order.id < query.before)
            and query.status in (None, order.status)
            and query.open in (None, not order.is_final)
            and query.symbol in (None, order.terms.symbol)
            and query.client_order_id in (None, order.terms.client_order_id)
        ]
        shown = found[: query.limit]
        goes_on = shown[-1].id if len(found) > query.limit else None
        return Page(tuple(self.bodies[order.id] for order in shown), goes_on)

    async def order_events(self, order: OrderId, accounts: Sequence[AccountId]) -> list[bytes]:
        if await self.order(order, accounts) is None:
            return []
        return self.order_frames[order]

    async def executions(self, account: AccountId, *, limit: int, after: str | None) -> Page:
        start = 0 if after is None else int(after)
        every = self.executions_by_account.get(account, [])
        end = start + limit
        return Page(tuple(every[start:end]), str(end) if len(every) > end else None)

    async def positions(self, account: AccountId) -> list[bytes]:
        found = self.accounts_by_id[account]
        return [
            _encode(position_view(found, position, INSTRUMENTS[symbol]))
            for symbol, position in found.positions.items()
        ]

    async def balances(self, account: AccountId) -> list[bytes]:
        found = self.accounts_by_id.get(account)
        return [] if found is None else [_encode(balance_view(found))]

    async def breaks(self, account: AccountId) -> list[bytes]:
        return []

    async def snapshot(self, account: AccountId) -> Snapshot | None:
        if account not in self.accounts_by_id:
            return None
        return Snapshot(
            stream_id=self.stream_id,
            seq=len(self.rows[account]),
            orders=tuple(
                self.bodies[order.id]
                for order in self.orders_by_id.values()
                if order.terms.account == account and not order.is_final
            ),
            positions=tuple(await self.positions(account)),
            balances=tuple(await self.balances(account)),
        )

    async def frames(self, account: AccountId, *, after: int, upto: int, limit: int) -> list[EventRow]:
        return self.rows[account][after : min(upto, after + limit)]

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

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _now(self) -> datetime:
        return _START + timedelta(milliseconds=self._next())
