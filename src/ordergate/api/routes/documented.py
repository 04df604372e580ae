"""The hot routes as the OpenAPI document tells them.

They are served without FastAPI, so they are declared here a second time, for the document only: the
functions below are never called. That both sides have the same paths and methods is tested.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Path, Query

from ordergate.api import account_schemas, schemas, stop_schemas, stream_schemas
from ordergate.core.hooks.hook import NAME

Responses = dict[int | str, dict[str, Any]]

_WORDS: Final = {
    400: "The request is malformed or has an impossible value.",
    401: "No valid access token.",
    403: "The token lacks the scope.",
    404: "No such thing, or not visible to this client.",
    409: "The order or the idempotency key does not stand for it now.",
    412: "What was to be changed is another by now.",
    413: "Too large.",
    415: "The body must be application/json.",
    422: "Denied by risk, an unlisted instrument, or the idempotency key was used for another request.",
    428: "Say with If-Match or If-None-Match what you saw.",
    429: "Too many requests; see Retry-After.",
    500: "A defect of the gateway.",
    503: "Not ready, or a part is not available; see Retry-After.",
}

# What can happen on every route that asks for a token.
_ALWAYS: Final = (401, 413, 429, 500, 503)


_RETRY: Final = {
    "Retry-After": {
        "description": "In how many seconds to ask again; `retry_after_s` of the problem.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_RETRIED: Final = {409, 429, 503}
"""Problems that pass by themselves: every 429 and 503, and a key that is in use."""


def failing(*statuses: int) -> Responses:
    """The problems that a route may answer with, those of every route included."""
    return {status: _failing(status) for status in sorted({*statuses, *_ALWAYS})}


def _failing(status: int) -> dict[str, Any]:
    told: dict[str, Any] = {"model": schemas.Problem, "description": _WORDS[status]}
    return {**told, "headers": _RETRY} if status in _RETRIED else told


Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=16,
        max_length=128,
        pattern="^[A-Za-z0-9_-]{16,128}$",
        description="Unique for this request; the same key and body never act twice.",
    ),
]
Prefer = Annotated[
    str | None,
    Header(
        alias="Prefer",
        pattern="^wait=[0-9]{1,2}$",
        description="wait=N waits up to N (at most 30) seconds for the broker's answer.",
    ),
]
OrderPath = schemas.OrderId
HookName = Annotated[str, Path(pattern=f"^{NAME}$")]
JSON: Final = Body(media_type="application/json")
REPLAYED: Final = {
    "Idempotent-Replayed": {
        "description": "true when the key was used before: this is the same order, as it stands now.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
TAG: Final = {
    "ETag": {
        "description": "The order's revision in quotes, for If-Match.",
        "schema": {"type": "string", "pattern": '^"[1-9][0-9]*"$'},
    }
}
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^(?:"[1-9][0-9]{0,8}"|\*)$',
        description="The ETag of the order that you saw: one that has changed since is left alone (412).",
    ),
]
_LOCATION: Final = {"Location": {"description": "Where the order is.", "schema": {"type": "string"}}}


def answers(status: int, model: type, words: str, headers: dict[str, Any], *others: int) -> Responses:
    return {status: {"model": model, "description": words, "headers": headers}, **failing(*others)}


def documented() -> APIRouter:
    """Never mounted: only its description is read."""
    router = APIRouter()
    _document_orders(router)
    _document_changes(router)
    _document_kill_switch(router)
    _document_dead_man(router)
    _document_breaks(router)
    _document_hooks(router)
    _document_tickets(router)
    return router


def _document_orders(router: APIRouter) -> None:
    @router.post(
        "/v1/orders",
        status_code=201,
        tags=["orders"],
        summary="Place an order",
        description="Answers once the order is durable and approved by risk.",
        responses=answers(
            201, schemas.Order, "Durable.", {**_LOCATION, **REPLAYED, **TAG}, 400, 403, 404, 409, 415, 422
        ),
    )
    def place(order: Annotated[schemas.OrderRequest, JSON], key: Key, prefer: Prefer = None) -> None: ...

    @router.post(
        "/v1/orders/preview",
        tags=["orders"],
        summary="What would risk say now",
        description="Nothing is written and nothing is sent.",
        responses=answers(200, schemas.Preview, "Every control's answer.", {}, 400, 403, 404, 409, 415, 422),
    )
    def preview(order: Annotated[schemas.OrderRequest, JSON]) -> None: ...

    @router.get(
        "/v1/orders/{order_id}",
        tags=["orders"],
        summary="One order",
        responses=answers(200, schemas.Order, "As it stands.", TAG, 400, 403, 404),
    )
    def show(order_id: OrderPath) -> None: ...


def _document_changes(router: APIRouter) -> None:
    asked = {**REPLAYED, **TAG}
    outdated: Responses = {
        412: {"model": schemas.Problem, "description": "Not as it was seen; its ETag now.", "headers": TAG}
    }

    @router.patch(
        "/v1/orders/{order_id}",
        status_code=202,
        tags=["orders"],
        summary="Replace quantity or prices",
        responses=answers(202, schemas.Order, "Asked.", asked, 400, 403, 404, 409, 415, 422) | outdated,
    )
    def replace(
        order_id: OrderPath,
        change: Annotated[schemas.ReplaceRequest, JSON],
        key: Key,
        prefer: Prefer = None,
        if_match: IfMatch = None,
    ) -> None: ...

    @router.delete(
        "/v1/orders/{order_id}",
        status_code=202,
        tags=["orders"],
        summary="Cancel an order",
        responses=answers(202, schemas.Order, "Asked.", asked, 400, 403, 404, 409, 422) | outdated,
    )
    def cancel(order_id: OrderPath, key: Key, prefer: Prefer = None, if_match: IfMatch = None) -> None: ...

    @router.post(
        "/v1/orders/{order_id}/resolve",
        tags=["orders"],
        summary="Say what became of an order in question",
        description="A person's word, with a reason, where no question to the broker can prove it.",
        responses=answers(200, schemas.Order, "Written down.", asked, 400, 403, 404, 409, 415, 422),
    )
    def resolve(
        order_id: OrderPath, resolution: Annotated[schemas.OrderResolveRequest, JSON], key: Key
    ) -> None: ...

    @router.delete(
        "/v1/orders",
        status_code=207,
        tags=["orders"],
        summary="Cancel every open order of an account",
        responses=answers(
            207, schemas.CancelResults, "Asked, one by one.", REPLAYED, 400, 403, 404, 409, 422
        ),
    )
    def cancel_all(
        key: Key, account_id: Annotated[schemas.AccountId, Query()], symbol: schemas.Symbol | None = None
    ) -> None: ...


def _document_kill_switch(router: APIRouter) -> None:
    @router.get(
        "/v1/kill-switch",
        tags=["risk"],
        summary="The kill switch as it stands",
        responses=answers(200, stop_schemas.KillSwitch, "As it stands.", {}, 400, 403),
    )
    def show_kill_switch() -> None: ...

    @router.post(
        "/v1/kill-switch",
        tags=["risk"],
        summary="Engage the kill switch, at any level",
        responses=answers(200, stop_schemas.KillSwitch, "Engaged.", {}, 400, 403, 409, 415),
    )
    def engage(asked: Annotated[stop_schemas.EngageRequest, JSON]) -> None: ...

    @router.post(
        "/v1/kill-switch/release",
        tags=["risk"],
        summary="Release a stop; by another person than the one who engaged it",
        responses=answers(200, stop_schemas.KillSwitch, "Released.", {}, 400, 403, 409, 415),
    )
    def release(asked: Annotated[stop_schemas.ReleaseRequest, JSON]) -> None: ...

    @router.post(
        "/v1/kill-switch/flatten",
        tags=["risk"],
        summary="Close what is held under a stop; the second person who asks makes it so",
        responses=answers(200, stop_schemas.KillSwitch, "Asked, or under way.", {}, 400, 403, 409, 415),
    )
    def flatten(asked: Annotated[stop_schemas.ReleaseRequest, JSON]) -> None: ...


def _document_dead_man(router: APIRouter) -> None:
    @router.get(
        "/v1/dead-man",
        tags=["orders"],
        summary="This client's dead man's switches",
        responses=answers(200, stop_schemas.DeadMen, "As they stand.", {}, 400, 403),
    )
    def show_dead_men() -> None: ...

    @router.put(
        "/v1/dead-man",
        tags=["orders"],
        summary="Arm a dead man's switch, or refresh it",
        description="What is not refreshed in time has this client's open orders canceled.",
        responses=answers(200, stop_schemas.DeadMan, "Armed.", {}, 400, 403, 409, 413, 415),
    )
    def arm(asked: Annotated[stop_schemas.DeadManRequest, JSON]) -> None: ...

    @router.delete(
        "/v1/dead-man/{session}",
        tags=["orders"],
        summary="Disarm a dead man's switch: the client will be away on purpose",
        responses=answers(200, stop_schemas.DeadMan, "Disarmed.", {}, 400, 403, 404),
    )
    def disarm(session: schemas.Label) -> None: ...


def _document_breaks(router: APIRouter) -> None:
    @router.post(
        "/v1/reconciliation/runs",
        status_code=202,
        tags=["reconciliation"],
        summary="Ask for a reconciliation now",
        responses=answers(202, account_schemas.RunAsked, "Asked.", {}, 400, 403, 404, 415),
    )
    def ask_run(asked: Annotated[account_schemas.RunRequest, JSON]) -> None: ...

    @router.post(
        "/v1/reconciliation/breaks/{break_id}/assign",
        tags=["reconciliation"],
        summary="Say who looks after a break",
        responses=answers(
            200, account_schemas.AgedBreak, "Assigned.", REPLAYED, 400, 403, 404, 409, 415, 422
        ),
    )
    def assign(
        break_id: account_schemas.BreakId, asked: Annotated[account_schemas.AssignRequest, JSON], key: Key
    ) -> None: ...

    @router.post(
        "/v1/reconciliation/breaks/{break_id}/resolve",
        tags=["reconciliation"],
        summary="Settle a break by one of its allowed actions, with a reason",
        responses=answers(
            200, account_schemas.AgedBreak, "Resolved.", REPLAYED, 400, 403, 404, 409, 415, 422
        ),
    )
    def resolve(
        break_id: account_schemas.BreakId, asked: Annotated[account_schemas.ResolveRequest, JSON], key: Key
    ) -> None: ...


def _document_hooks(router: APIRouter) -> None:
    @router.post(
        "/v1/hooks/{name}",
        status_code=201,
        tags=["orders"],
        summary="Place the order that an alert asks for",
        description="Asks for no token: the alert is proved by its signature or passphrase. The settings say"
        " how it is read. The same alert again never acts twice.",
        openapi_extra={"security": []},
        responses=answers(
            201, schemas.Order, "Durable.", {**_LOCATION, **REPLAYED, **TAG}, 400, 403, 404, 409, 415, 422
        ),
    )
    def send(name: HookName, alert: Annotated[dict[str, Any], JSON]) -> None: ...


def _document_tickets(router: APIRouter) -> None:
    @router.post(
        "/v1/stream/tickets",
        status_code=201,
        tags=["stream"],
        summary="A ticket with which a page of an origin opens a stream, once",
        responses=answers(201, stream_schemas.Ticket, "Good for half a minute.", {}, 400, 403, 415),
    )
    def issue_ticket(asked: Annotated[stream_schemas.TicketRequest, JSON]) -> None: ...
