"""The short way of a new order through REST: decided in the very turn in which it arrives.

It takes a request in the usual form, from a client that is known and within its quotas, about which
nothing has to be looked up, and leaves every other one untouched to the long way. What the two ways
decide, say and count is the same, because both are made of the same parts: this one only has no task,
no queue and no messages in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from ordergate.api.client_requests import METHOD, PATH, ClientRequest
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.edge import Edge
from ordergate.api.exchange import JSON
from ordergate.api.requests import terms_in
from ordergate.api.routes.orders import told
from ordergate.core.access import Principal
from ordergate.core.idempotency import parse_key
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Refusal
from ordergate.engine.answering.answers import Answer
from ordergate.telemetry.log import bind, unbind

CREATED: Final = 201

Write = Callable[[int, bytes, bytes], None]
"""Takes a status, the lines of the headers, and the body."""


_UNUSUAL: Final = frozenset({b"content-encoding", b"prefer"})


class Express:
    def __init__(self, deps: Deps, door: Door, edge: Edge) -> None:
        self._gate = deps.gate
        self._clock = deps.clock
        self._body_bytes_max = deps.bounds.body_bytes_max
        self._door = door
        self._edge = edge
        self._asked: set[asyncio.Task[None]] = set()

    def take(self, request: ClientRequest, peer: str, write: Write) -> bool:
        """True when it was taken: `write` is called once. False: nothing was done, and nothing counted."""
        headers, body = request.headers, request.body
        usual = headers.get(b"content-type") == JSON and b"host" in headers and _UNUSUAL.isdisjoint(headers)
        if not usual or len(body) > self._body_bytes_max:
            return False
        began = self._clock.monotonic()
        peer = self._edge.client(peer, headers)
        principal = self._door.known(headers.get(b"authorization"), peer, began)
        if principal is None or self._edge.would_turn_away(request.size, peer, began):
            return False
        key = parse_key(headers.get(b"idempotency-key", b"").decode("latin-1"))
        terms = terms_in(body)
        if isinstance(key, Refusal) or isinstance(terms, Refusal):
            return False
        asked = _Asked(self, principal, terms, key, self._edge.correlation(headers), began, write)
        bound = bind(asked.correlation)
        try:
            taken = self._gate.place_now(
                principal, terms, key=key, correlation=asked.correlation, tell=asked.told
            )
        finally:
            unbind(bound)
        if not taken:
            return False
        self._edge.passed(peer, began)
        self._door.passed(principal, began)
        return True

    def ask_again(self, asked: _Asked) -> None:
        """The commit failed: the long way knows what to do, and the key what has been done."""
        task = asyncio.create_task(self._again(asked))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _again(self, asked: _Asked) -> None:
        """Whatever comes of it is told: on this way nobody else would answer the request."""
        bound = bind(asked.correlation)
        try:
            answer = await self._gate.place(
                asked.principal, asked.terms, key=asked.key, correlation=asked.correlation
            )
        except Exception as fault:
            answer = self._edge.met(fault, METHOD)
        finally:
            unbind(bound)
        self.tell(asked, answer)

    def tell(self, asked: _Asked, answer: Answer | Refusal) -> None:
        reply = told(answer, CREATED, asked.correlation)
        head = reply.head(self._edge.marks(asked.correlation)) or b""
        asked.write(reply.status, head, reply.body)
        self._edge.told(reply.status, reply.refused, asked.began, METHOD, PATH)


class _Asked(msgspec.Struct, frozen=True):
    """One order on its way."""

    express: Express
    principal: Principal
    terms: Terms
    key: str
    correlation: str
    began: float
    write: Write

    def told(self, answer: Answer | Refusal | None) -> None:
        if answer is None:
            self.express.ask_again(self)
        else:
            self.express.tell(self, answer)
