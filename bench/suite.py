"""The order of measurements. What is divided by what is measured in turn, within seconds of each other.

Ratios are taken within a round and the median over the rounds is reported: on a shared machine two
numbers of two different minutes cannot be compared.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console

from bench import recovery, revocation, risk_catalogue, rotation, senders, stream_fanout
from bench.figures import RESULTS, Values, report
from bench.measures import Rate, Share, echoes, own_share, rest_orders, stream_orders
from bench.past import write_past
from bench.processes import Cores, cores, never_collect, running
from bench.single_rows import pgbench
from bench.stand import Broker, Stand, bare_stand, broker, stand
from ordergate.journal.embedded import EmbeddedPostgres

SHORT_PAST: Final = 1_000
CLIENTS: Final = 32
AT_1000: Final = 1_000.0
WARM_S: Final = 1.0
"""How long a load runs before it is measured: a gateway's first second is spent on making connections."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything. The defaults take about three minutes."""

    rounds: int = 3
    seconds: float = 4.0
    open_loop_s: float = 8.0
    long_past: int = 100_000
    rates: tuple[int, ...] = (50_000, 100_000, 200_000, 300_000)
    results: Path = RESULTS
    only: frozenset[str] = frozenset()
    recovered: recovery.Size = recovery.Size()
    samples: Path | None = None

    def has(self, part: str) -> bool:
        return not self.only or part in self.only


PARTS: Final = ("rates", "latency", "past", "fanout", "risk")
ON_REQUEST: Final = ("recovery", "rotation", "senders", "revocation")
"""Parts that take minutes by themselves, and are measured only when they are named."""


class Round(msgspec.Struct, frozen=True):
    """What was measured side by side."""

    pgbench32: float
    fastapi_echo: float
    ws: Rate
    rest: Rate
    bare_ws: Rate
    bare_rest: Rate


