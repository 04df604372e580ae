"""How many messages a second one gateway process gives to a thousand subscribers.

Two processes: the gateway with an in-memory account, whose events are told at a steady pace, and a
thousand WebSocket clients that count what they get. A rate counts as sustained when every
subscriber has every event within a second of the last one and nobody was closed. Prints one JSON
object; run it as `python -m bench.stream_fanout`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe
from typing import Any, Final, cast

import msgspec
import uvicorn
import uvloop

from bench.processes import Cores, cores
from ordergate.api.app import create_app
from ordergate.api.deps import Bounds
from ordergate.api.protocols import server_options
from ordergate.api.quotas import Rate
from ordergate.core.ids import AccountId
from ordergate.ports.views import Snapshot
from tests.api.books import Books
from tests.api.ledger import ACCOUNT
from tests.api.people import TRADER, StillClock, deps_of

SUBSCRIBERS: Final = 1_000
SECONDS: Final = 2.0
LATE_S: Final = 1.0
RATES: Final = (25_000, 50_000, 100_000, 200_000, 300_000, 400_000, 600_000)
EVENT: Final = (
    b'{"type":"event","account_id":"P-DEMO","seq":%07d,"kind":"order_acknowledged",'
    b'"at":"2024-03-01T14:30:00.000001Z","correlation_id":"0123456789abcdef","order":{%s}}'
)
ORDER: Final = b",".join(b'"field_%02d":"%s"' % (number, b"x" * 12) for number in range(16))
FIRST_SEQ: Final = 1_000_000


class Ticking(StillClock):
    """The machine's own time."""

    def monotonic(self) -> float:
        return time.monotonic()


class Older(Books):
    """An account with a past, so that every number has the same length."""

    async def snapshot(self, account: AccountId) -> Snapshot | None:
        found = await super().snapshot(account)
        return None if found is None else msgspec.structs.replace(found, seq=FIRST_SEQ)


def serve(pipe: Pipe) -> None:
    """The gateway's process: a server, and whatever the pipe says to tell."""
    uvloop.run(_serve(pipe))


async def _serve(pipe: Pipe) -> None:
    books = Older()
    rate = Rate(per_s=1e6, burst=1_000_000)
    deps = deps_of(books, clock=Ticking(), bounds=Bounds(requests_of_peer=rate))
    options = server_options() | {"loop": "none"}
    server = uvicorn.Server(uvicorn.Config(create_app(deps), host="127.0.0.1", port=0, **options))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    pipe.send(server.servers[0].sockets[0].getsockname()[1])
    seq = FIRST_SEQ
    loop = asyncio.get_running_loop()
    while (asked := await loop.run_in_executor(None, pipe.recv)) is not None:
        events_per_s, burst = asked
        total = int(events_per_s * SECONDS)
        began = time.monotonic()
        busy = time.process_time()
        told = 0
        while told < total:
            due = min(total, int((time.monotonic() - began) * events_per_s) + 1)
            if due - told >= min(burst, total - told):
                for _ in range(due - told):
                    seq += 1
                    deps.hub.tell(ACCOUNT, seq, "order_acknowledged", EVENT % (seq, ORDER))
                told = due
            await asyncio.sleep(0.002)
        pipe.send((total, (time.process_time() - busy) / (time.monotonic() - began), deps.hub.sessions))
    server.should_exit = True
    await running


class Subscriber(asyncio.Protocol):
    """Shakes hands, subscribes, and then counts bytes: all events are of one length."""

    def __init__(self, joined: asyncio.Semaphore) -> None:
        self.received = 0
        self.closed = False
        self._joined = joined
        self._opening = b""
        self._ready = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(
            b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer " + TRADER.encode() + b"\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        if self._ready:
            self.received += len(data)
            return
        self._opening += data
        if b'"authenticated"' in self._opening and b'"reset"' not in self._opening:
            self._subscribe()
        if b'"reset"' in self._opening:
            self._ready = True
            self._joined.release()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True

    def _subscribe(self) -> None:
        payload = b'{"type":"subscribe","account_id":"P-DEMO","channels":["orders"]}'
        mask = bytes(4)  # a mask of zeros is still a mask
        self._transport.write(bytes((0x81, 0x80 | len(payload))) + mask + payload)


async def drive(pipe: Pipe, rates: Sequence[int], burst: int) -> list[dict[str, Any]]:
    loop = asyncio.get_running_loop()
    port = await loop.run_in_executor(None, pipe.recv)
    joined = asyncio.Semaphore(0)
    clients = []
    for _ in range(SUBSCRIBERS):
        _, client = await loop.create_connection(lambda: Subscriber(joined), "127.0.0.1", port)
        clients.append(client)
    async with asyncio.timeout(60):
        for _ in range(SUBSCRIBERS):
            await joined.acquire()
    results = []
    for rate in rates:
        results.append(await _one_rate(pipe, clients, rate, burst))
        if not results[-1]["sustained"]:
            break
    pipe.send(None)
    return results


async def _one_rate(pipe: Pipe, clients: list[Subscriber], rate: int, burst: int) -> dict[str, Any]:
    """Heartbeats arrive between the events; they are few and small, and are taken off the count."""
    loop = asyncio.get_running_loop()
    before = [client.received for client in clients]
    began = time.monotonic()
    pipe.send((rate / SUBSCRIBERS, burst))
    total, busy, sessions = await loop.run_in_executor(None, pipe.recv)
    length = len(EVENT % (FIRST_SEQ, ORDER)) + len(b'"prev_seq":1000000,') + 4
    deadline = time.monotonic() + LATE_S
    while time.monotonic() < deadline and not _all_have(clients, before, total * length):
        await asyncio.sleep(0.002)  # an event of every client would cost more than what is measured
    took = time.monotonic() - began
    everybody = _all_have(clients, before, total * length)
    received = sum(client.received - start for client, start in zip(clients, before, strict=True))
    return {
        "offered_messages_per_s": rate,
        "delivered_messages_per_s": round(received / length / took),
        "sustained": everybody and sessions == SUBSCRIBERS and not any(client.closed for client in clients),
        "gateway_cpu": round(busy, 2),
    }


def _all_have(clients: list[Subscriber], before: list[int], wanted: int) -> bool:
    return all(client.received - start >= wanted for client, start in zip(clients, before, strict=True))


async def measure(rates: list[int], burst: int, on: Cores) -> dict[str, Any]:
    """The highest of the rates that is sustained, and what each of them gave."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    process.start()
    if process.pid is not None:
        os.sched_setaffinity(process.pid, on.subject)
    os.sched_setaffinity(0, on.around)
    try:
        results = await drive(ours, rates, burst)
    finally:
        await asyncio.to_thread(process.join, 20)
        process.kill()
    sustained = [result["offered_messages_per_s"] for result in results if result["sustained"]]
    return {
        "subscribers": SUBSCRIBERS,
        "burst": burst,
        "sustained_messages_per_s": max(sustained, default=0),
        "steps": results,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--burst", type=int, default=1, help="events told at once, as one commit does")
    parser.add_argument("--rates", type=int, nargs="+", default=list(RATES))
    asked = parser.parse_args()
    print(json.dumps(uvloop.run(measure(asked.rates, asked.burst, cores())), indent=1))


if __name__ == "__main__":
    main()
