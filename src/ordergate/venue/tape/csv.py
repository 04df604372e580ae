"""Reads a market from comma-separated trades and quotes.

Trades have the columns `ts,price,size` and may have `side` (buy or sell, of the taker); quotes have
`ts,bid,bid_size,ask,ask_size`. A time is ISO 8601 with a zone, or nanoseconds since 1970. A quoted size is
kept as recorded orders: what it grows by joins the back of the queue, what it shrinks by leaves from the
back, and trades take from the front, so a participant's place in the queue is never better than it was.
Never repairs data: what is off the tick, off the lot or out of order is a fault with its line.
"""

import csv
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from heapq import merge
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from ordergate.venue.tape.records import Action, Packet, Step, TapeUnreadable
from ordergate.venue.words import Listing

TRADE_COLUMNS: Final = frozenset({"ts", "price", "size"})
QUOTE_COLUMNS: Final = frozenset({"ts", "bid", "bid_size", "ask", "ask_size"})
ROWS_MAX: Final = 5_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Trade(NamedTuple):
    at_ns: int
    price: int
    size: int
    side: int  # 0: not told


class _Quote(NamedTuple):
    at_ns: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int


class CsvTape:
    """The packets of a file of quotes, a file of trades, or both, merged by time; quotes first at a tie."""

    def __init__(self, listing: Listing, *, quotes: Path | None = None, trades: Path | None = None) -> None:
        if quotes is None and trades is None:
            raise ValueError("a tape needs quotes or trades")
        self._listing = listing
        sources: list[Iterator[_Quote | _Trade]] = []
        if quotes is not None:
            sources.append(_Rows(quotes, listing, QUOTE_COLUMNS).quotes())
        if trades is not None:
            sources.append(_Rows(trades, listing, TRADE_COLUMNS).trades())
        top = _Top()
        self._packets = [
            packet for row in merge(*sources, key=lambda row: row.at_ns) if (packet := top.packet(row)).steps
        ]

    @property
    def listing(self) -> Listing:
        return self._listing

    @property
    def opens_at_ns(self) -> int | None:
        return None

    def packets(self) -> Iterator[Packet]:
        return iter(self._packets)


class _Top:
    """The quoted book, and what each row does to it."""

    def __init__(self) -> None:
        idents = count(1)
        self._bid = _QuotedSide(1, idents)
        self._ask = _QuotedSide(-1, idents)
        self._takers = idents
        self._last_side = 1

    def packet(self, row: _Quote | _Trade) -> Packet:
        if isinstance(row, _Quote):
            steps = [*self._bid.become(row.bid, row.bid_size), *self._ask.become(row.ask, row.ask_size)]
        else:
            side = row.side or self._side_of(row.price)
            quoted = self._ask if side > 0 else self._bid
            aggress = Step(Action.AGGRESS, next(self._takers), side, row.price, row.size)
            steps = [aggress, *quoted.trade(row.price, row.size)]
        return Packet(row.at_ns, tuple(steps))

    def _side_of(self, price: int) -> int:
        """A trade at the ask was bought, at the bid sold; between them it went like the last one."""
        if self._ask.size and price >= self._ask.price:
            self._last_side = 1
        elif self._bid.size and price <= self._bid.price:
            self._last_side = -1
        return self._last_side


class _QuotedSide:
    def __init__(self, side: int, idents: Iterator[int]) -> None:
        self._side = side
        self._idents = idents
        self._parts: deque[tuple[int, int]] = deque()  # (ident, size), front of the queue first
        self.price = 0
        self.size = 0

    def become(self, price: int, size: int) -> Iterator[Step]:
        if price != self.price:
            yield from self._shrink(self.size)
            self.price = price
        if size > self.size:
            yield self._grow(size - self.size)
        else:
            yield from self._shrink(self.size - size)

    def trade(self, price: int, size: int) -> Iterator[Step]:
        """What a trade takes from the front, when it was at the quoted price."""
        size = min(size, self.size) if price == self.price else 0
        while size:
            ident, part = self._parts.popleft()
            taken = min(part, size)
            if taken < part:
                self._parts.appendleft((ident, part - taken))
            size -= taken
            self.size -= taken
            yield Step(Action.FILL, ident, self._side, self.price, taken)
            if taken == part:
                yield Step(Action.CANCEL, ident, self._side, self.price, taken)

    def _grow(self, size: int) -> Step:
        ident = next(self._idents)
        self._parts.append((ident, size))
        self.size += size
        return Step(Action.ADD, ident, self._side, self.price, size)

    def _shrink(self, size: int) -> Iterator[Step]:
        self.size -= size
        while size:
            ident, part = self._parts.pop()
            gone = min(part, size)
            if gone < part:
                self._parts.append((ident, part - gone))
            size -= gone
            yield Step(Action.CANCEL, ident, self._side, self.price, gone)


class _Rows:
    """One file's rows, checked."""

    def __init__(self, path: Path, listing: Listing, columns: frozenset[str]) -> None:
        self._path = path
        self._listing = listing
        self._columns = columns
        self._line = 1

    def quotes(self) -> Iterator[_Quote]:
        for at_ns, row in self._read():
            yield _Quote(
                at_ns,
                self._ticks(row["bid"]),
                self._lots(row["bid_size"]),
                self._ticks(row["ask"]),
                self._lots(row["ask_size"]),
            )

    def trades(self) -> Iterator[_Trade]:
        sides = {"": 0, "buy": 1, "sell": -1}
        for at_ns, row in self._read():
            side = sides.get((row.get("side") or "").lower())
            if side is None:
                raise self._fault("side must be buy or sell")
            price, size = self._ticks(row["price"]), self._lots(row["size"])
            if not price or not size:
                raise self._fault("a trade needs a price and a size")
            yield _Trade(at_ns, price, size, side)

    def _read(self) -> Iterator[tuple[int, dict[str, str]]]:
        last_ns = 0
        with self._path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = self._columns - set(reader.fieldnames or ())
            if missing:
                raise self._fault(f"the columns {', '.join(sorted(missing))} are missing")
            for row in reader:
                self._line = reader.line_num
                if self._line > ROWS_MAX:
                    raise self._fault(f"a tape may have {ROWS_MAX} lines")
                if any(row[column] is None for column in self._columns):
                    raise self._fault("cells are missing")
                at_ns = self._at_ns(row["ts"])
                if at_ns < last_ns:
                    raise self._fault("time goes backwards")
                last_ns = at_ns
                yield at_ns, row

    def _at_ns(self, text: str) -> int:
        if text.isdecimal():
            return int(text)
        try:
            at = datetime.fromisoformat(text)
        except ValueError as fault:
            raise self._fault(f"{text!r} is not a time") from fault
        if at.tzinfo is None:
            raise self._fault(f"{text!r} has no time zone")
        passed = at - EPOCH
        return ((passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1_000

    def _ticks(self, text: str) -> int:
        return self._steps(text, self._listing.tick)

    def _lots(self, text: str) -> int:
        return self._steps(text, self._listing.lot)

    def _steps(self, text: str, step: Decimal) -> int:
        """An empty cell is zero: a side nobody quotes."""
        try:
            steps, off = divmod(Decimal(text or 0), step)
            whole = int(steps)
        except (InvalidOperation, ValueError) as fault:
            raise self._fault(f"{text!r} is not a number") from fault
        if off or whole < 0:
            raise self._fault(f"{text} is not a multiple of {step}")
        return whole

    def _fault(self, what: str) -> TapeUnreadable:
        return TapeUnreadable(f"{self._path.name}, line {self._line}: {what}")
