"""The hot routes of access, declared for the OpenAPI document only."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter

from ordergate.api import access_schemas, limit_schemas
from ordergate.api.routes.documented import JSON, answers

_STATUSES: Final = (400, 403, 404, 409, 412, 415, 422)


def documented_access() -> APIRouter:
    """Never mounted: only its description is read."""
    router = APIRouter(tags=["access"])
    settled = answers(200, limit_schemas.Change, "Settled.", {}, *_STATUSES)
    less = answers(200, access_schemas.Subject, "In force.", {}, *_STATUSES)

    @router.post(
        "/v1/access/assignments",
        status_code=202,
        summary="Ask another person to give somebody a role",
        description="Both persons must have logged in within the last five minutes.",
        responses=answers(202, limit_schemas.Change, "It waits.", {}, *_STATUSES),
    )
    def ask_role(asked: Annotated[access_schemas.RoleRequest, JSON]) -> None: ...

    @router.post(
        "/v1/access/assignments/withdraw", summary="Take a role away; it holds at once", responses=less
    )
    def withdraw_role(asked: Annotated[access_schemas.RoleRequest, JSON]) -> None: ...

    @router.post(
        "/v1/access/subjects/keep-out",
        summary="Refuse a subject everything, whatever its roles are; it holds at once",
        responses=less,
    )
    def keep_out(asked: Annotated[access_schemas.KeepOutRequest, JSON]) -> None: ...

    @router.post(
        "/v1/access/changes/{change_id}/approve",
        summary="Approve a role that another person asked for",
        responses=settled,
    )
    def approve_role(
        change_id: limit_schemas.ChangeId, why: Annotated[limit_schemas.WhyRequest, JSON]
    ) -> None: ...

    @router.post(
        "/v1/access/changes/{change_id}/reject",
        summary="Reject a role that was asked for, or take the wish back",
        responses=settled,
    )
    def reject_role(
        change_id: limit_schemas.ChangeId, why: Annotated[limit_schemas.WhyRequest, JSON]
    ) -> None: ...

    return router
