"""The hot routes of groups of orders, declared for the OpenAPI document only."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter

from ordergate.api import group_schemas, schemas
from ordergate.api.routes.documented import JSON, REPLAYED, Key, answers

_WHERE: Final = {"Location": {"description": "Where the group is.", "schema": {"type": "string"}}}


def documented_groups() -> APIRouter:
    """Never mounted: only its description is read."""
    router = APIRouter()

    @router.post(
        "/v1/order-groups",
        status_code=201,
        tags=["groups"],
        summary="Place a group of orders: a bracket, one-cancels-other, one-triggers-other or trailing stop",
        description="Answers once the group and its first order are durable and approved by risk.",
        responses=answers(
            201, group_schemas.Group, "Durable.", {**_WHERE, **REPLAYED}, 400, 403, 404, 409, 415, 422
        ),
    )
    def place_group(group: Annotated[group_schemas.GroupRequest, JSON], key: Key) -> None: ...

    @router.get(
        "/v1/order-groups/{group_id}",
        tags=["groups"],
        summary="One group, and what became of each of its orders",
        responses=answers(200, group_schemas.Group, "As it stands.", {}, 400, 403, 404),
    )
    def show_group(group_id: group_schemas.GroupId) -> None: ...

    @router.delete(
        "/v1/order-groups/{group_id}",
        status_code=202,
        tags=["groups"],
        summary="Cancel everything that is left of a group",
        responses=answers(
            202, group_schemas.Group, "Asked.", {**_WHERE, **REPLAYED}, 400, 403, 404, 409, 422
        ),
    )
    def cancel_group(group_id: group_schemas.GroupId, key: Key) -> None: ...

    @router.post(
        "/v1/accounts/{account_id}/flatten",
        status_code=202,
        tags=["groups"],
        summary="Cancel every open order and close every position, of an account or of a symbol in it",
        description="The group that is answered shows what became of each order.",
        responses=answers(
            202, group_schemas.Group, "Asked.", {**_WHERE, **REPLAYED}, 400, 403, 404, 409, 415, 422
        ),
    )
    def flatten(
        account_id: schemas.AccountId, asked: Annotated[group_schemas.FlattenRequest, JSON], key: Key
    ) -> None: ...

    return router
