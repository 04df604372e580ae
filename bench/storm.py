"""What one client's storm does to another's orders: how long they take beside nobody, beside a client at its
limit, and beside one that asks ten times as often as it may.

    python -m bench.storm

A whole gateway with its database and its counterparty. Both clients trade one account by WebSocket, which is
worse than two accounts would be. The storm is a process of its own, which reads no answers.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.clients import StreamClient
from bench.loads import OpenLoop
from bench.orders import Orders
from bench.processes import Cores, cores, cpu_s, never_collect, running
from bench.stand import Stand, broker, neighbours_token, stand
from ordergate.journal.embedded import EmbeddedPostgres

LIMIT: Final = 200
QUIET: Final = 150.0
TIMES: Final = (0, 1, 10)
STREAMS: Final = 4
WARM_S: Final = 3.0
TICK_S: Final = 0.005


class Hail(StreamClient):
    """Asks, and does not care what it is told."""

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            return
        super().data_received(data)


async def hail(port: int, token: str, rate: float) -> None:
    """Orders at this rate, evenly, until somebody ends it."""
    clients = [await Hail.connect(port, token) for _ in range(STREAMS)]
    ask = Orders(token, beside=True).frame
    print("{}", flush=True)
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    while True:
        due = int((loop.time() - began) * rate)
        for number in range(sent, due):
            clients[number % STREAMS].ask(ask())
        sent = due
        await asyncio.sleep(TICK_S)


async def quiet(one: Stand, seconds: float) -> list[float]:
    """Milliseconds from when each order was to leave until its client knows that it is durable."""
    clients = [await StreamClient.connect(one.port, one.token) for _ in range(STREAMS)]
    ask = Orders(one.token).frame
    sent = await OpenLoop(clients, ask, rate=QUIET).run(seconds)
    for client in clients:
        client.close()
    return sorted((order.answered_ns - order.due_ns) / 1e6 for order in sent)


class Round(NamedTuple):
    """Milliseconds, and how much of a core the gateway used."""

    p50: float
    p99: float
    core: float


async def timed(one: Stand, seconds: float) -> Round:
    began, used = time.monotonic(), cpu_s(one.process.pid)
    taken = await quiet(one, seconds)
    core = (cpu_s(one.process.pid) - used) / (time.monotonic() - began)
    return Round(statistics.median(taken), taken[int(len(taken) * 0.99)], core)


async def beside(one: Stand, on: Cores, folder: Path, times: int, seconds: float) -> Round:
    if not times:
        return await timed(one, seconds)
    asked = str(one.port), await neighbours_token(one), str(times * LIMIT)
    async with running("bench.storm", "--hail", *asked, on=on.around, errors=folder / "storm.log"):
        await asyncio.sleep(WARM_S)  # the burst is spent by then
        return await timed(one, seconds)


async def measure(rounds: int, seconds: float) -> dict[int, list[Round]]:
    """What every round came to, by how much of a storm there was."""
    found: dict[int, list[Round]] = {times: [] for times in TIMES}
    rate = {"per_s": LIMIT, "burst": LIMIT}
    kinds = dict.fromkeys(("orders", "cancels", "reads", "changes"), rate)
    on = cores()
    with tempfile.TemporaryDirectory(prefix="ordergate-storm-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the database's user passes through it
        async with EmbeddedPostgres(folder / "server") as server:
            os.sched_setaffinity(0, on.around)
            async with (
                broker(on, folder) as counterparty,
                stand(
                    on,
                    folder,
                    "storm",
                    dsn=await server.database("storm"),
                    broker=counterparty,
                    besides={"quotas": {"client": kinds}},
                ) as one,
            ):
                await quiet(one, WARM_S)
                for _ in range(rounds):
                    for times in TIMES:
                        found[times].append(await beside(one, on, folder, times, seconds))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hail", nargs=3, metavar=("PORT", "TOKEN", "RATE"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=8.0)
    asked: Any = parser.parse_args()
    if asked.hail is not None:
        port, token, rate = asked.hail
        asyncio.run(hail(int(port), token, float(rate)))
        return
    never_collect()
    for times, rounds in asyncio.run(measure(asked.rounds, asked.seconds)).items():
        p50, p99, core = (statistics.median(one) for one in zip(*rounds, strict=True))
        sys.stdout.write(
            f"beside {times:2} x its limit: p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   {core:.0%} of a core\n"
        )


if __name__ == "__main__":
    main()
