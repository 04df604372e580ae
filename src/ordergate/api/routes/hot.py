"""Puts a plain handler behind a Starlette route, with nothing in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ordergate.api import exchange
from ordergate.api.exchange import Call, Reply, refused
from ordergate.core.refusals import Code, Refusal

Handler = Callable[[Call], Awaitable[Reply]]

NO_QUERY: Final = Refusal(
    Code.INVALID, "the query has impossible values", {"query": "must be empty: this route has no parameters"}
)


class Hot:
    """An ASGI application for one path: one handler for each method.

    A query is refused where no handler reads it: a filter that is overlooked would do more than was asked.
    """

    def __init__(self, path: str, handlers: Mapping[str, Handler], queried: Collection[str]) -> None:
        self._path = path
        self._handlers = handlers
        self._queried = frozenset(queried)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[exchange.ROUTE_KEY] = self._path
        call, method = Call(scope, receive), scope["method"]
        if scope["query_string"] and method not in self._queried:
            reply = refused(NO_QUERY, call.correlation)
        else:
            reply = await self._handlers[method](call)
        await reply(scope, receive, send)


class HotRoute(Route):
    """A Starlette route that adds no HEAD of its own, and leaves the paths `besides` it to others.

    A query is taken by the `queried` methods.
    """

    def __init__(
        self,
        path: str,
        handlers: Mapping[str, Handler],
        *,
        besides: Collection[str] = (),
        queried: Collection[str] = (),
    ) -> None:
        self.hot = Hot(path, handlers, queried)
        self._besides = frozenset(besides)
        super().__init__(path, self.hot, methods=list(handlers), name=path)
        self.methods = set(handlers)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and scope["path"] in self._besides:
            return Match.NONE, {}
        return super().matches(scope)


class ShortCut:
    """Finds a hot route by one look at the path, and leaves everything else to the application.

    The routes are the application's own; this only saves them its layers, which together cost more
    than deciding about an order. A path or method that is not found here is not found there either.
    """

    def __init__(self, routes: Sequence[HotRoute], application: ASGIApp) -> None:
        self._application = application
        self._whole: dict[tuple[str, str], Hot] = {}
        self._with_part: dict[tuple[str, str], tuple[str, Hot]] = {}
        self._paths = {route.path for route in routes}
        for route in routes:
            for method in route.methods or ():
                if route.path.endswith("}"):
                    parent, _, part = route.path.rpartition("/")
                    self._with_part[method, parent] = (part[1:-1], route.hot)
                else:
                    self._whole[method, route.path] = route.hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            method, path = scope["method"], scope["path"]
            hot = self._whole.get((method, path))
            if hot is not None:
                await hot(scope, receive, send)
                return
            parent, _, part = path.rpartition("/")
            found = self._with_part.get((method, parent))
            if found is not None and part and path not in self._paths:
                name, hot = found
                scope["path_params"] = {name: part}
                await hot(scope, receive, send)
                return
        await self._application(scope, receive, send)
