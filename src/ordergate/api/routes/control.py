"""The kill switch: read by some, turned by few."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from ordergate.api import schemas
from ordergate.api.bearer import challenge
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.exchange import Call, Reply, refused
from ordergate.api.json_bodies import decode
from ordergate.api.replies import plain
from ordergate.api.requests import EngageFields, ReleaseFields
from ordergate.api.routes.hot import HotRoute
from ordergate.core.access import Scope
from ordergate.core.refusals import Refusal
from ordergate.engine.answers import KillView

T = TypeVar("T", bound=msgspec.Struct)

_engage: Final = msgspec.json.Decoder(EngageFields)
_release: Final = msgspec.json.Decoder(ReleaseFields)
_encode: Final = msgspec.json.Encoder().encode


class KillSwitchRoutes:
    """Engaging twice and releasing twice are harmless, so neither needs an idempotency key."""

    def __init__(self, deps: Deps, door: Door) -> None:
        self._gate = deps.gate
        self._bounds = deps.bounds
        self._door = door

    def routes(self) -> list[HotRoute]:
        return [
            HotRoute("/v1/kill-switch", {"GET": self.show, "POST": self.engage}),
            HotRoute("/v1/kill-switch/release", {"POST": self.release}),
        ]

    async def show(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.RISK_READ)
        return principal if isinstance(principal, Reply) else Reply(200, _encode(self._gate.kill_state()))

    async def engage(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.RISK_WRITE)
        if isinstance(principal, Reply):
            return principal
        asked = await self._asked(call, _engage)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        return _told(
            call,
            await self._gate.engage_kill(
                principal, grade=asked.grade, reason=asked.reason, correlation=call.correlation
            ),
        )

    async def release(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.RISK_WRITE)
        if isinstance(principal, Reply):
            return principal
        asked = await self._asked(call, _release)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        return _told(
            call,
            await self._gate.release_kill(principal, reason=asked.reason, correlation=call.correlation),
        )

    async def _asked(self, call: Call, decoder: msgspec.json.Decoder[T]) -> T | Refusal:
        body = await call.json_body(self._bounds)
        if isinstance(body, Refusal):
            return body
        return decode(body, decoder)


def _told(call: Call, answer: KillView | Refusal) -> Reply:
    if isinstance(answer, Refusal):
        return refused(answer, call.correlation, challenge(answer, Scope.RISK_WRITE))
    return Reply(200, _encode(answer))


def health(deps: Deps) -> APIRouter:
    """Spoken without a token, and without a word about who or what is inside."""
    router = APIRouter(tags=["operation"])

    @router.get(
        "/livez",
        response_model=schemas.Alive,
        openapi_extra={"security": []},
        summary="The process is alive",
    )
    async def livez() -> Response:
        return plain({"status": "alive"})

    @router.get(
        "/readyz",
        response_model=schemas.Ready,
        responses={503: {"model": schemas.Ready, "description": "Not ready, and why."}},
        openapi_extra={"security": []},
        summary="Orders can be accepted",
    )
    async def readyz() -> Response:
        reasons = dict(deps.gate.readiness())
        reply = plain({"status": "not-ready" if reasons else "ready", "reasons": reasons})
        reply.status_code = 503 if reasons else 200
        return reply

    return router
