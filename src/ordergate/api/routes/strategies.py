"""Strategies of the asker's own tenant: registered, listed, disabled. The desk judges what that means."""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from ordergate.api import schemas, strategy_schemas
from ordergate.api.bearer import challenge
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.exchange import Call, Reply, refused
from ordergate.api.replies import json_object, json_reply, listed
from ordergate.api.routes.documented import JSON, answers, failing
from ordergate.api.routes.entry import asked_of, entering
from ordergate.api.routes.hot import HotRoute
from ordergate.api.strategy_schemas import disable_decoder, strategy_decoder
from ordergate.core.access import Principal, Scope
from ordergate.core.refusals import Refusal
from ordergate.engine.desks.strategies_desk import StrategyView

T = TypeVar("T", bound=msgspec.Struct)

_encode: Final = msgspec.json.Encoder().encode
_STATUSES: Final = (400, 403, 404, 409, 415, 422)


class StrategyRoutes:
    def __init__(self, deps: Deps, door: Door) -> None:
        self._desk = deps.strategies
        self._bounds = deps.bounds
        self._door = door

    def routes(self) -> list[HotRoute]:
        return [
            HotRoute("/v1/strategies", {"POST": self.add}),
            HotRoute("/v1/strategies/disable", {"POST": self.disable}),
        ]

    async def add(self, call: Call) -> Reply:
        found = await self._entered(call, strategy_decoder)
        if isinstance(found, Reply):
            return found
        principal, asked = found
        answer = await self._desk.add(
            principal, name=asked.name, version=asked.version, owner=asked.owner, reason=asked.reason
        )
        return _told(call, answer, 201)

    async def disable(self, call: Call) -> Reply:
        found = await self._entered(call, disable_decoder)
        if isinstance(found, Reply):
            return found
        principal, asked = found
        answer = await self._desk.disable(
            principal, name=asked.name, version=asked.version, reason=asked.reason
        )
        return _told(call, answer, 200)

    async def _entered(self, call: Call, decoder: msgspec.json.Decoder[T]) -> tuple[Principal, T] | Reply:
        return await asked_of(self._door, call, Scope.ACCESS_WRITE, self._bounds, decoder)


def strategy_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["strategies"])
    entered = Depends(entering(door, Scope.ACCESS_READ))

    @router.get(
        "/v1/strategies",
        response_model=strategy_schemas.Strategies,
        responses=failing(400, 403),
        summary="The tenant's strategies, and who answers for each",
    )
    async def list_strategies(
        _: Annotated[schemas.NoQuery, Query()], principal: Principal = entered
    ) -> Response:
        found = map(_encode, deps.strategies.listed(principal))
        return json_reply(json_object(listed("strategies", found)))

    return router


def documented_strategies() -> APIRouter:
    """Never mounted: only its description is read."""
    router = APIRouter(tags=["strategies"])

    @router.post(
        "/v1/strategies",
        status_code=201,
        summary="Let a strategy trade, and say who answers for it",
        description="From the first one on no other trades. It takes a login of the last five minutes.",
        responses=answers(201, strategy_schemas.Strategy, "In force.", {}, *_STATUSES),
    )
    def add_strategy(asked: Annotated[strategy_schemas.StrategyRequest, JSON]) -> None: ...

    @router.post(
        "/v1/strategies/disable",
        summary="Refuse a strategy new orders; it holds at once",
        responses=answers(200, strategy_schemas.Strategy, "In force.", {}, *_STATUSES),
    )
    def disable_strategy(asked: Annotated[strategy_schemas.DisableRequest, JSON]) -> None: ...

    return router


def _told(call: Call, answer: StrategyView | Refusal, status: int) -> Reply:
    if isinstance(answer, Refusal):
        return refused(answer, call.correlation, challenge(answer, Scope.ACCESS_WRITE))
    return Reply(status, _encode(answer))
