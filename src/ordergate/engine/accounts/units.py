"""Turns what a decision did into what the journal writes and clients are shown.

Pure: every event becomes one entry with its public frame, and the read-table rows it changed.
Each representation is encoded once; rows and frames share the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ordergate.core.accounts import views
from ordergate.core.accounts.account import Account
from ordergate.core.accounts.events import (
    AccountEvent,
    AnyAccountEvent,
    AnyAlarmEvent,
    CashAdjusted,
    OverrideUsed,
    PositionAdjusted,
    SymbolRenamed,
    UseRefused,
)
from ordergate.core.accounts.positions import Position
from ordergate.core.contingent.events import AnyGroupEvent, GroupEvent
from ordergate.core.faults import InvariantBroken
from ordergate.core.idempotency import Receipt
from ordergate.core.ids import AccountId, OrderId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders import events as e
from ordergate.core.orders.order import Order
from ordergate.engine.accounts.books import Change
from ordergate.ports.journal import AnyEvent, Entry, OrderRow, Row, Unit

_encode: Final = msgspec.json.Encoder(decimal_format="string").encode

_EXECUTIONS: Final = (
    e.OrderPartiallyFilled,
    e.OrderFilled,
    e.ExecutionBusted,
    e.ExecutionCorrected,
)


_PATIENT: Final = frozenset({e.OrderAcknowledged, e.OrderSent})

# What a person decides by is shown whole: the order as it stands does not say why, who asked, or for what.
_TOLD_WHOLE: Final = frozenset(
    {
        e.OutcomeUnknown,
        e.OrderQuarantined,
        e.OrderResolved,
        e.OrderRejected,
        e.OrderCompleted,
        e.OrderReopened,
        e.ExecutionDuplicated,
        e.CancelRequested,
        e.ReplaceRequested,
        e.ReplaceDenied,
    }
)


class UnitBuilder:
    """Collects the events of one decision and builds the unit that makes them durable."""

    def __init__(
        self,
        account: AccountId,
        epoch: int,
        head: int,
        correlation: str,
        instruments: dict[Symbol, Instrument],
    ) -> None:
        self._account = account
        self._epoch = epoch
        self._head = head
        self._correlation = correlation
        self._instruments = instruments
        self._entries: list[Entry] = []
        self._orders: dict[str, OrderRow] = {}
        self._executions: dict[str, Row] = {}
        self._positions: dict[str, Row] = {}
        self._balances: dict[str, Row] = {}
        self._breaks: dict[str, Row] = {}
        self._patient = True

    def add(self, event: e.AnyOrderEvent | AnyAccountEvent | AnyGroupEvent, change: Change) -> None:
        """The next event and what folding it did."""
        self._patient = self._patient and type(event) in _PATIENT
        seq = self._head + len(self._entries) + 1
        parts = [
            b'{"type":"event","account_id":"%b","seq":%d,"kind":"%b","at":%b,"correlation_id":"%b"'
            % (
                self._account.encode(),
                seq,
                kind_of(event).encode(),
                _encode(event.at),
                self._correlation.encode(),
            )
        ]
        order_id: OrderId | None = None
        if change.after is not None:
            order_id = change.after.id
            parts.append(b',"order":' + self._order(change.after))
            if type(event) in _TOLD_WHOLE:
                parts.append(b',"detail":' + _encode(event))
            if isinstance(event, _EXECUTIONS):
                parts.append(b',"execution":' + self._execution(change.after, event))
                symbol = self._listed(change.after.terms.symbol).symbol
                parts.append(self._moved(change, symbol))
        elif isinstance(event, AccountEvent):
            parts.append(b',"detail":' + _encode(event))
            if isinstance(event, GroupEvent):
                order_id = OrderId(event.group_id)  # so that the group's own history is found by it
            else:
                self._account_rows(event, change, parts)
        parts.append(b"}")
        self._entries.append(
            Entry(
                seq=seq,
                event=event,
                order_id=order_id,
                correlation=self._correlation,
                frame=b"".join(parts),
            )
        )

    def build(self, receipt: Receipt | None, *, watched: bool = False) -> Unit:
        """All of it. An acknowledgement can be `patient`, unless somebody waits to hear of it."""
        return Unit(
            account=self._account,
            epoch=self._epoch,
            expected=self._head,
            entries=tuple(self._entries),
            orders=tuple(self._orders.values()) if self._orders else (),
            executions=tuple(self._executions.values()) if self._executions else (),
            positions=tuple(self._positions.values()) if self._positions else (),
            balances=tuple(self._balances.values()) if self._balances else (),
            breaks=tuple(self._breaks.values()) if self._breaks else (),
            receipt=receipt,
            patient=self._patient and receipt is None and not watched,
        )

    def _order(self, order: Order) -> bytes:
        row = order_row(order)
        self._orders[order.id] = row
        return row.body

    def _execution(self, order: Order, event: e.AnyOrderEvent) -> bytes:
        exec_id: str = event.exec_id  # type: ignore[union-attr]  # _EXECUTIONS all have one
        body = _encode(views.execution_view(order, exec_id, event))
        self._executions[exec_id] = Row(key=exec_id, body=body)
        return body

    def _moved(self, change: Change, symbol: Symbol) -> bytes:
        """Position and balance after an execution."""
        if change.account is None:
            return b""
        position = self._position(change.account, symbol)
        balance = b',"balance":' + self._balance(change.account)
        balance += self._abroad(change.account, self._listed(symbol).currency)
        return b',"position":' + position + balance

    def _abroad(self, account: Account, currency: str | None) -> bytes:
        """The balance in a currency that is not the account's own; nothing where there is none."""
        row = None if currency is None or currency == account.currency else self._balances.get(currency)
        return b"" if row is None else b',"foreign_balance":' + row.body

    def _position(self, account: Account, symbol: Symbol) -> bytes:
        instrument = self._listed(symbol)
        view = views.position_view(account, account.position(instrument.symbol), instrument)
        body = _encode(view)
        self._positions[instrument.symbol] = Row(key=instrument.symbol, body=body)
        return body

    def _renamed(self, account: Account, event: SymbolRenamed) -> bytes:
        """The position under its name, and nothing left under the old one."""
        nothing = views.position_view(account, Position(symbol=event.was), self._listed(event.symbol))
        body = self._position(account, event.symbol)
        self._positions[event.was] = Row(key=event.was, body=_encode(nothing))
        return body

    def _listed(self, symbol: Symbol) -> Instrument:
        """Raises InvariantBroken: what was held may have been taken out of the settings since."""
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise InvariantBroken(f"{symbol} is not listed")
        return instrument

    def _balance(self, account: Account) -> bytes:
        """Each currency is a row; what is returned is the account's own."""
        own, *abroad = views.balance_views(account)
        for view in abroad:
            self._balances[view.currency] = Row(key=view.currency, body=_encode(view))
        self._balances[own.currency] = Row(key=own.currency, body=_encode(own))
        return self._balances[own.currency].body

    def _account_rows(self, event: AnyAccountEvent, change: Change, parts: list[bytes]) -> None:
        if change.account is None:
            return
        if change.broken is not None:
            body = _encode(views.break_view(change.broken))
            self._breaks[change.broken.id] = Row(key=change.broken.id, body=body)
            parts.append(b',"break":' + body)
            return
        if isinstance(event, AnyAlarmEvent | OverrideUsed | UseRefused):
            return
        match event:
            case SymbolRenamed():
                parts.append(b',"position":' + self._renamed(change.account, event))
            case PositionAdjusted():
                parts.append(b',"position":' + self._position(change.account, event.symbol))
            case _:
                parts.append(b',"balance":' + self._balance(change.account))
                if isinstance(event, CashAdjusted):
                    parts.append(self._abroad(change.account, event.currency))


