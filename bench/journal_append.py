"""How many units per second the journal makes durable, against one row per transaction.

Each unit is what one accepted order writes: an event, its row in the order table, a receipt. `waiting`
lanes each append a unit, wait until it is durable, and append the next. Beside it, in the same run and
on the same server: pgbench inserting one small row per transaction.

    python -m bench.journal_append [--seconds 3] [--rows 0] [--dsn ...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import uvloop

from bench.single_rows import pgbench
from ordergate.core.idempotency import Receipt, Scope
from ordergate.core.ids import AccountId, Env, OrderId, Paper, Symbol, order_id
from ordergate.core.orders.events import OrderAccepted
from ordergate.core.orders.terms import OrderType, Side, Terms
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.journal.migrate import migrate
from ordergate.journal.postgres import PostgresJournal
from ordergate.ports.journal import Entry, OrderRow, Unit

WAITING: Final = (1, 16, 64, 256)
FRAME: Final = json.dumps(
    {"seq": 123456, "order": {f"field_{n}": "a value of 20 chars" for n in range(14)}}
).encode()
BODY: Final = json.dumps({f"field_{n}": "a value of 20 chars" for n in range(16)}).encode()


class Lane:
    """One account that places orders as fast as they become durable."""

    def __init__(self, journal: PostgresJournal[Paper], number: int) -> None:
        self.journal = journal
        self.number = number
        self.account = AccountId(f"P-bench{number}")
        self.epoch = 0
        self.head = 0
        self.waits: list[float] = []

    async def take(self) -> None:
        taken = await self.journal.take(self.account)
        self.epoch, self.head = taken.epoch, taken.head

    async def place(self, until: float) -> None:
        self.waits = []
        while (begun := time.perf_counter()) < until:
            await self.journal.append(self.unit())
            self.head += 1
            self.waits.append(time.perf_counter() - begun)

    def unit(self) -> Unit:
        now = datetime.now(UTC)
        entropy = (self.number << 32) | (self.head & 0xFFFFFFFF)
        order = order_id(Env.PAPER, at_ms=int(now.timestamp() * 1000), entropy=entropy)
        scope = Scope(Env.PAPER, "demo", "bench", "POST /v1/orders", f"bench-key-{order}")
        receipt = Receipt(
            scope=scope,
            fingerprint=bytes(32),
            account=self.account,
            order=order,
            status=201,
            body=None,
            at=now,
        )
        row = OrderRow(
            id=order,
            account=self.account,
            client_order_id=f"mine-{order}",
            symbol="ESH4",
            status="accepted",
            open=True,
            accepted_at=now,
            body=BODY,
        )
        entry = Entry(
            seq=self.head + 1,
            event=accepted(order, self.account, now),
            order_id=order,
            correlation="a-request",
            frame=FRAME,
        )
        return Unit(
            account=self.account,
            epoch=self.epoch,
            expected=self.head,
            entries=(entry,),
            orders=(row,),
            receipt=receipt,
        )


def accepted(order: OrderId, account: AccountId, now: datetime) -> OrderAccepted:
    terms = Terms(
        account=account,
        symbol=Symbol("ESH4"),
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(2),
        limit_price=Decimal("4800.25"),
        time_in_force="day",  # type: ignore[arg-type]  # a word of the wire does for a measurement
    )
    return OrderAccepted(order_id=order, at=now, terms=terms, actor="bench", config_hash="0" * 64)


async def measure(journal: PostgresJournal[Paper], waiting: int, seconds: float) -> dict[str, float]:
    lanes = [Lane(journal, number) for number in range(waiting)]
    for lane in lanes:
        await lane.take()
    begun = time.perf_counter()
    await asyncio.gather(*(lane.place(begun + seconds) for lane in lanes))
    took = time.perf_counter() - begun
    waits = sorted(wait for lane in lanes for wait in lane.waits)
    return {
        "units_per_s": round(len(waits) / took),
        "p50_ms": round(statistics.median(waits) * 1000, 2),
        "p99_ms": round(waits[int(len(waits) * 0.99)] * 1000, 2),
    }


async def fill(journal: PostgresJournal[Paper], rows: int) -> None:
    """Give the journal a past, so that its cost with many rows shows."""
    lanes = [Lane(journal, 1_000 + number) for number in range(32)]
    for lane in lanes:
        await lane.take()
    while rows > 0:
        durable = []
        for lane in lanes:
            for _ in range(32):
                durable.append(journal.append(lane.unit()))
                lane.head += 1
        await asyncio.gather(*durable)
        rows -= len(durable)


async def main(seconds: float, rows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="ordergate-bench-") as folder:
        async with EmbeddedPostgres(Path(folder) / "server") as server:
            dsn = await server.database("bench")
            await migrate(dsn)
            journal = await PostgresJournal.connect(dsn, Env.PAPER)
            await fill(journal, rows)
            for waiting in WAITING:
                clients = min(waiting, 32)
                single = await pgbench(server, dsn, clients, seconds)
                result = await measure(journal, waiting, seconds)
                ratio = round(result["units_per_s"] / single, 2)
                print(waiting, result, f"pgbench {clients} clients {single:.0f}/s, ratio {ratio}")
            await journal.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rows", type=int, default=0)
    arguments = parser.parse_args()
    uvloop.install()
    asyncio.run(main(arguments.seconds, arguments.rows))
