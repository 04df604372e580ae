"""The limits as they stand, and how well this node does."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from ordergate.api import schemas
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.replies import json_object, json_reply, listed, plain
from ordergate.api.routes.documented import failing
from ordergate.api.routes.entry import entering, own
from ordergate.core.access import Principal, Scope


def limit_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["risk"])
    entered = Depends(entering(door, Scope.RISK_READ))

    @router.get(
        "/v1/risk/limits",
        response_model=schemas.Limits,
        responses=failing(400, 403, 404),
        summary="The limits in force; an account that has none is refused every order",
    )
    async def list_limits(
        query: Annotated[schemas.LimitsQuery, Query()], principal: Principal = entered
    ) -> Response:
        asked = query.account_id
        accounts = sorted(principal.accounts) if asked is None else [own(principal, asked)]
        found = [deps.gate.limits_of(account) for account in accounts]
        return json_reply(json_object(listed("limits", [body for body in found if body is not None])))

    return router


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
