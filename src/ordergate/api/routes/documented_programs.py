"""The hot routes of keys of programs, declared for the OpenAPI document only."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter

from ordergate.api import limit_schemas, program_schemas
from ordergate.api.routes.documented import JSON, answers

_STATUSES: Final = (400, 403, 404, 409, 412, 415, 422)
_WAITS: Final = "Making or widening a key takes a login of the last five minutes, and perhaps another person."


def documented_programs() -> APIRouter:
    """Never mounted: only its description is read."""
    router = APIRouter(tags=["clients"])
    waits: dict[int | str, dict[str, Any]] = {
        202: {"model": limit_schemas.Change, "description": "It waits for another person."}
    }
    made = answers(201, program_schemas.NewSecret, "In force; its secret is told this once.", {}, *_STATUSES)
    stands = answers(200, program_schemas.Program, "In force.", {}, *_STATUSES)

    @router.post(
        "/v1/clients",
        status_code=201,
        summary="Register a program",
        description=_WAITS,
        responses=made | waits,
    )
    def create_client(asked: Annotated[program_schemas.ProgramRequest, JSON]) -> None: ...

    @router.put(
        "/v1/clients/{client_id}",
        summary="Bound a program's key otherwise",
        description=_WAITS,
        responses=stands | waits,
    )
    def change_client(
        client_id: program_schemas.ClientId, asked: Annotated[program_schemas.BoundsRequest, JSON]
    ) -> None: ...

    @router.post(
        "/v1/clients/{client_id}/rotate",
        summary="Give a program a new secret; the one before it serves a while yet",
        responses=answers(
            200, program_schemas.NewSecret, "In force; the secret is told this once.", {}, *_STATUSES
        ),
    )
    def rotate_client(
        client_id: program_schemas.ClientId, asked: Annotated[program_schemas.RotateRequest, JSON]
    ) -> None: ...

    @router.put(
        "/v1/clients/{client_id}/keys",
        summary="Say which keys a program proves itself with, instead of any secret",
        description=_WAITS,
        responses=stands | waits,
    )
    def publish_keys(
        client_id: program_schemas.ClientId, asked: Annotated[program_schemas.PublishRequest, JSON]
    ) -> None: ...

    @router.post(
        "/v1/clients/{client_id}/disable",
        summary="Refuse a program new tokens, and those it has; it holds at once",
        responses=stands,
    )
    def disable_client(
        client_id: program_schemas.ClientId, why: Annotated[limit_schemas.WhyRequest, JSON]
    ) -> None: ...

    return router
