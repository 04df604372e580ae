"""Puts the public face together: one application, its routes, its one way to fail."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from ordergate.api.authorization import AuthorizationRoute
from ordergate.api.bearer import challenge
from ordergate.api.deps import Deps
from ordergate.api.docs_page import POLICY, docs_page
from ordergate.api.door import Door
from ordergate.api.edge import DEFECT, NO_DATABASE, Edge
from ordergate.api.exchange import CORRELATION_KEY, REFUSED_KEY, Call, Headers, Reply, refused
from ordergate.api.express import Express
from ordergate.api.json_bodies import FIELDS_NAMED_MAX
from ordergate.api.measures import Measures
from ordergate.api.openapi import openapi_document
from ordergate.api.routes.access import AccessRoutes, access_listings
from ordergate.api.routes.control import health
from ordergate.api.routes.credentials import CredentialRoutes
from ordergate.api.routes.dead_man import DeadManRoutes
from ordergate.api.routes.entry import Refused, TurnedAway
from ordergate.api.routes.groups import GroupRoutes, group_listings
from ordergate.api.routes.hooks import HookRoutes
from ordergate.api.routes.hot import HotRoute, ShortCut
from ordergate.api.routes.kill_switch import KillSwitchRoutes
from ordergate.api.routes.limits import LimitRoutes, limit_listings
from ordergate.api.routes.listings import account_listings, instrument_listings, order_listings
from ordergate.api.routes.orders import OrderRoutes
from ordergate.api.routes.reconciliation import BreakRoutes, reconciliation_listings
from ordergate.api.routes.surveillance import surveillance_listings
from ordergate.api.routes.tickets import TicketRoutes
from ordergate.api.stream.endpoint import StreamEndpoint
from ordergate.api.stream.hub import Hub
from ordergate.api.stream.tickets import Tickets
from ordergate.core.faults import JournalUnavailable
from ordergate.core.refusals import Code, Refusal
from ordergate.telemetry.log import logger
from ordergate.telemetry.metrics import CONTENT_TYPE

log = logger("api")

STREAM_PATH: Final = "/v1/stream"


class ApiDeps(Deps, frozen=True, kw_only=True):
    """What `create_app` needs. `hub` is the engine's audience too."""

    hub: Hub


class Gateway(FastAPI):
    """FastAPI with our edge around all of it, its own layers included."""

    edge: Edge
    express: Express
    document: dict[str, Any]

    def openapi(self) -> dict[str, Any]:
        """The document with the hot routes in it, made once."""
        return self.document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        await self.edge(scope, receive, send)


