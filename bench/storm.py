"""What one client's storm does to another's orders: how long they take beside nobody, beside a client at its
limit, and beside one that asks ten times as often as it may.

    python -m bench.storm

A whole gateway with its database and its counterparty. Both clients trade one account by WebSocket, which is
worse than two accounts would be. The storm is a process of its own, which reads no answers, and would run on
another machine: here it takes only the time that nothing else asks for, and its rate is counted. What comes
of it is told by the round, since rounds differ.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.clients import StreamClient
from bench.figures import commit, machine
from bench.loads import OpenLoop
from bench.orders import Orders
from bench.processes import Cores, cores, cpu_s, never_collect, running
from bench.stand import Stand, broker, neighbours_token, stand
from ordergate.journal.embedded import EmbeddedPostgres

LIMIT: Final = 50
"""Orders a second: what the documented quotas give a client."""
QUIET: Final = 0.75
"""Of what its quota gives it: the client whose orders are timed is never turned away."""
TIMES: Final = (0, 1, 10)
STREAMS: Final = 4
WARM_S: Final = 3.0
TICK_S: Final = 0.005
RESULTS: Final = Path(__file__).parent / "results"


class Hail(StreamClient):
    """Asks, and does not care what it is told."""

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            return
        super().data_received(data)


async def hail(port: int, token: str, rate: float) -> None:
    """Orders at this rate, evenly, until somebody ends it; then it says at what rate they left."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    clients = [await Hail.connect(port, token) for _ in range(STREAMS)]
    ask = Orders(token, beside=True).frame
    print("{}", flush=True)
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    began, sent = loop.time(), 0
    while not over.is_set():
        due = int((loop.time() - began) * rate)
        for number in range(sent, due):
            clients[number % STREAMS].ask(ask())
        sent = due
        await asyncio.sleep(TICK_S)
    sys.stderr.write(f"{sent / (loop.time() - began):.1f}\n")


async def quiet(one: Stand, rate: float, seconds: float) -> list[float]:
    """Milliseconds from when each order was to leave until its client knows that it is durable."""
    clients = [await StreamClient.connect(one.port, one.token) for _ in range(STREAMS)]
    ask = Orders(one.token).frame
    sent = await OpenLoop(clients, ask, rate=rate).run(seconds)
    for client in clients:
        client.close()
    return sorted((order.answered_ns - order.due_ns) / 1e6 for order in sent)


class Round(msgspec.Struct, frozen=True):
    """Milliseconds, how much of a core the gateway used, and what the storm asked for in a second."""

    p50_ms: float
    p99_ms: float
    core: float
    stormed: float = 0.0


async def timed(one: Stand, rate: float, seconds: float) -> Round:
    began, used = time.monotonic(), cpu_s(one.process.pid)
    taken = await quiet(one, rate, seconds)
    core = (cpu_s(one.process.pid) - used) / (time.monotonic() - began)
    p50, p99 = statistics.median(taken), taken[int(len(taken) * 0.99)]
    return Round(round(p50, 3), round(p99, 3), round(core, 3))


async def beside(one: Stand, on: Cores, folder: Path, *, storm: float, rate: float, seconds: float) -> Round:
    """`storm` is in orders a second."""
    if not storm:
        return await timed(one, rate, seconds)
    asked = str(one.port), await neighbours_token(one), str(storm)
    said = folder / "storm.log"
    async with running("bench.storm", "--hail", *asked, on=on.around, errors=said):
        await asyncio.sleep(WARM_S)  # the burst is spent by then
        found = await timed(one, rate, seconds)
    return msgspec.structs.replace(found, stormed=float(said.read_text(encoding="utf-8").split()[-1]))


async def measure(limit: int, rounds: int, seconds: float) -> dict[int, list[Round]]:
    """What every round came to, by how much of a storm there was. Each round begins with another one."""
    found: dict[int, list[Round]] = {times: [] for times in TIMES}
    of_kind = {"per_s": limit, "burst": limit}
    kinds, rate = dict.fromkeys(("orders", "cancels", "reads", "changes"), of_kind), QUIET * limit
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
                await quiet(one, rate, WARM_S)
                for number in range(rounds):
                    for at in range(len(TIMES)):
                        times = TIMES[(number + at) % len(TIMES)]
                        ran = await beside(one, on, folder, storm=times * limit, rate=rate, seconds=seconds)
                        found[times].append(ran)
    return found


def rises(found: dict[int, list[Round]], over: int) -> list[float]:
    """By how much the 99th percentile is larger beside the storm than beside the other, by the round."""
    pairs = zip(found[TIMES[-1]], found[over], strict=True)
    return sorted(round(storm.p99_ms / other.p99_ms - 1, 3) for storm, other in pairs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hail", nargs=3, metavar=("PORT", "TOKEN", "RATE"))
    parser.add_argument("--limit", type=int, default=LIMIT, help="orders a second that a client may ask for")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked: Any = parser.parse_args()
    if asked.hail is not None:
        port, token, rate = asked.hail
        asyncio.run(hail(int(port), token, float(rate)))
        return
    never_collect()
    before = machine()
    found = asyncio.run(measure(asked.limit, asked.rounds, asked.seconds))
    for times, rounds in found.items():
        p50, p99, core = (
            statistics.median(each)
            for each in zip(*((r.p50_ms, r.p99_ms, r.core) for r in rounds), strict=True)
        )
        sys.stdout.write(
            f"beside {times:2} x its limit: p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   {core:.0%} of a core\n"
        )
    over = {f"beside_{times}": rises(found, times) for times in TIMES[:-1]}
    for name, ratios in over.items():
        sys.stdout.write(
            f"p99 over {name}: {statistics.median(ratios):+.0%} ({ratios[0]:+.0%} to {ratios[-1]:+.0%})\n"
        )
    told = {
        "commit": commit(),
        "machine": before,
        "limit_per_s": asked.limit,
        "quiet_per_s": QUIET * asked.limit,
        "rounds": {str(times): rounds for times, rounds in found.items()},
        "p99_rises": over,
    }
    written = asked.results / f"storm-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    written.write_bytes(msgspec.json.format(msgspec.json.encode(told)) + b"\n")


if __name__ == "__main__":
    main()
