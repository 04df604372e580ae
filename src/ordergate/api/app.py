"""Puts the public face together: one application for each listener, and their routes.

What is administration is at the other listener alone (docs/adr/0027), and nothing else is there but the pages
that the first does not show.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.routing import WebSocketRoute

from ordergate.api.authorization import AuthorizationRoute
from ordergate.api.deps import Deps, OpenPage
from ordergate.api.description import Description
from ordergate.api.door import Door
from ordergate.api.edge import Edge
from ordergate.api.exchange import Call, Reply
from ordergate.api.express import Express
from ordergate.api.face import Face
from ordergate.api.measures import Measures
from ordergate.api.openapi import openapi_document
from ordergate.api.routes.access import AccessRoutes, access_listings, own_listings
from ordergate.api.routes.alarms import alarm_listings
from ordergate.api.routes.control import health
from ordergate.api.routes.credentials import CredentialRoutes
from ordergate.api.routes.dead_man import DeadManRoutes
from ordergate.api.routes.groups import GroupRoutes, group_listings
from ordergate.api.routes.hooks import HookRoutes
from ordergate.api.routes.hot import HotRoute, ShortCut
from ordergate.api.routes.kill_switch import KillSwitchRoutes
from ordergate.api.routes.limits import LimitRoutes, limit_listings
from ordergate.api.routes.listings import account_listings, instrument_listings, order_listings
from ordergate.api.routes.orders import OrderRoutes
from ordergate.api.routes.programs import ProgramRoutes, program_listings
from ordergate.api.routes.quotes import quote_listings
from ordergate.api.routes.reconciliation import BreakRoutes, reconciliation_listings
from ordergate.api.routes.strategies import StrategyRoutes, strategy_listings
from ordergate.api.routes.surveillance import surveillance_listings
from ordergate.api.routes.tickets import TicketRoutes
from ordergate.api.stream.endpoint import StreamEndpoint
from ordergate.api.stream.hub import Hub
from ordergate.api.stream.tickets import Tickets
from ordergate.telemetry.metrics import CONTENT_TYPE

STREAM_PATH: Final = "/v1/stream"


class ApiDeps(Deps, frozen=True, kw_only=True):
    """What `create_app` needs. `hub` is the engine's audience too."""

    hub: Hub


class Gateway(Face):
    """What trades, watches and stops. `administration` is the face of the other listener, if there is one."""

    express: Express
    administration: Face | None


def create_app(deps: ApiDeps) -> Gateway:
    measures = Measures(deps.metrics.registry)
    door = Door(deps)
    tickets = Tickets(deps.identity, deps.clock, deps.chance, deps.bounds.origins)
    app = Gateway()
    hot = [
        *OrderRoutes(deps, door).routes(),
        *KillSwitchRoutes(deps, door).routes(),
        *DeadManRoutes(deps, door).routes(),
        *HookRoutes(deps, door).routes(),
        *TicketRoutes(deps, door, tickets).routes(),
    ]
    app.edge = Edge(ShortCut(hot, super(Face, app).__call__), deps, measures)
    app.express = Express(deps, door, app.edge)
    app.router.routes.extend(hot)
    app.router.routes.extend(BreakRoutes(deps, door).routes())
    app.router.routes.extend(GroupRoutes(deps, door).routes())
    app.router.routes.extend(LimitRoutes(deps, door).routes())
    stream = StreamEndpoint(deps, deps.hub, door, measures, tickets)
    app.router.routes.append(WebSocketRoute(STREAM_PATH, stream))
    app.router.routes.extend(AuthorizationRoute(endpoint, deps.bounds) for endpoint in deps.authorization)
    for router in (
        order_listings(deps, door),
        account_listings(deps, door),
        alarm_listings(deps, door),
        instrument_listings(deps, door),
        quote_listings(deps, door),
        limit_listings(deps, door),
        reconciliation_listings(deps, door),
        group_listings(deps, door),
        surveillance_listings(deps, door),
        own_listings(deps, door),
        health(deps),
    ):
        app.include_router(router)
    app.administration = None if deps.admin_url is None else _administration(deps, door, measures)
    _describe(app, deps)
    return app


def _administration(deps: Deps, door: Door, measures: Measures) -> Face:
    """The same door and the same edge, before the routes of those who give rights and keys."""
    app = Face(deps.admin_url)
    app.edge = Edge(super(Face, app).__call__, deps, measures)
    app.router.routes.extend(AccessRoutes(deps, door).routes())
    app.router.routes.extend(CredentialRoutes(deps, door).routes())
    app.router.routes.extend(ProgramRoutes(deps, door).routes())
    app.router.routes.extend(StrategyRoutes(deps, door).routes())
    for router in (
        access_listings(deps, door),
        program_listings(deps, door),
        strategy_listings(deps, door),
    ):
        app.include_router(router)
    return app


def _describe(app: Gateway, deps: Deps) -> None:
    """What is said of the gateway, at the listener that shows it."""
    about = Description(lambda: openapi_document(app, app.administration, deps))
    app.about = about
    if app.administration is not None:
        app.administration.about = about

    beginning = {"service": "ordergate", "env": deps.env.value, "docs": "/docs", "openapi": "/openapi.json"}
    as_beginning = Reply(200, msgspec.json.encode(beginning))

    async def begin(_: Call) -> Reply:
        return as_beginning

    async def metrics(_: Call) -> Reply:
        return Reply(200, deps.metrics.exposition(), None, CONTENT_TYPE.encode())

    pages = {
        OpenPage.DOCUMENTATION: [
            HotRoute("/", {"GET": begin}, queried={"GET"}),
            HotRoute("/openapi.json", {"GET": about.as_json}, queried={"GET"}),
            HotRoute("/docs", {"GET": about.as_page}, queried={"GET"}),
        ],
        OpenPage.METRICS: [HotRoute("/metrics", {"GET": metrics}, queried={"GET"})],
    }
    for page, routes in pages.items():
        if page in deps.shown:
            app.router.routes.extend(routes)
        if app.administration is not None and (page is OpenPage.METRICS or page not in deps.shown):
            app.administration.router.routes.extend(routes)
