"""The kill switch: read by some, turned by few. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from ordergate.api.bearer import challenge
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.exchange import Call, Reply, refused
from ordergate.api.requests import EngageFields, ReleaseFields
from ordergate.api.routes.hot import HotRoute
from ordergate.core.access import Principal, Scope
from ordergate.core.refusals import Refusal
from ordergate.engine.answering.answers import KillView

T = TypeVar("T", bound=msgspec.Struct)

_engage: Final = msgspec.json.Decoder(EngageFields)
_release: Final = msgspec.json.Decoder(ReleaseFields)
_encode: Final = msgspec.json.Encoder().encode


class KillSwitchRoutes:
    """Engaging twice and releasing twice are harmless, so neither needs an idempotency key.

    They have the cancels' quota: a client that spent its own can still stop.
    """

    def __init__(self, deps: Deps, door: Door) -> None:
        self._gate = deps.gate
        self._bounds = deps.bounds
        self._door = door

    def routes(self) -> list[HotRoute]:
        return [
            HotRoute("/v1/kill-switch", {"GET": self.show, "POST": self.engage}),
            HotRoute("/v1/kill-switch/release", {"POST": self.release}),
            HotRoute("/v1/kill-switch/flatten", {"POST": self.flatten}),
        ]

    async def show(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.RISK_READ)
        if isinstance(principal, Reply):
            return principal
        return Reply(200, _encode(self._gate.kill_state_for(principal)))

    async def engage(self, call: Call) -> Reply:
        async def ask(principal: Principal, asked: EngageFields) -> KillView | Refusal:
            return await self._gate.engage_kill(
                principal,
                grade=asked.grade,
                reason=asked.reason,
                correlation=call.correlation,
                level=asked.level,
                target=asked.target or "",
            )

        return await self._told(call, _engage, ask)

    async def release(self, call: Call) -> Reply:
        return await self._of_a_stop(call, self._gate.release_kill)

    async def flatten(self, call: Call) -> Reply:
        return await self._of_a_stop(call, self._gate.flatten_kill)

    async def _of_a_stop(self, call: Call, change: Callable[..., Awaitable[KillView | Refusal]]) -> Reply:
        async def ask(principal: Principal, asked: ReleaseFields) -> KillView | Refusal:
            return await change(
                principal,
                reason=asked.reason,
                correlation=call.correlation,
                level=asked.level,
                target=asked.target or "",
            )

        return await self._told(call, _release, ask, privileged=True)

    async def _told(
        self,
        call: Call,
        decoder: msgspec.json.Decoder[T],
        ask: Callable[[Principal, T], Awaitable[KillView | Refusal]],
        *,
        privileged: bool = False,
    ) -> Reply:
        principal = await self._door.enter(call, Scope.OPERATIONS_WRITE, cancels=True, privileged=privileged)
        if isinstance(principal, Reply):
            return principal
        asked = await call.asked(self._bounds, decoder)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        answer = await ask(principal, asked)
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation, challenge(answer, Scope.OPERATIONS_WRITE))
        return Reply(200, _encode(answer))
