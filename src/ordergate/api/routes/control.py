"""How well this node does, for whoever starts, stops and watches it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from ordergate.api import schemas
from ordergate.api.deps import Deps
from ordergate.api.replies import plain


def health(deps: Deps) -> APIRouter:
    """Spoken without a token, and without a word about who or what is inside."""
    router = APIRouter(tags=["operation"])
    unheard: dict[int | str, dict[str, Any]] = {503: {"description": "Not ready; GET says why."}}

    @router.head(
        "/livez",
        response_class=Response,
        openapi_extra={"security": []},
        summary="The same for who looks at the status alone",
    )
    @router.get(
        "/livez",
        response_model=schemas.Alive,
        openapi_extra={"security": []},
        summary="The process is alive",
    )
    async def livez() -> Response:
        return plain({"status": "alive"})

    @router.head(
        "/readyz",
        response_class=Response,
        responses=unheard,
        openapi_extra={"security": []},
        summary="The same for who looks at the status alone",
    )
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
