"""The hot routes of limits, declared for the OpenAPI document only."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header

from ordergate.api import limit_schemas
from ordergate.api.routes.documented import JSON, answers

IfMatch = Annotated[
    str | None, Header(alias="If-Match", description="The ETag that you saw; of a rule that is there.")
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", pattern=r"^\*$", description="`*`, for a rule that is new.")
]
_TAG: Final[dict[str, Any]] = {
    "ETag": {"description": "The rule's version, for If-Match.", "schema": {"type": "string"}}
}
_WAITS: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": limit_schemas.Edit, "description": "It loosens: another person must approve it."}
}


def documented_limits() -> APIRouter:
    """Never mounted: only its description is read."""
    router = APIRouter(tags=["risk"])
    _document_rules(router)
    _document_dry_run(router)
    _document_changes(router)
    return router


def _document_rules(router: APIRouter) -> None:
    edited = (
        answers(200, limit_schemas.Edit, "In force.", _TAG, 400, 403, 404, 409, 412, 415, 422, 428) | _WAITS
    )

    @router.put(
        "/v1/risk/limits/{rule_id}",
        summary="Make a rule, or another one of it",
        description="What only tightens is in force when it is answered; what loosens waits.",
        responses=edited,
    )
    def put_rule(
        rule_id: limit_schemas.RuleId,
        rule: Annotated[limit_schemas.RuleRequest, JSON],
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> None: ...

    @router.delete("/v1/risk/limits/{rule_id}", summary="Take a rule away", responses=edited)
    def remove_rule(
        rule_id: limit_schemas.RuleId,
        why: Annotated[limit_schemas.WhyRequest, JSON],
        if_match: IfMatch = None,
    ) -> None: ...

    @router.post(
        "/v1/risk/limits/apply",
        summary="Make the rules as a file has them",
        description="With `preview` nothing is made, and the answer says what would be.",
        responses={
            **answers(200, limit_schemas.Edit, "In force.", {}, 400, 403, 404, 409, 412, 415, 422),
            200: {"model": limit_schemas.Edit | limit_schemas.Plan, "description": "In force, or planned."},
            **_WAITS,
        },
    )
    def apply_rules(asked: Annotated[limit_schemas.ApplyRequest, JSON]) -> None: ...


def _document_dry_run(router: APIRouter) -> None:
    @router.post(
        "/v1/risk/limits/dry-run",
        summary="What the last orders would have got under other rules",
        description="Replayed from the journal; nothing is written.",
        responses=answers(200, limit_schemas.DryRun, "Where they differ.", {}, 400, 403, 404, 409, 415, 422),
    )
    def dry_run(asked: Annotated[limit_schemas.DryRunRequest, JSON]) -> None: ...


def _document_changes(router: APIRouter) -> None:
    settled = answers(200, limit_schemas.Change, "Settled.", {}, 400, 403, 404, 409, 412, 415, 422)

    @router.post(
        "/v1/risk/overrides",
        status_code=202,
        summary="Ask another person to let one order pass, once",
        description="Both persons must have logged in within the last five minutes.",
        responses=answers(202, limit_schemas.Change, "It waits.", {}, 400, 403, 404, 409, 415, 422),
    )
    def ask_override(asked: Annotated[limit_schemas.OverrideRequest, JSON]) -> None: ...

    @router.post(
        "/v1/risk/changes/{change_id}/approve",
        summary="Approve what another person proposed",
        responses=settled,
    )
    def approve(
        change_id: limit_schemas.ChangeId, why: Annotated[limit_schemas.WhyRequest, JSON]
    ) -> None: ...

    @router.post(
        "/v1/risk/changes/{change_id}/reject",
        summary="Reject what was proposed, or take it back",
        responses=settled,
    )
    def reject(change_id: limit_schemas.ChangeId, why: Annotated[limit_schemas.WhyRequest, JSON]) -> None: ...