class Suite:
    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._console = console
        self._cores = cores()
        self._values: Values = {"ratios": {}, "latency_ms": {}, "rates": {}, "cost_us": {}, "start_s": {}}
        told = msgspec.to_builtins(plan, enc_hook=str)
        del told["results"]  # a folder of one machine
        self._details: dict[str, Any] = {"plan": told}

    async def run(self) -> Path:
        never_collect()
        with tempfile.TemporaryDirectory(prefix="ordergate-bench-") as name:
            folder = Path(name)
            folder.chmod(0o755)  # the database's user passes through it
            # Started before anything is pinned, so that the server may use every core.
            async with EmbeddedPostgres(folder / "server") as server:
                os.sched_setaffinity(0, self._cores.around)
                async with broker(self._cores, folder) as counterparty:
                    await self._on_server(folder, server, counterparty)
        if self._plan.has("fanout"):
            await self._fan_out()
        if self._plan.has("risk"):
            self._risk()
        if "rotation" in self._plan.only:
            await self._rotations()
        if "revocation" in self._plan.only:
            await self._revocations()
        folder, described = self._plan.results, self._cores.described()
        return report(
            self._values,
            self._details,
            described,
            folder=folder,
            console=self._console,
            whole=not self._plan.only,
        )

    async def _on_server(self, folder: Path, server: EmbeddedPostgres, counterparty: Broker) -> None:
        if self._plan.has("rates") or self._plan.has("latency"):
            dsn = await server.database("fresh")
            async with stand(
                self._cores, folder, "fresh", dsn=dsn, broker=counterparty, samples=self._plan.samples
            ) as fresh:
                if self._plan.has("latency"):
                    await self._latencies(fresh)
                if self._plan.has("rates"):
                    await self._rounds(folder, server, fresh)
        if self._plan.has("past"):
            await self._pasts(folder, server, counterparty)
        if "recovery" in self._plan.only:
            await self._recoveries(folder, server, counterparty)
        if "senders" in self._plan.only:
            await self._senders(folder, await server.database("senders"), counterparty)

    async def _rounds(self, folder: Path, server: EmbeddedPostgres, fresh: Stand) -> None:
        single_rows = await server.database("single_rows")
        seconds = self._plan.seconds
        rounds = []
        self._say("pgbench with one client: what a commit costs on this disk")
        with _everywhere(self._cores):
            alone = await pgbench(server, single_rows, 1, seconds / 2)
        self._values["rates"]["pgbench1"] = round(alone, 1)
        async with (
            running("bench.echo", on=self._cores.subject, errors=folder / "echo.log") as echo,
            bare_stand(self._cores, folder, dsn=await server.database("bare"), broker=fresh.broker) as bare,
        ):
            for number in range(self._plan.rounds):
                self._say(
                    f"round {number + 1} of {self._plan.rounds}: pgbench, echo, WebSocket, REST, bare path"
                )
                with _everywhere(self._cores):
                    transactions = await pgbench(server, single_rows, CLIENTS, seconds)
                rounds.append(
                    Round(
                        transactions,
                        await echoes(echo.said["port"], seconds),
                        await stream_orders(fresh, seconds),
                        await rest_orders(fresh, seconds),
                        await stream_orders(bare, seconds),
                        await rest_orders(bare, seconds),
                    )
                )
        self._note_rounds(rounds)

    def _note_rounds(self, rounds: Sequence[Round]) -> None:
        self._details["rounds"] = msgspec.to_builtins(rounds)
        self._values["ratios"] |= {
            "ws_orders_vs_pgbench32": _median(r.ws.per_s / r.pgbench32 for r in rounds),
            "rest_orders_vs_pgbench32": _median(r.rest.per_s / r.pgbench32 for r in rounds),
            "rest_orders_vs_fastapi_echo": _median(r.rest.per_s / r.fastapi_echo for r in rounds),
            "bare_ws_vs_pgbench32": _median(r.bare_ws.per_s / r.pgbench32 for r in rounds),
            "bare_rest_vs_pgbench32": _median(r.bare_rest.per_s / r.pgbench32 for r in rounds),
            "bare_rest_vs_fastapi_echo": _median(r.bare_rest.per_s / r.fastapi_echo for r in rounds),
        }
        self._values["rates"] |= {
            "pgbench32": _median(r.pgbench32 for r in rounds),
            "fastapi_echo": _median(r.fastapi_echo for r in rounds),
            "ws_orders": _median(r.ws.per_s for r in rounds),
            "rest_orders": _median(r.rest.per_s for r in rounds),
            "bare_ws": _median(r.bare_ws.per_s for r in rounds),
            "bare_rest": _median(r.bare_rest.per_s for r in rounds),
        }
        self._values["cost_us"] |= {
            "ws_order": _median(r.ws.cpu_us for r in rounds),
            "rest_order": _median(r.rest.cpu_us for r in rounds),
            "bare_ws": _median(r.bare_ws.cpu_us for r in rounds),
            "bare_rest": _median(r.bare_rest.cpu_us for r in rounds),
        }

    async def _latencies(self, fresh: Stand) -> None:
        taken: dict[str, list[Share]] = {"rest": [], "stream": []}
        for through, shares in taken.items():
            await own_share(fresh, rate=AT_1000, seconds=WARM_S, through=through)
            for _ in range(2):
                self._say(f"1 000 orders/s, open loop, through {through}")
                seconds = self._plan.open_loop_s / 2
                shares.append(await own_share(fresh, rate=AT_1000, seconds=seconds, through=through))
        self._details["latency_ms"] = msgspec.to_builtins(taken)
        rest, stream = taken["rest"], taken["stream"]
        self._values["latency_ms"] |= {
            "own_share_p50_at_1000": _median(one.to_broker.p50 for one in rest),
            "own_share_p99_at_1000": _median(one.to_broker.p99 for one in rest),
            "ws_own_share_p50_at_1000": _median(one.to_broker.p50 for one in stream),
            "ws_own_share_p99_at_1000": _median(one.to_broker.p99 for one in stream),
            "rest_answer_p50_at_1000": _median(one.to_answer.p50 for one in rest),
            "rest_answer_p99_at_1000": _median(one.to_answer.p99 for one in rest),
        }

    async def _pasts(self, folder: Path, server: EmbeddedPostgres, counterparty: Broker) -> None:
        """The same load in turn on a short journal and on a long one."""
        dsns = {}
        for name, orders in (("short", SHORT_PAST), ("long", self._plan.long_past)):
            dsns[name] = dsn = await server.database(name)
            self._say(f"writing {orders:,} past orders".replace(",", " "))
            async with stand(self._cores, folder, name, dsn=dsn, broker=counterparty):
                pass  # the account is opened
            await write_past(dsn, orders)
        async with contextlib.AsyncExitStack() as stack:
            stands = {}
            for name, dsn in dsns.items():
                began = time.monotonic()
                opened = stand(self._cores, folder, name, dsn=dsn, broker=counterparty)
                stands[name] = await stack.enter_async_context(opened)
                self._values["start_s"][f"with_{name}_past"] = round(time.monotonic() - began, 2)
            taken: dict[str, list[Rate]] = {name: [] for name in stands}
            for number in range(self._plan.rounds):
                self._say(f"cost with a past, round {number + 1} of {self._plan.rounds}")
                for name, one in stands.items():
                    taken[name].append(await stream_orders(one, self._plan.seconds / 2))
        self._details["pasts"] = {"orders": [SHORT_PAST, self._plan.long_past], **msgspec.to_builtins(taken)}
        pairs = list(zip(taken["short"], taken["long"], strict=True))
        self._values["ratios"] |= {
            "cost_with_long_past": _median(short.per_s / long.per_s for short, long in pairs),
            "processor_with_long_past": _median(long.cpu_us / short.cpu_us for short, long in pairs),
        }

    async def _recoveries(self, folder: Path, server: EmbeddedPostgres, counterparty: Broker) -> None:
        size = self._plan.recovered
        self._say(f"kill -9 with {size.open_orders} open orders and {size.events} events")
        found = await recovery.measure(self._cores, folder, server, counterparty, size)
        self._details["recovery"] = found
        self._values["start_s"] |= {
            "kill_to_ready": max(kill["s"] for kill in found["kill_to_ready"]),
            "reconciliation": max(run["took_ms"] for run in found["reconciliations"]) / 1_000,
        }

    async def _fan_out(self) -> None:
        self._say("fan-out to 1 000 subscribers")
        found = await stream_fanout.measure(list(self._plan.rates), 1, self._cores)
        self._values["rates"]["fan_out_to_1000"] = found["sustained_messages_per_s"]
        self._details["fan_out"] = found

    async def _senders(self, folder: Path, dsn: str, counterparty: Broker) -> None:
        found = await senders.measure(
            self._cores,
            folder,
            dsn,
            counterparty,
            rounds=self._plan.rounds,
            seconds=self._plan.seconds,
            say=self._say,
        )
        self._details["senders"] = found
        self._values["rates"] |= {f"{name}_over_tls": way["orders_per_s"] for name, way in found.items()}
        self._values["cost_us"] |= {f"{name}_over_tls": way["cpu_us"] for name, way in found.items()}

    async def _revocations(self) -> None:
        self._say(f"a right is taken, {revocation.ROUNDS} times")
        with _everywhere(self._cores):
            found = await revocation.measure()
        self._details["revocation_s"] = found
        self._values["revocation"] = {
            f"{what}_longest_s": round(max(taken), 2) for what, taken in found.items()
        }

    async def _rotations(self) -> None:
        with tempfile.TemporaryDirectory(prefix="og-rotation-") as name, _everywhere(self._cores):
            Path(name).chmod(0o755)
            found = await rotation.measure(Path(name), self._say)
        self._details["rotation"] = found
        self._values["rotation"] = {
            "failed_orders": found["failed_orders"],
            "emergency_s": found["drills"]["signing_key_in_an_emergency"]["s"],
        }

    def _risk(self) -> None:
        best, median = risk_catalogue.whole_catalogue()
        self._values["cost_us"]["risk_catalogue"] = round(median, 1)
        self._details["risk_catalogue_us"] = {"best": round(best, 1), "median": round(median, 1)}
        best, median = risk_catalogue.whole_catalogue("USD")
        self._details["risk_catalogue_in_one_currency_us"] = {
            "best": round(best, 1),
            "median": round(median, 1),
        }

    def _say(self, words: str) -> None:
        self._console.print(f"[dim]{words}")


@contextlib.contextmanager
def _everywhere(cores: Cores) -> Iterator[None]:
    """What is started in the block may use every core."""
    os.sched_setaffinity(0, cores.subject | cores.around)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores.around)


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)
