"""What is measured on a stand, one function for each figure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from bench.clients import RestClient, StreamClient
from bench.loads import ClosedLoop, OpenLoop
from bench.orders import Orders
from bench.processes import cpu_s
from bench.stand import Stand

REST_CONNECTIONS: Final = 64
STREAMS: Final = 8
DEEP: Final = 16
EVENTS_PER_ORDER: Final = 2  # accepted, acknowledged
_REFUSED: Final = {"order_denied", "order_rejected"}

_POLL_S: Final = 0.005
_ACKNOWLEDGED_S_MAX: Final = 60.0


class Rate(msgspec.Struct, frozen=True):
    """Orders a second, durable and acknowledged by the broker, and the gateway's own cost of each."""

    per_s: float
    cpu_us: float


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds from the intended time of leaving."""

    p50: float
    p99: float
    p999: float


class Share(msgspec.Struct, frozen=True):
    """`to_broker` is the gateway's own share; `to_answer` is until the client knows it is durable."""

    to_broker: Latency
    to_answer: Latency


async def rest_orders(stand: Stand, seconds: float) -> Rate:
    """Durable, acknowledged orders a second through REST."""
    clients = [await RestClient.connect(stand.port) for _ in range(REST_CONNECTIONS)]
    return await taken(stand, ClosedLoop(clients, Orders(stand.token).request), clients, seconds)


async def stream_orders(stand: Stand, seconds: float) -> Rate:
    """Durable, acknowledged orders a second through WebSockets."""
    clients = [await StreamClient.connect(stand.port, stand.token) for _ in range(STREAMS)]
    loop = ClosedLoop(clients, Orders(stand.token).frame, deep=DEEP)
    return await taken(stand, loop, clients, seconds)


async def echoes(port: int, seconds: float) -> float:
    """Answers a second of the echo, to the same requests."""
    clients = [await RestClient.connect(port) for _ in range(REST_CONNECTIONS)]
    asked = await ClosedLoop(clients, Orders("none").request).run(seconds)
    _close(clients)
    return asked.count / (asked.ended - asked.began)


async def own_share(stand: Stand, *, rate: float, seconds: float, through: str) -> Share:
    """Latencies in an open loop, through `rest` or `stream`."""
    orders = Orders(stand.token)
    clients: list[RestClient] | list[StreamClient]
    if through == "rest":
        clients = [await RestClient.connect(stand.port) for _ in range(REST_CONNECTIONS)]
        loop = OpenLoop(clients, orders.request, rate=rate)
    else:
        clients = [await StreamClient.connect(stand.port, stand.token) for _ in range(STREAMS)]
        loop = OpenLoop(clients, orders.frame, rate=rate)
    before = await stand.head()
    await stand.broker.arrivals(stand.key)
    sent = await loop.run(seconds)
    await _until_acknowledged(stand, before, len(sent))
    _close(clients)
    arrived = await stand.broker.arrivals(stand.key)
    return Share(
        _latency([arrived[_name_at_broker(one.answer)] - one.due_ns for one in sent]),
        _latency([one.answered_ns - one.due_ns for one in sent]),
    )


async def taken(
    stand: Stand, loop: ClosedLoop, clients: Sequence[RestClient] | Sequence[StreamClient], seconds: float
) -> Rate:
    """Until the last order is acknowledged, and that is durable too."""
    before, cpu_before = await stand.head(), cpu_s(stand.process.pid)
    asked = await loop.run(seconds)
    ended = await _until_acknowledged(stand, before, asked.count)
    cpu = cpu_s(stand.process.pid) - cpu_before
    _close(clients)
    arrived = await stand.broker.arrivals(stand.key)
    if len(arrived) < asked.count:
        raise RuntimeError(f"{asked.count} orders were taken, {len(arrived)} reached the broker")
    return Rate(asked.count / (ended - asked.began), cpu / asked.count * 1e6)


async def _until_acknowledged(stand: Stand, before: int, orders: int) -> float:
    head = before + EVENTS_PER_ORDER * orders
    async with asyncio.timeout(_ACKNOWLEDGED_S_MAX):
        while await stand.head() < head:
            await asyncio.sleep(_POLL_S)
        ended = time.monotonic()
        # What the broker answers late on a busy machine is told as sent first: one event more.
        while (kinds := await stand.kinds(before)).get("order_acknowledged", 0) < orders:
            await asyncio.sleep(_POLL_S)
            ended = time.monotonic()
    if refused := kinds.keys() & _REFUSED:
        raise RuntimeError(f"only orders that are taken are measured, and there are {sorted(refused)}")
    return ended


def _name_at_broker(answer: bytes) -> str:
    """The client order id that the broker was told, from the order's own id in the answer."""
    at = answer.index(b'"id":"P-') + len(b'"id":"P-')
    return f"P{answer[at : at + 18].decode()}001"


def _latency(nanoseconds: list[int]) -> Latency:
    nanoseconds.sort()

    def at(share: float) -> float:
        return round(nanoseconds[min(int(len(nanoseconds) * share), len(nanoseconds) - 1)] / 1e6, 3)

    return Latency(at(0.5), at(0.99), at(0.999))


def _close(clients: Sequence[RestClient] | Sequence[StreamClient]) -> None:
    for client in clients:
        client.close()
