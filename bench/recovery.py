"""How long a killed gateway is away, and how long it takes to hold its orders against the broker's.

    python -m bench --only recovery

The past is written first: closed orders, until the journal is as long as asked, then open ones by the
gateway's own face. Then kill -9, a new process on the same database, and the time until it takes
orders again: a snapshot and the events after it folded, the broker asked, and both sides compared. The very
first start on the long past has no snapshot and folds all of it: it is told beside the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from bench.measures import stream_orders
from bench.past import write_past
from bench.processes import Cores, cpu_s
from bench.stand import Broker, Stand, stand
from bench.subject import ACCOUNT
from ordergate.journal.embedded import EmbeddedPostgres

EVENTS_OF_A_PAST_ORDER: Final = 2
PLACING_S: Final = 1.0
PLACING_TIMES_MAX: Final = 120
RATE_PER_MINUTE: Final = 200  # Alpaca's
TOLD: Final = ("why", "took_ms", "result", "orders_listed", "orders_asked", "differences_found")
KEEPING_S_MAX: Final = 120.0
POLL_S: Final = 0.2
_STANDS: Final = {
    "events": "select head from account_stream where account = $1",
    "snapshot": "select seq from account_snapshot where account = $1",
    "snapshot_bytes": "select length(body) from account_snapshot where account = $1",
}
_OPEN: Final = "select count(*) from order_view where account = $1 and status = 'working'"


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is to recover, and how often to measure it."""

    open_orders: int = 10_000
    events: int = 1_000_000
    reconciled: int = 1_000
    kills: int = 2


async def measure(
    cores: Cores, folder: Path, server: EmbeddedPostgres, broker: Broker, size: Size
) -> dict[str, Any]:
    """From kill -9 to ready, of each kill; and of a reconciliation within the broker's rate limit."""
    whole, kills = await _recoveries(cores, folder, server, broker, size)
    runs = await _reconciliations(cores, folder, server, broker, size)
    return {
        "size": msgspec.to_builtins(size),
        "whole_fold": whole,
        "kill_to_ready": kills,
        "reconciliations": runs,
    }


async def _recoveries(
    cores: Cores, folder: Path, server: EmbeddedPostgres, broker: Broker, size: Size
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Seconds of the clock, and of the new process's processor, which is not stretched by other work."""
    dsn = await server.database("recovery")
    async with stand(cores, folder, "recovery", dsn=dsn, broker=broker):
        pass  # the account is opened
    await write_past(dsn, size.events // EVENTS_OF_A_PAST_ORDER)
    async with contextlib.AsyncExitStack() as stack:
        began = time.monotonic()
        now = await stack.enter_async_context(stand(cores, folder, "recovery", dsn=dsn, broker=broker))
        whole = _took(now, began)
        await _until_open(now, size.open_orders)
        await _until_kept(now)
        taken = []
        for _ in range(size.kills):
            os.kill(now.process.pid, signal.SIGKILL)
            began = time.monotonic()
            now = await stack.enter_async_context(stand(cores, folder, "recovery", dsn=dsn, broker=broker))
            taken.append({**_took(now, began), **await _stands(now)})
        return whole, taken


def _took(now: Stand, began: float) -> dict[str, float]:
    """The load is of the machine, and stretches the seconds of the clock."""
    seconds = time.monotonic() - began
    load = os.getloadavg()[0]
    return {"s": round(seconds, 2), "cpu_s": round(cpu_s(now.process.pid), 2), "load": round(load, 1)}


async def _stands(now: Stand) -> dict[str, int]:
    """What there was to recover."""
    return {name: await now.database.fetchval(sql, ACCOUNT) for name, sql in _STANDS.items()}


async def _until_kept(now: Stand) -> None:
    """Wait for a snapshot: a gateway that has run for a while has one."""
    async with asyncio.timeout(KEEPING_S_MAX):
        while await now.database.fetchval(_STANDS["snapshot"], ACCOUNT) is None:
            await asyncio.sleep(POLL_S)


async def _reconciliations(
    cores: Cores, folder: Path, server: EmbeddedPostgres, broker: Broker, size: Size
) -> list[dict[str, Any]]:
    """Of a thousand open orders, started anew under the broker's rate limit."""
    dsn = await server.database("reconciled")
    async with stand(cores, folder, "reconciled", dsn=dsn, broker=broker) as fresh:
        await _until_open(fresh, size.reconciled)
    limited = stand(cores, folder, "reconciled", dsn=dsn, broker=broker, requests_per_minute=RATE_PER_MINUTE)
    async with limited as now, httpx.AsyncClient(base_url=f"http://127.0.0.1:{now.port}") as client:
        headers = {"Authorization": f"Bearer {now.token}"}
        asked = {"account_id": ACCOUNT}
        waited = {**headers, "Prefer": "wait=30", "Idempotency-Key": "a-reconciliation-to-measure"}
        await client.post("/v1/reconciliation/runs", json=asked, headers=waited, timeout=60)
        answer = await client.get("/v1/reconciliation/runs", params=asked, headers=headers)
        runs: list[dict[str, Any]] = answer.json()["runs"]
        return [{name: run[name] for name in TOLD} for run in runs]


async def _until_open(now: Stand, count: int) -> None:
    """Place orders that rest until so many do."""
    for _ in range(PLACING_TIMES_MAX):
        if await now.database.fetchval(_OPEN, ACCOUNT) >= count:
            return
        await stream_orders(now, PLACING_S)
    raise RuntimeError(f"{count} open orders were not reached")
