"""Keys of programs: what narrows or ends one holds at once, what makes or widens one is the desk's to judge.

Always of the asker's own tenant; nothing here names a tenant but the token. A secret is in one answer and
nowhere else.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from ordergate.api import program_schemas, schemas
from ordergate.api.bearer import challenge
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.exchange import Call, Reply, refused
from ordergate.api.limit_requests import why_decoder
from ordergate.api.program_requests import (
    BoundsFields,
    bounds_decoder,
    keys_text,
    program_decoder,
    program_of,
    publish_decoder,
    rotate_decoder,
)
from ordergate.api.replies import json_object, json_reply, listed
from ordergate.api.routes.documented import failing
from ordergate.api.routes.entry import Refused, asked_of, entering
from ordergate.api.routes.hot import HotRoute
from ordergate.core.access import Principal, Scope
from ordergate.core.approvals import Change
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.desks.programs_desk import Made, ProgramView
from ordergate.engine.limits.views import change_view

T = TypeVar("T", bound=msgspec.Struct)

_encode: Final = msgspec.json.Encoder().encode
Nothing = Annotated[schemas.NoQuery, Query()]


class ProgramRoutes:
    def __init__(self, deps: Deps, door: Door) -> None:
        self._desk = deps.programs
        self._instruments = deps.instruments
        self._bounds = deps.bounds
        self._door = door

    def routes(self) -> list[HotRoute]:
        return [
            HotRoute("/v1/clients", {"POST": self.create}),
            HotRoute("/v1/clients/{client_id}", {"PUT": self.change}),
            HotRoute("/v1/clients/{client_id}/rotate", {"POST": self.rotate}),
            HotRoute("/v1/clients/{client_id}/keys", {"PUT": self.publish}),
            HotRoute("/v1/clients/{client_id}/disable", {"POST": self.disable}),
        ]

    async def create(self, call: Call) -> Reply:
        found = await self._entered(call, program_decoder)
        if isinstance(found, Reply):
            return found
        principal, asked = found
        program = program_of(asked, asked.client_id, principal.tenant, asked.keys)
        program = self._unlisted(asked) or program
        if isinstance(program, Refusal):
            return refused(program, call.correlation)
        answer = await self._desk.create(
            principal, program, reason=asked.reason, correlation=call.correlation
        )
        if isinstance(answer, ProgramView):
            return Reply(201, _encode({"client": answer, "client_secret": None}))
        return _told(call, answer, 201)

    async def change(self, call: Call) -> Reply:
        found = await self._entered(call, bounds_decoder)
        if isinstance(found, Reply):
            return found
        principal, asked = found
        wanted = program_of(asked, call.part("client_id"), principal.tenant)
        wanted = self._unlisted(asked) or wanted
        if isinstance(wanted, Refusal):
            return refused(wanted, call.correlation)
        answer = await self._desk.change(principal, wanted, reason=asked.reason, correlation=call.correlation)
        return _told(call, answer)

    async def rotate(self, call: Call) -> Reply:
        found = await self._entered(call, rotate_decoder)
        if isinstance(found, Reply):
            return found
        principal, asked = found
        answer = await self._desk.rotate(
            principal, call.part("client_id"), overlap_s=asked.overlap_s, reason=asked.reason
        )
        return _told(call, answer)

    async def publish(self, call: Call) -> Reply:
        found = await self._entered(call, publish_decoder)
        if isinstance(found, Reply):
            return found
        principal, asked = found
        answer = await self._desk.publish(
            principal,
            call.part("client_id"),
            keys_text(asked.keys),
            reason=asked.reason,
            correlation=call.correlation,
        )
        return _told(call, answer)

    async def disable(self, call: Call) -> Reply:
        found = await self._entered(call, why_decoder)
        if isinstance(found, Reply):
            return found
        principal, why = found
        return _told(call, await self._desk.disable(principal, call.part("client_id"), reason=why.reason))

    def _unlisted(self, asked: BoundsFields) -> Refusal | None:
        strange = [symbol for symbol in asked.instruments if symbol not in self._instruments]
        if not strange:
            return None
        return Refusal(Code.UNKNOWN_INSTRUMENT, f"the gateway lists no instrument {', '.join(strange)}")

    async def _entered(self, call: Call, decoder: msgspec.json.Decoder[T]) -> tuple[Principal, T] | Reply:
        """Whoever asks, with all that they may do: that is the most that they can give."""
        return await asked_of(self._door, call, Scope.ACCESS_WRITE, self._bounds, decoder, narrowed=False)


def program_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["clients"])
    entered = Depends(entering(door, Scope.ACCESS_READ))

    @router.get(
        "/v1/clients",
        response_model=program_schemas.Programs,
        responses=failing(400, 403),
        summary="The programs that may ask for tokens in the tenant, without their secrets",
    )
    async def list_clients(_: Nothing, principal: Principal = entered) -> Response:
        return json_reply(json_object(listed("clients", map(_encode, deps.programs.listed(principal)))))

    @router.get(
        "/v1/clients/{client_id}",
        response_model=program_schemas.Program,
        responses=failing(400, 403, 404),
        summary="One program, and what bounds its key",
    )
    async def show_client(
        client_id: program_schemas.ClientId, _: Nothing, principal: Principal = entered
    ) -> Response:
        found = deps.programs.show(principal, client_id)
        if isinstance(found, Refusal):
            raise Refused(found)
        return json_reply(_encode(found))

    return router


def _told(call: Call, answer: Made | ProgramView | Change | Refusal, status: int = 200) -> Reply:
    match answer:
        case Refusal():
            return refused(answer, call.correlation, challenge(answer, Scope.ACCESS_WRITE))
        case Change():
            return Reply(202, _encode(change_view(answer)))
        case Made():
            told = {"client": answer.program, "client_secret": answer.secret.reveal()}
            return Reply(status, _encode(told))
        case ProgramView():
            return Reply(status, _encode(answer))
