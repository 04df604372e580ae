"""An auditor's own books: what the journal says, folded by other rules than the engine's.

Small on purpose. It knows orders and groups of them, executions, positions, limits and what is stopped,
from committed events alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from ordergate.core.accounts import events as a
from ordergate.core.contingent import events as g
from ordergate.core.ids import AccountId, Env, OrderId, Symbol
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import Terms
from ordergate.core.risk.trading_state import Grade, KillEngaged, KillReleased, Level, Place
from ordergate.journal.tails import Linked
from ordergate.simulation.bundles import Bundles
from ordergate.simulation.governance import Governance
from ordergate.simulation.listing import ACCOUNTS, LOGIN, TENANT

ZERO: Final = Decimal(0)
_LIMITS: Final = AccountId("P-LIMITS")
_BY_A_GROUP: Final = "group."


class Live(msgspec.Struct):
    """One execution as it counts now."""

    revision: int
    quantity: Decimal
    price: Decimal


class Known(msgspec.Struct, kw_only=True):
    """One order, `kept` while no broker may hear of it.

    `end` is the last event that ended it, empty while it is open; `turned_s` since when. `starts` is how
    often it was written down that it is sent, beside its approval.
    """

    id: OrderId
    account: AccountId
    terms: Terms
    kind: str
    actor: str = ""
    config_hash: str = ""
    version: int = 1
    broker_order_id: str | None = None
    broker_ids: set[str] = set()
    asked: dict[int, e.ReplaceRequested] = {}
    pending: int | None = None
    cancel_asked: bool = False
    ever_cancelled: bool = False
    unknown: bool = False
    acknowledged: bool = False
    starts: int = 0
    denied: bool = False
    kept: bool = False
    external: bool = False
    unsized: bool = False
    executions: dict[str, Live] = {}
    end: str = ""
    turned_s: float = -1.0
    accepted_s: float = 0.0
    at: datetime
    unknown_s: float = 0.0

    @property
    def quantity(self) -> Decimal:
        asked = self.asked.get(self.version)
        return self.terms.quantity if asked is None else asked.quantity

    @property
    def cum(self) -> Decimal:
        return sum((one.quantity for one in self.executions.values()), ZERO)

    @property
    def is_open(self) -> bool:
        return not self.end

    @property
    def is_in_question(self) -> bool:
        """Nothing has shown that the broker has it, or that it has not."""
        return self.unknown and self.is_open and not self.acknowledged and not self.executions

    @property
    def worst_leaves(self) -> Decimal:
        """What it may still trade, with any replacement that is not answered counted in."""
        if not self.is_open or self.unsized:
            return ZERO
        pending = None if self.pending is None else self.asked.get(self.pending)
        most = self.quantity if pending is None else max(self.quantity, pending.quantity)
        return max(most - self.cum, ZERO)


class Account(msgspec.Struct, kw_only=True):
    """`flows` is what trades in each symbol brought in, without the multiplier."""

    orders: dict[OrderId, Known] = {}
    positions: dict[Symbol, Decimal] = {}
    flows: dict[Symbol, Decimal] = {}
    fees: Decimal = ZERO
    locks: dict[str, a.LossLimitReached] = {}
    is_adjusted: bool = False
    breaks: dict[str, str] = {}
    natures: dict[str, str] = {}
    epoch: int = 0
    opened_s: float | None = None


class Kill(msgspec.Struct):
    """What stands at one place as it is written down: since when and how hard, and by which process."""

    since: float
    by: str
    blocks_since: float | None = None
    cancels_since: float | None = None

    def engage(self, grade: Grade, now: float, by: str) -> None:
        """A harder one makes it harder; a milder one changes nothing."""
        if grade is not Grade.REDUCE_ONLY and self.blocks_since is None:
            self.blocks_since, self.by = now, by
        if grade is Grade.CANCEL_ALL and self.cancels_since is None:
            self.cancels_since = now


class Audit:
    def __init__(self) -> None:
        self.accounts: dict[AccountId, Account] = {}
        self.governance = Governance(ACCOUNTS)
        self.kills: dict[Place, Kill] = {}
        self.stopped_s: dict[Place, float] = {}
        self.by_key: dict[tuple[AccountId, str], list[OrderId]] = {}
        self.bundles = Bundles()
        self._orders: dict[OrderId, Known] = {}
        self._by_broker_id: dict[tuple[AccountId, str], OrderId] = {}

    def account(self, account: AccountId) -> Account:
        return self.accounts.setdefault(account, Account())

    def order(self, order_id: OrderId | None) -> Known | None:
        return None if order_id is None else self._orders.get(order_id)

    def of_broker(self, account: AccountId, broker_order_id: str) -> Known | None:
        order_id = self._by_broker_id.get((account, broker_order_id))
        return None if order_id is None else self.account(account).orders.get(order_id)

    def stops_of(self, order: Known) -> list[Kill]:
        """Every stop that the order falls under, found by other rules than the engine's."""
        names = {
            Level.GLOBAL: "",
            Level.ENVIRONMENT: Env.PAPER,
            Level.TENANT: TENANT,
            Level.BROKER: LOGIN,
            Level.ACCOUNT: order.account,
            Level.INSTRUMENT: order.terms.symbol,
            Level.USER: order.actor,
            Level.STRATEGY: order.terms.strategy,
            Level.ORDER: order.id,
        }
        return [kill for (level, target), kill in self.kills.items() if names.get(level) == target]

    def fold(self, linked: Linked, now: float, by: str) -> None:
        """One committed unit, of that process."""
        unit = linked.unit
        account = self.account(unit.account)
        account.epoch = unit.epoch
        if unit.account == _LIMITS:
            self.governance.fold([entry.event for entry in unit.entries], now)
            return
        for entry in unit.entries:
            if isinstance(entry.event, KillEngaged):
                self._stopped(entry.event, now, by)
            self._fold(account, unit.account, entry.event, entry.correlation, now)

    def _stopped(self, event: KillEngaged, now: float, by: str) -> None:
        self.kills.setdefault(event.place, Kill(now, by)).engage(event.grade, now, by)
        self.stopped_s[event.place] = now

    def _fold(
        self, account: Account, account_id: AccountId, event: Any, correlation: str, now: float
    ) -> None:
        match event:
            case e.OrderAccepted() | e.OrderDenied() if event.order_id in account.orders:
                self._released(account.orders[event.order_id], event, now)
            case e.OrderAccepted() | e.OrderHeld() | e.OrderDenied() | e.OrderAdopted():
                self._begin(account, account_id, event, correlation, now)
            case e.OrderEvent():
                self._order(account, account.orders[event.order_id], event, now)
            case KillReleased():
                self.kills.pop(event.place, None)
            case g.GroupEvent():
                self.bundles.fold(event)
            case a.AccountEvent():
                _account(account, event, now)
            case _:
                return

    def _begin(
        self, account: Account, account_id: AccountId, event: Any, correlation: str, now: float
    ) -> None:
        order = Known(
            id=event.order_id,
            account=account_id,
            terms=event.terms,
            kind=type(event).__name__,
            actor=getattr(event, "actor", ""),
            config_hash=getattr(event, "config_hash", ""),
            accepted_s=now,
            at=event.at,
        )
        order.kept = isinstance(event, e.OrderHeld)
        if isinstance(event, e.OrderDenied):
            order.denied, order.end = True, "OrderDenied"
        elif isinstance(event, e.OrderAdopted):
            order.external = order.acknowledged = True
            order.unsized = event.unsized
            order.broker_order_id = event.broker_order_id
            for booked in event.executions:
                order.executions[booked.exec_id] = Live(booked.revision, booked.quantity, booked.price)
            self._by_broker_id[account_id, event.broker_order_id] = order.id
        if not order.external and not correlation.startswith(_BY_A_GROUP):
            self.by_key.setdefault((account_id, correlation), []).append(order.id)
        account.orders[order.id] = self._orders[order.id] = order

    def _released(self, order: Known, event: e.OrderAccepted | e.OrderDenied, now: float) -> None:
        order.kept, order.config_hash, order.accepted_s = False, event.config_hash, now
        if isinstance(event, e.OrderDenied):
            order.denied, order.end, order.turned_s = True, "OrderDenied", now

    def _order(self, account: Account, order: Known, event: e.OrderEvent, now: float) -> None:
        before = order.end
        if (called := getattr(event, "broker_order_id", None)) is not None:
            order.broker_ids.add(called)
        match event:
            case e.OrderPartiallyFilled() | e.OrderFilled():
                order.executions[event.exec_id] = Live(event.revision, event.quantity, event.price)
                order.unknown = False
                account.fees += event.fee
                _trade(account, order, event.quantity, event.quantity * event.price)
            case e.ExecutionBusted():
                gone = order.executions.get(event.exec_id, Live(0, ZERO, ZERO))
                order.executions[event.exec_id] = Live(gone.revision, ZERO, ZERO)
                _trade(account, order, -gone.quantity, -gone.quantity * gone.price)
            case e.ExecutionCorrected():
                gone = order.executions.get(event.exec_id, Live(0, ZERO, ZERO))
                order.executions[event.exec_id] = Live(event.revision, event.quantity, event.price)
                was, now_is = gone.quantity * gone.price, event.quantity * event.price
                _trade(account, order, event.quantity - gone.quantity, now_is - was)
            case e.OrderAcknowledged(broker_order_id=broker_order_id):
                order.acknowledged, order.unknown = True, False
                order.broker_order_id = broker_order_id
                order.end = ""
            case e.OutcomeUnknown():
                order.unknown, order.unknown_s = True, now
            case e.DispatchStarted():
                order.starts += 1
            case e.CancelRequested():
                order.cancel_asked = order.ever_cancelled = True
            case e.CancelRejected():
                order.cancel_asked = order.unknown = False
            case e.HeldReplaced():
                order.terms = msgspec.structs.replace(
                    order.terms,
                    quantity=event.quantity,
                    limit_price=event.limit_price,
                    stop_price=event.stop_price,
                )
            case e.ReplaceRequested(version=version):
                order.asked[version] = event
                order.pending = version
            case e.ReplaceRejected():
                order.pending, order.unknown = None, False
            case e.OrderReplaced(version=version, broker_order_id=broker_order_id):
                order.version, order.broker_order_id, order.pending = version, broker_order_id, None
                order.unknown = False
            case _:
                pass
        self._end(order, event)
        if bool(before) != bool(order.end):
            order.turned_s = now

    def _end(self, order: Known, event: e.OrderEvent) -> None:
        name = type(event).__name__
        if name in _ENDINGS:
            order.pending, order.unknown = None, False
            if order.end not in _LAST:
                order.end = name
        elif (order.end, name) in _REVIVALS:
            order.end = ""


