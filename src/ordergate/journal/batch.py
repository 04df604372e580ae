"""Units to the parameters of one statement: pure, and on the hot path.

Columns, not rows: the statement unnests arrays. A read-table row that several units of the batch
write is sent once, as the last of them left it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from ordergate.journal.tails import Linked
from ordergate.ports.journal import Row

Columns = tuple[Sequence[Any], ...]

_EVENT_WIDTH: Final = 10
_ORDER_WIDTH: Final = 8
_RECEIPT_WIDTH: Final = 12


def parameters(batch: Sequence[Linked]) -> list[Sequence[Any]]:
    """The arguments of `append_batch`, in its order."""
    tables = (
        _columns(5, _streams(batch)),
        _columns(_EVENT_WIDTH, _events(batch)),
        _columns(_ORDER_WIDTH, _orders(batch)),
        _columns(4, _executions(batch)),
        _columns(3, _rows((item.unit.account, item.unit.positions) for item in batch)),
        _columns(3, _rows((item.unit.account, item.unit.balances) for item in batch)),
        _columns(3, _rows((item.unit.account, item.unit.breaks) for item in batch)),
        _columns(_RECEIPT_WIDTH, _receipts(batch)),
    )
    return [column for columns in tables for column in columns]


def _columns(width: int, rows: Iterable[tuple[Any, ...]]) -> Columns:
    return tuple(zip(*rows, strict=True)) or ((),) * width


def _streams(batch: Sequence[Linked]) -> list[tuple[Any, ...]]:
    """Per account: where the first unit found it, where the last one leaves it."""
    first: dict[str, Linked] = {}
    last: dict[str, Linked] = {}
    for item in batch:
        first.setdefault(item.unit.account, item)
        last[item.unit.account] = item
    return [
        (account, item.unit.epoch, item.unit.expected, last[account].head, last[account].last_hash)
        for account, item in first.items()
    ]


def _events(batch: Sequence[Linked]) -> list[tuple[Any, ...]]:
    return [
        (
            item.unit.account,
            sealed.seq,
            sealed.kind,
            sealed.version,
            entry.order_id,
            entry.event.at,
            entry.correlation,
            sealed.body,
            entry.frame,
            sealed.hash,
        )
        for item in batch
        for entry, sealed in zip(item.unit.entries, item.sealed, strict=True)
    ]


def _orders(batch: Sequence[Linked]) -> Iterable[tuple[Any, ...]]:
    rows: dict[tuple[str, str], tuple[Any, ...]] = {}
    for item in batch:
        for row in item.unit.orders:
            rows[row.account, row.id] = (
                row.account,
                row.id,
                row.client_order_id,
                row.symbol,
                row.status,
                row.open,
                row.accepted_at,
                row.body,
            )
    return rows.values()


def _executions(batch: Sequence[Linked]) -> Iterable[tuple[Any, ...]]:
    rows: dict[tuple[str, str], tuple[Any, ...]] = {}
    for item in batch:
        account = item.unit.account
        for row in item.unit.executions:
            learned = rows[account, row.key][2] if (account, row.key) in rows else item.head
            rows[account, row.key] = (account, row.key, learned, row.body)
    return rows.values()


def _rows(units: Iterable[tuple[str, Sequence[Row]]]) -> Iterable[tuple[Any, ...]]:
    rows: dict[tuple[str, str], tuple[Any, ...]] = {}
    for account, written in units:
        for row in written:
            rows[account, row.key] = (account, row.key, row.body)
    return rows.values()


def _receipts(batch: Sequence[Linked]) -> list[tuple[Any, ...]]:
    receipts = [item.unit.receipt for item in batch if item.unit.receipt is not None]
    return [
        (
            one.scope.env,
            one.scope.tenant,
            one.scope.client_id,
            one.scope.route,
            one.scope.key,
            one.scope.digest(),
            one.fingerprint,
            one.account,
            one.order,
            one.status,
            one.body,
            one.at,
        )
        for one in receipts
    ]
