"""An application as clients meet it: our edge around all of it, and one way to fail.

Knows no routes; whoever puts a face together gives it those of its listener.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ordergate.api.bearer import challenge
from ordergate.api.description import Description
from ordergate.api.edge import DEFECT, NO_DATABASE, Edge
from ordergate.api.exchange import CORRELATION_KEY, ORIGIN_KEY, REFUSED_KEY, Headers, Reply, refused
from ordergate.api.json_bodies import FIELDS_NAMED_MAX
from ordergate.api.routes.entry import Refused, TurnedAway
from ordergate.core.faults import JournalUnavailable
from ordergate.core.refusals import Code, Refusal
from ordergate.telemetry.log import logger

log = logger("api")


class Face(FastAPI):
    """FastAPI with our edge around all of it, its own layers included.

    `about` is of every listener. `origin` is the public address, where it is not the gateway's own.
    """

    edge: Edge
    about: Description
    origin: str | None

    def __init__(self, origin: str | None = None) -> None:
        super().__init__(
            title="Ordergate", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
        )
        self.origin = origin
        self._included: list[APIRouter] = []
        _fail_as_problems(self)

    def include_router(self, router: APIRouter, *args: Any, **options: Any) -> None:
        """As ever, and remember which."""
        self._included.append(router)
        super().include_router(router, *args, **options)

    def every_route(self) -> Iterator[Route]:
        """Everything that can be asked for by HTTP, each by its own path."""
        for routes in (self.routes, *(router.routes for router in self._included)):
            yield from (route for route in routes if isinstance(route, Route))

    def openapi(self) -> dict[str, Any]:
        """The document with the hot routes in it, made once."""
        return self.about.document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        if self.origin is not None:
            scope[ORIGIN_KEY] = self.origin
        await self.edge(scope, receive, send)


def _fail_as_problems(app: Face) -> None:
    """Every no of FastAPI's and Starlette's in our own shape; the edge logs the faults."""

    @app.exception_handler(Refused)
    async def on_refusal(request: Request, no: Refused) -> Response:
        return _problem(request, no.refusal)

    @app.exception_handler(TurnedAway)
    async def on_turned_away(request: Request, no: TurnedAway) -> Response:
        return _response(request, no.reply)

    @app.exception_handler(JournalUnavailable)
    async def on_unavailable(request: Request, fault: JournalUnavailable) -> Response:
        log.warning("api.unavailable", why=str(fault))
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


def methods_at(app: Face, path: str) -> list[str]:
    """Every method of the routes that have this path, and of those that take any name where none has it."""
    found = [route for route in app.every_route() if route.path_regex.match(path)]
    named = [route for route in found if route.path == path]
    return sorted({method for route in named or found for method in route.methods or ()})


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