def create_app(deps: ApiDeps) -> FastAPI:
    measures = Measures(deps.metrics.registry)
    door = Door(deps)
    tickets = Tickets(deps.identity, deps.clock, deps.chance, deps.bounds.origins)
    app = Gateway(
        title="Ordergate", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    hot = [
        *OrderRoutes(deps, door).routes(),
        *KillSwitchRoutes(deps, door).routes(),
        *DeadManRoutes(deps, door).routes(),
        *HookRoutes(deps, door).routes(),
        *TicketRoutes(deps, door, tickets).routes(),
    ]
    app.edge = Edge(ShortCut(hot, super(Gateway, app).__call__), deps, measures)
    app.express = Express(deps, door, app.edge)
    app.router.routes.extend(hot)
    app.router.routes.extend(BreakRoutes(deps, door).routes())
    app.router.routes.extend(GroupRoutes(deps, door).routes())
    app.router.routes.extend(LimitRoutes(deps, door).routes())
    app.router.routes.extend(AccessRoutes(deps, door).routes())
    app.router.routes.extend(CredentialRoutes(deps, door).routes())
    stream = StreamEndpoint(deps, deps.hub, door.bearer, measures, tickets)
    app.router.routes.append(WebSocketRoute(STREAM_PATH, stream))
    app.router.routes.extend(AuthorizationRoute(endpoint, deps.bounds) for endpoint in deps.authorization)
    for router in (
        order_listings(deps, door),
        account_listings(deps, door),
        instrument_listings(deps, door),
        limit_listings(deps, door),
        reconciliation_listings(deps, door),
        group_listings(deps, door),
        surveillance_listings(deps, door),
        access_listings(deps, door),
        health(deps),
    ):
        app.include_router(router)
    _describe(app, deps)
    _fail_as_problems(app)
    return app


def _describe(app: Gateway, deps: Deps) -> None:
    """The document is made once, and the page from it; both are bytes from then on."""
    document = openapi_document(app, deps)
    app.document = document
    as_json = Reply(200, msgspec.json.encode(document))
    as_page = Reply(
        200, docs_page(document), [(b"content-security-policy", POLICY.encode())], b"text/html; charset=utf-8"
    )

    async def tell(_: Call) -> Reply:
        return as_json

    async def show(_: Call) -> Reply:
        return as_page

    async def metrics(_: Call) -> Reply:
        return Reply(200, deps.metrics.exposition(), None, CONTENT_TYPE.encode())

    app.router.routes.append(HotRoute("/openapi.json", {"GET": tell}))
    app.router.routes.append(HotRoute("/docs", {"GET": show}))
    app.router.routes.append(HotRoute("/metrics", {"GET": metrics}))


def _fail_as_problems(app: Gateway) -> None:
    """Every no of FastAPI's and Starlette's in our own shape; the edge logs the faults."""

    @app.exception_handler(Refused)
    async def on_refusal(request: Request, no: Refused) -> Response:
        return _problem(request, no.refusal)

    @app.exception_handler(TurnedAway)
    async def on_turned_away(request: Request, no: TurnedAway) -> Response:
        return _response(request, no.reply)

    @app.exception_handler(JournalUnavailable)
    async def on_unavailable(request: Request, fault: JournalUnavailable) -> Response:
        log.warning("api.unavailable", correlation=request.scope[CORRELATION_KEY], why=str(fault))
        return _problem(request, NO_DATABASE)

    @app.exception_handler(Exception)
    async def on_fault(request: Request, fault: Exception) -> Response:
        """What escapes is answered here and raised again, up to the edge."""
        return _problem(request, DEFECT)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, no: RequestValidationError) -> Response:
        return _problem(request, _invalid(no))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, no: HTTPException) -> Response:
        if no.status_code != 405:
            return _problem(request, Refusal(Code.NOT_FOUND, "there is nothing at this path"))
        methods = ", ".join(methods_at(app, request.scope["path"]))
        refusal = Refusal(Code.METHOD_NOT_ALLOWED, f"this path has {methods}")
        return _problem(request, refusal, [(b"allow", methods.encode())])


def methods_at(app: Gateway, path: str) -> list[str]:
    """Every method of every route that has this path."""
    paths: dict[str, dict[str, Any]] = app.document["paths"]
    if path in paths:
        return sorted(method.upper() for method in paths[path])
    found: set[str] = set()
    for template, operations in paths.items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path):
            found.update(method.upper() for method in operations)
    return sorted(found) or ["GET"]


def _invalid(no: RequestValidationError) -> Refusal:
    """What FastAPI found wrong with a path or a query, in our words for it."""
    wrong: dict[str, str] = {}
    for error in no.errors()[:FIELDS_NAMED_MAX]:
        place: tuple[Any, ...] = error["loc"]
        unknown = error["type"] == "extra_forbidden"
        wrong[str(place[-1])[:64]] = "is not a parameter of this route" if unknown else str(error["msg"])
    return Refusal(Code.INVALID, "the path or the query has impossible values", wrong)


def _problem(request: Request, refusal: Refusal, headers: Headers | None = None) -> Response:
    correlation: str = request.scope[CORRELATION_KEY]
    return _response(request, refused(refusal, correlation, [*(headers or []), *challenge(refusal)]))


def _response(request: Request, reply: Reply) -> Response:
    if reply.refused is not None:
        request.scope[REFUSED_KEY] = reply.refused
    response = Response(reply.body, reply.status)
    response.raw_headers.append((b"content-type", reply.media_type))
    response.raw_headers.extend(reply.headers)
    return response
