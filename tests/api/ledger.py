"""An account's events, orders and books in memory, and the read tables over them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Self

import msgspec

from ordergate.core.accounts import account as books
from ordergate.core.accounts import events as a
from ordergate.core.accounts.views import balance_views, execution_view, order_view, position_view
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId, Env, OrderId, Symbol, order_id
from ordergate.core.instruments import AssetClass, Instrument
from ordergate.core.orders import events as e
from ordergate.core.orders.order import Order, evolve, first
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.engine.answering.answers import KillView
from ordergate.ports.audience import Audience
from ordergate.ports.views import BreakQuery, EventRow, OrderQuery, Page, Snapshot

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
encode = msgspec.json.Encoder().encode


class Silence:
    """An audience of nobody."""

    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None: ...

    def tell_price(self, price: object) -> None: ...


class Ledger:
    """What happened, and how it is shown."""

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
        self.database_is_down = False
        self._count = 0
        for account in accounts:
            self._open(account)

    # What happens

    def seen_by(self, tenant: str, accounts: Collection[AccountId]) -> Self:
        """There is one fence here: the service's own."""
        return self

    def happen(self, event: e.AnyOrderEvent) -> int:
        """An order event: folded, stored, shown, told. Returns its sequence number."""
        before = self.orders_by_id.get(event.order_id)
        order = first(event) if before is None else evolve(before, event)
        self.orders_by_id[order.id] = order
        self.bodies[order.id] = encode(order_view(order))
        account = order.terms.account
        parts = {"order": msgspec.Raw(self.bodies[order.id])}
        exec_id = getattr(event, "exec_id", None)
        if exec_id is not None and before is not None:
            instrument = INSTRUMENTS[order.terms.symbol]
            after = books.book(self.accounts_by_id[account], instrument, before, event)
            self.accounts_by_id[account] = after
            execution = encode(execution_view(order, exec_id, event))
            self.executions_by_account[account].append(execution)
            position = after.position(instrument.symbol)
            parts["execution"] = msgspec.Raw(execution)
            parts["position"] = msgspec.Raw(encode(position_view(after, position, instrument)))
            parts["balance"] = msgspec.Raw(encode(balance_views(after)[0]))
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
                at=self.now(),
                exec_id=f"x{self.count()}",
                quantity=Decimal(quantity),
                price=Decimal(price),
            )
        )

    def accept_an_order(self) -> OrderId:
        """An order of this account is accepted."""
        order = self.new_order_id()
        terms = Terms(
            account=ACCOUNT,
            symbol=ES.symbol,
            side=Side.BUY,
            type=OrderType.MARKET,
            quantity=ES.lot,
            time_in_force=TimeInForce.DAY,
        )
        at = self.now()
        self.happen(e.OrderAccepted(order_id=order, at=at, terms=terms, actor="a", config_hash="c"))
        return order

    def new_order_id(self) -> OrderId:
        return OrderId(order_id(Env.PAPER, at_ms=self.count(), entropy=self._count))

    def account_event(self, event: a.AnyAccountEvent) -> int:
        account = event.account
        if not isinstance(event, a.AccountOpened):
            self.accounts_by_id[account] = books.evolve(self.accounts_by_id[account], event)
        kind = str(event.__struct_config__.tag)
        parts = {"detail": msgspec.Raw(encode(event))}
        if isinstance(event, a.PositionAdjusted):
            found = self.accounts_by_id[account]
            position = found.position(event.symbol)
            parts["position"] = msgspec.Raw(encode(position_view(found, position, INSTRUMENTS[event.symbol])))
        self._tell(account, kind, event.at, parts)
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
        frame = encode(
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

    async def shows(self, account: AccountId) -> bool:
        return account in self.accounts_by_id

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
        every = self.executions_by_account.get(account, [])[::-1]
        end = start + limit
        return Page(tuple(every[start:end]), str(end) if len(every) > end else None)

    async def positions(self, account: AccountId) -> list[bytes]:
        found = self.accounts_by_id[account]
        return [
            encode(position_view(found, position, INSTRUMENTS[symbol]))
            for symbol, position in found.positions.items()
        ]

    async def balances(self, account: AccountId) -> list[bytes]:
        if self.database_is_down:
            raise JournalUnavailable("PostgreSQL cannot be reached at 10.0.0.1")
        if self.breaks_down:
            raise RuntimeError("a defect with a secret inside")
        found = self.accounts_by_id.get(account)
        return [] if found is None else [encode(one) for one in balance_views(found)]

    async def breaks(self, query: BreakQuery) -> Page:
        return Page((), None)

    async def one_break(self, break_id: str, accounts: Sequence[AccountId]) -> bytes | None:
        return None

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

    def count(self) -> int:
        self._count += 1
        return self._count

    def now(self) -> datetime:
        return _START + timedelta(milliseconds=self.count())
