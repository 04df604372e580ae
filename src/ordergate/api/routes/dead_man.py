"""Dead man's switches of the client that asks. Nothing is decided here."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from ordergate.api.bearer import challenge
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.exchange import Call, Reply, refused
from ordergate.api.requests import LABEL, DeadManFields
from ordergate.api.routes.hot import HotRoute
from ordergate.core.access import Scope
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Remaining
from ordergate.engine.answering.answers import DeadManView

_fields: Final = msgspec.json.Decoder(DeadManFields)
_encode: Final = msgspec.json.Encoder().encode
_SESSION: Final = re.compile(LABEL)


class DeadManRoutes:
    """Arming again is refreshing, so it needs no idempotency key; it has the cancels' quota."""

    def __init__(self, deps: Deps, door: Door) -> None:
        self._dead_man = deps.dead_man
        self._bounds = deps.bounds
        self._door = door

    def routes(self) -> list[HotRoute]:
        return [
            HotRoute("/v1/dead-man", {"GET": self.show, "PUT": self.arm}),
            HotRoute("/v1/dead-man/{session}", {"DELETE": self.disarm}),
        ]

    async def show(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.ORDERS_WRITE)
        if isinstance(principal, Reply):
            return principal
        return Reply(200, _encode({"sessions": self._dead_man.of(principal)}))

    async def arm(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.ORDERS_WRITE, cancels=True)
        if isinstance(principal, Reply):
            return principal
        asked = await call.asked(self._bounds, _fields)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        answer = await self._dead_man.arm(
            principal,
            asked.session,
            timeout_s=asked.timeout_s,
            gtc=Remaining(asked.gtc),
            correlation=call.correlation,
        )
        return _told(call, answer)

    async def disarm(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.ORDERS_WRITE, cancels=True)
        if isinstance(principal, Reply):
            return principal
        session = call.part("session")
        if _SESSION.fullmatch(session) is None:
            return refused(Refusal(Code.NOT_FOUND, "there is no such session"), call.correlation)
        return _told(call, await self._dead_man.disarm(principal, session, correlation=call.correlation))


def _told(call: Call, answer: DeadManView | Refusal) -> Reply:
    if isinstance(answer, Refusal):
        return refused(answer, call.correlation, challenge(answer, Scope.ORDERS_WRITE))
    return Reply(200, _encode(answer))
