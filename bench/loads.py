"""Closed loops, which show how much a server can do, and open ones, which show how long it takes.

A closed loop asks again when it is answered. An open loop asks when its time has come, whether or not
anything was answered, and every latency counts from the time at which the order was meant to leave.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bench.clients import Client, NotAccepted, StreamClient

Ask = Callable[[], bytes]
_ANSWERED_S_MAX: Final = 60.0
_LEAD_NS: Final = 50_000_000
_LOOK_S: Final = 0.25


class Asked(msgspec.Struct, frozen=True):
    """How many were asked and answered, and from when to when (CLOCK_MONOTONIC)."""

    count: int
    began: float
    ended: float


class ClosedLoop:
    """Every connection keeps `deep` requests in flight for some seconds; then all are waited for."""

    def __init__(self, clients: Sequence[Client], ask: Ask, *, deep: int = 1) -> None:
        self._clients = clients
        self._ask = ask
        self._deep = deep
        self._in_flight = 0
        self._answered = 0
        self._until = 0.0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, seconds: float) -> Asked:
        began = time.monotonic()
        self._until = began + seconds
        for client in self._clients:
            client.on_answer = self._go_on(client)
            for _ in range(self._deep):
                self._in_flight += 1
                client.ask(self._ask())
        async with asyncio.timeout(seconds + _ANSWERED_S_MAX):
            while not self._done.done():
                await asyncio.wait((self._done,), timeout=_LOOK_S)
                _check(self._clients)
        return Asked(self._answered, began, time.monotonic())

    def _go_on(self, client: Client) -> Callable[[bytes], None]:
        def answered(_: bytes) -> None:
            self._answered += 1
            if time.monotonic() < self._until:
                client.ask(self._ask())
                return
            self._in_flight -= 1
            if not self._in_flight and not self._done.done():
                self._done.set_result(None)

        return answered


class Sent(msgspec.Struct, frozen=True):
    """One order of an open loop: when it was meant to leave and what answered it."""

    due_ns: int
    answered_ns: int
    answer: bytes


class OpenLoop:
    """`rate` orders a second, evenly, each from whichever connection may ask.

    A stream may always ask; a keep-alive connection only when it waits for nothing, and an order that
    finds none waits for one while its time runs.
    """

    def __init__(self, clients: Sequence[Client], ask: Ask, *, rate: float) -> None:
        self._ask = ask
        self._rate = rate
        self._loop = asyncio.get_running_loop()
        self._clients = clients
        self._free = deque(clients)
        self._late: deque[int] = deque()
        self._due: dict[bytes, int] = {}
        self._sent: list[Sent] = []
        self._total = 0
        self._all: asyncio.Future[None] = self._loop.create_future()
        for client in clients:
            client.on_answer = self._answered_by_stream

    async def run(self, seconds: float) -> list[Sent]:
        """A thread keeps the time: the loop's own timers are too coarse for this."""
        self._total = int(self._rate * seconds)
        pacing = threading.Thread(target=self._pace, daemon=True)
        pacing.start()
        async with asyncio.timeout(seconds + _ANSWERED_S_MAX):
            while not self._all.done():
                await asyncio.wait((self._all,), timeout=_LOOK_S)
                _check(self._clients)
        pacing.join()
        return self._sent

    def _pace(self) -> None:
        began = time.monotonic_ns() + _LEAD_NS
        for number in range(self._total):
            due = began + int(number * 1e9 / self._rate)
            wait_ns = due - time.monotonic_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / 1e9)
            self._loop.call_soon_threadsafe(self._arrive, due)

    def _arrive(self, due: int) -> None:
        if not self._free:
            self._late.append(due)
            return
        client = self._free.popleft()
        request = self._ask()
        if isinstance(client, StreamClient):
            self._free.append(client)
            self._due[_id_in(request)] = due
        else:
            client.on_answer = lambda answer: self._answered_by_rest(client, due, answer)
        client.ask(request)

    def _answered_by_rest(self, client: Client, due: int, answer: bytes) -> None:
        self._free.append(client)
        self._note(due, answer)
        if self._late:
            self._arrive(self._late.popleft())

    def _answered_by_stream(self, answer: bytes) -> None:
        self._note(self._due.pop(_id_in(answer)), answer)

    def _note(self, due: int, answer: bytes) -> None:
        self._sent.append(Sent(due, time.monotonic_ns(), answer))
        if len(self._sent) == self._total:
            self._all.set_result(None)


def _check(clients: Sequence[Client]) -> None:
    for client in clients:
        if client.trouble is not None:
            raise NotAccepted(client.trouble)


def _id_in(frame: bytes) -> bytes:
    at = frame.index(b'"id":"') + 6
    return frame[at : frame.index(b'"', at)]
