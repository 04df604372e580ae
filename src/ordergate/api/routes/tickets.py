"""Tickets for the streams of browsers' pages. What a ticket is worth, `stream.tickets` decides."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from ordergate.api.bearer import challenge
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.exchange import Call, Reply, refused
from ordergate.api.json_bodies import decode
from ordergate.api.routes.hot import HotRoute
from ordergate.api.stream.tickets import FOREIGN, LIFE_S, Tickets
from ordergate.core.refusals import Refusal

PATH: Final = "/v1/stream/tickets"

Origin = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\Ahttps?://[A-Za-z0-9.:\[\]-]{1,255}\Z", description="an origin, as a browser sends it"
    ),
]


class TicketFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For pages of which origin."""

    origin: Origin


class TicketView(msgspec.Struct, frozen=True, kw_only=True):
    ticket: str
    expires_in: int


_fields: Final = msgspec.json.Decoder(TicketFields)
_encode: Final = msgspec.json.Encoder().encode


class TicketRoutes:
    def __init__(self, deps: Deps, door: Door, tickets: Tickets) -> None:
        self._bounds = deps.bounds
        self._door = door
        self._tickets = tickets

    def routes(self) -> list[HotRoute]:
        return [HotRoute(PATH, {"POST": self.issue})]

    async def issue(self, call: Call) -> Reply:
        principal = await self._door.enter(call)
        if isinstance(principal, Reply):
            return principal
        body = await call.json_body(self._bounds)
        if isinstance(body, Refusal):
            return refused(body, call.correlation)
        asked = decode(body, _fields)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        asked_from = call.header(b"origin")
        answer = FOREIGN if asked_from not in {None, asked.origin} else None
        ticket = answer or self._tickets.issue(principal, asked.origin)
        if isinstance(ticket, Refusal):
            return refused(ticket, call.correlation, challenge(ticket))
        return Reply(201, _encode(TicketView(ticket=ticket, expires_in=LIFE_S)))