_REVIVALS: Final = (
    ("OrderRejected", "OrderPartiallyFilled"),
    ("OrderFilled", "OrderReplaced"),
    ("OrderCompleted", "OrderReplaced"),
    ("OrderFilled", "OrderReopened"),
    ("OrderCompleted", "OrderReopened"),
    ("OrderRejected", "OrderReopened"),
)
_LAST: Final = ("OrderCanceled", "OrderExpired", "OrderDenied")  # what fills later stays that
_ENDINGS: Final = ("OrderFilled", "OrderCompleted", "OrderCanceled", "OrderExpired", "OrderRejected")


def _trade(account: Account, order: Known, quantity: Decimal, amount: Decimal) -> None:
    symbol, sign = order.terms.symbol, order.terms.side.sign
    account.positions[symbol] = account.positions.get(symbol, ZERO) + sign * quantity
    account.flows[symbol] = account.flows.get(symbol, ZERO) - sign * amount


def _account(account: Account, event: a.AccountEvent, now: float) -> None:
    if isinstance(event, a.AccountOpened):
        account.opened_s = now
    elif isinstance(event, a.LossLimitReached):
        account.locks[event.reason] = event
    elif isinstance(event, a.PositionAdjusted):
        account.is_adjusted = True
        account.positions[event.symbol] = account.positions.get(event.symbol, ZERO) + event.quantity
    elif isinstance(event, a.BreakOpened):
        account.breaks[event.break_id] = account.natures[event.break_id] = event.nature
    elif isinstance(event, a.BreakReopened):
        account.breaks[event.break_id] = account.natures[event.break_id]
    elif isinstance(event, a.BreakResolved | a.BreakHealed):
        account.breaks.pop(event.break_id, None)


def bodies(rows: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The read table's rows, decoded."""
    return {key: msgspec.json.decode(row.body) for key, row in rows.items()}


def age_s(now: datetime, at: datetime) -> float:
    return (now - at).total_seconds()