def order_row(order: Order) -> OrderRow:
    """The order as the read table and every client see it."""
    return OrderRow(
        id=order.id,
        account=order.terms.account,
        client_order_id=order.terms.client_order_id,
        symbol=order.terms.symbol,
        status=order.status,
        open=not order.is_final,
        accepted_at=order.accepted_at,
        body=_encode(views.order_view(order)),
    )


def control_entry(event: AnyEvent, account: AccountId, seq: int, correlation: str) -> Entry:
    """An event of the control stream, which has no books."""
    frame = (
        b'{"type":"event","account_id":"%b","seq":%d,"kind":"%b","at":%b,"correlation_id":"%b",'
        b'"detail":%b}'
        % (
            account.encode(),
            seq,
            kind_of(event).encode(),
            _encode(event.at),
            correlation.encode(),
            _encode(event),
        )
    )
    return Entry(seq=seq, event=event, order_id=None, correlation=correlation, frame=frame)


def kind_of(event: AnyEvent) -> str:
    """The stored name of the event's kind."""
    kind = type(event)
    name = _names.get(kind)
    if name is None:
        name = _names[kind] = str(kind.__struct_config__.tag)
    return name


_names: Final[dict[type, str]] = {}


def ends_of(entries: Sequence[Entry]) -> tuple[int, int]:
    """First and last sequence number of a unit's entries."""
    return entries[0].seq, entries[-1].seq
