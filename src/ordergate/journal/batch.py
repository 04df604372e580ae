"""Units to the parameters of one statement: pure, and on the hot path.

Columns, not rows: the statement unnests arrays. What this process makes itself is joined into one
text for each column, which PostgreSQL takes apart again: encoding an array element by element costs
more than everything else about writing. Texts that others choose are quoted. A read-table row that
several units of the batch write is sent once, as the last of them left it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from ordergate.journal.tails import Linked
from ordergate.ports.journal import Row

# ASCII's unit separator and record separator: never inside JSON, an id, a key or a word of ours.
SEPARATOR: Final = "\x1f"
ABSENT: Final = "\x1e"
_SEPARATOR_BYTES: Final = SEPARATOR.encode()

Form = Callable[[Sequence[Any]], object]


class Unwritable(ValueError):
    """A text that cannot be written as it is; nothing was sent."""


def parameters(batch: Sequence[Linked]) -> list[object]:
    """The arguments of `append_batch`, in its order."""
    arguments: list[object] = []
    for table, rows in (
        (_STREAM, _streams(batch)),
        (_EVENT, _events(batch)),
        (_ORDER, _orders(batch)),
        (_EXECUTION, _executions(batch)),
        (_ROW, _rows([(item.unit.account, item.unit.positions) for item in batch if item.unit.positions])),
        (_ROW, _rows([(item.unit.account, item.unit.balances) for item in batch if item.unit.balances])),
        (_ROW, _rows([(item.unit.account, item.unit.breaks) for item in batch if item.unit.breaks])),
        (_RECEIPT, _receipts(batch)),
    ):
        arguments += table.columns(rows) if rows else table.nothing
    return arguments


class _Table:
    """How the columns of one table are written; `nothing` is what they are without a row."""

    def __init__(self, *forms: Form) -> None:
        self._forms = forms
        self.nothing: Final = [form(()) for form in forms]

    def columns(self, rows: Collection[tuple[Any, ...]]) -> list[object]:
        return [form(column) for form, column in zip(self._forms, zip(*rows, strict=True), strict=True)]


def _words(column: Sequence[str | None]) -> str:
    """Texts of ours, joined. One that has a separator in it is no text of ours."""
    if None in column:
        joined = SEPARATOR.join([ABSENT if word is None else word for word in column])
    else:
        joined = SEPARATOR.join(column)  # type: ignore[arg-type]  # just looked at
    if column and joined.count(SEPARATOR) != len(column) - 1:
        raise Unwritable("a name has a separator in it")
    return joined


def _documents(column: Sequence[bytes]) -> bytes:
    """JSON, in which a separator is always escaped."""
    joined = _SEPARATOR_BYTES.join(column)
    if column and joined.count(_SEPARATOR_BYTES) != len(column) - 1:
        raise Unwritable("a document has a separator in it")
    return joined


def _numbers(column: Sequence[int]) -> str:
    return ",".join(map(str, column))


def _flags(column: Sequence[bool]) -> str:
    return ",".join(["t" if flag else "f" for flag in column])


def _moments(column: Sequence[datetime]) -> str:
    return ",".join(map(_written, column))


# One decision's time is in several columns, and in the rows of what follows from it.
_written: Final = lru_cache(maxsize=4_096)(datetime.isoformat)


def _digests(column: Sequence[bytes]) -> str:
    return ",".join([digest.hex() for digest in column])


def _texts(column: Sequence[str | None]) -> str:
    """Whatever others chose, as PostgreSQL writes an array; it takes every text but one with a NUL."""
    if not column:
        return "{}"
    if None in column:
        return "{" + ",".join(["NULL" if one is None else _quoted(one) for one in column]) + "}"
    joined = '","'.join(column)  # type: ignore[arg-type]  # just looked at
    if "\\" in joined or joined.count('"') != 2 * (len(column) - 1):
        return "{" + ",".join([_quoted(one or "") for one in column]) + "}"
    return '{"' + joined + '"}'


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_STREAM: Final = _Table(_words, _numbers, _numbers, _numbers, _digests)
_EVENT: Final = _Table(
    _words,
    _numbers,
    _words,
    _numbers,
    _words,
    _moments,
    _texts,
    _documents,
    _documents,
    _digests,
)
_ORDER: Final = _Table(_words, _words, _words, _texts, _words, _flags, _moments, _documents)
_EXECUTION: Final = _Table(_words, _texts, _numbers, _documents)
_ROW: Final = _Table(_words, _texts, _documents)
_RECEIPT: Final = _Table(
    _words,
    _texts,
    _texts,
    _words,
    _words,
    _numbers,
    _digests,
    _words,
    _words,
    _numbers,
    _words,
    _moments,
)


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


def _orders(batch: Sequence[Linked]) -> Collection[tuple[Any, ...]]:
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


def _executions(batch: Sequence[Linked]) -> Collection[tuple[Any, ...]]:
    rows: dict[tuple[str, str], tuple[Any, ...]] = {}
    for item in batch:
        account = item.unit.account
        for row in item.unit.executions:
            learned = rows[account, row.key][2] if (account, row.key) in rows else item.head
            rows[account, row.key] = (account, row.key, learned, row.body)
    return rows.values()


def _rows(units: Iterable[tuple[str, Sequence[Row]]]) -> Collection[tuple[Any, ...]]:
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
