"""Who may do what: seen by some, given by two, taken away by one. Always of the asker's own tenant.

What a change means is the desk's to judge; nothing here names a tenant but the token.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from ordergate.api import access_schemas, limit_schemas, schemas
from ordergate.api.access_requests import assignment_of, keep_out_decoder, role_decoder
from ordergate.api.bearer import challenge
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.exchange import Call, Reply, refused
from ordergate.api.limit_requests import why_decoder
from ordergate.api.replies import json_object, json_reply, listed, plain
from ordergate.api.routes.documented import failing
from ordergate.api.routes.entry import Refused, asked_of, entering
from ordergate.api.routes.hot import HotRoute
from ordergate.core.access import SCOPES_OF, Principal, Role, Scope
from ordergate.core.approvals import Change
from ordergate.core.refusals import Refusal
from ordergate.engine.desks.access_desk import SubjectView
from ordergate.engine.limits.views import change_view

T = TypeVar("T", bound=msgspec.Struct)

_encode: Final = msgspec.json.Encoder().encode
Nothing = Annotated[schemas.NoQuery, Query()]


class AccessRoutes:
    """Every one of these is harmless to repeat: a role is there or not, a change is settled once."""

    def __init__(self, deps: Deps, door: Door) -> None:
        self._desk = deps.access
        self._bounds = deps.bounds
        self._door = door

    def routes(self) -> list[HotRoute]:
        return [
            HotRoute("/v1/access/assignments", {"POST": self.ask}),
            HotRoute("/v1/access/assignments/withdraw", {"POST": self.withdraw}),
            HotRoute("/v1/access/subjects/keep-out", {"POST": self.keep_out}),
            HotRoute("/v1/access/changes/{change_id}/approve", {"POST": self.approve}),
            HotRoute("/v1/access/changes/{change_id}/reject", {"POST": self.reject}),
        ]

    async def ask(self, call: Call) -> Reply:
        found = await self._entered(call, role_decoder)
        if isinstance(found, Reply):
            return found
        principal, asked = found
        answer = await self._desk.ask(
            principal,
            assignment_of(asked, principal.tenant),
            reason=asked.reason,
            correlation=call.correlation,
        )
        return self._told(call, answer, 202)

    async def withdraw(self, call: Call) -> Reply:
        found = await self._entered(call, role_decoder)
        if isinstance(found, Reply):
            return found
        principal, asked = found
        answer = await self._desk.withdraw(
            principal, assignment_of(asked, principal.tenant), reason=asked.reason
        )
        return self._told(call, answer, 200)

    async def keep_out(self, call: Call) -> Reply:
        found = await self._entered(call, keep_out_decoder)
        if isinstance(found, Reply):
            return found
        principal, asked = found
        answer = await self._desk.keep_out(principal, asked.subject, reason=asked.reason)
        return self._told(call, answer, 200)

    async def approve(self, call: Call) -> Reply:
        found = await self._entered(call, why_decoder)
        if isinstance(found, Reply):
            return found
        principal, why = found
        answer = await self._desk.approve(
            principal, call.part("change_id"), reason=why.reason, correlation=call.correlation
        )
        return self._told(call, answer, 200)

    async def reject(self, call: Call) -> Reply:
        found = await self._entered(call, why_decoder)
        if isinstance(found, Reply):
            return found
        principal, why = found
        answer = await self._desk.reject(
            principal, call.part("change_id"), reason=why.reason, correlation=call.correlation
        )
        return self._told(call, answer, 200)

    async def _entered(self, call: Call, decoder: msgspec.json.Decoder[T]) -> tuple[Principal, T] | Reply:
        return await asked_of(self._door, call, Scope.ACCESS_WRITE, self._bounds, decoder)

    def _told(self, call: Call, answer: Change | SubjectView | Refusal, status: int) -> Reply:
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation, challenge(answer, Scope.ACCESS_WRITE))
        return Reply(status, _encode(change_view(answer) if isinstance(answer, Change) else answer))


def own_listings(deps: Deps, door: Door) -> APIRouter:
    """What everybody may know of themselves; it is no administration."""
    router = APIRouter(tags=["access"])
    anybody = Depends(entering(door))

    @router.get(
        "/v1/access/me",
        response_model=access_schemas.Me,
        responses=failing(400),
        summary="What the token at hand allows now, account by account, and the roles behind it",
    )
    async def show_me(_: Nothing, principal: Principal = anybody) -> Response:
        accounts = [
            {"account_id": account, "scopes": [s for s in Scope if principal.may_on(s, account)]}
            for account in sorted(principal.accounts)
        ]
        return plain(
            {
                "env": deps.env.value,
                "tenant": principal.tenant,
                "subject": principal.subject,
                "client_id": principal.client_id,
                "scopes": [scope for scope in Scope if principal.may(scope)],
                "accounts": accounts,
                "roles": deps.access.roles_of(principal),
                "version": principal.version,
            }
        )

    @router.get(
        "/v1/access/roles",
        response_model=access_schemas.Roles,
        responses=failing(400),
        summary="Which scopes each role has",
    )
    async def list_roles(_: Nothing, principal: Principal = anybody) -> Response:
        return plain({"roles": [{"role": role, "scopes": sorted(SCOPES_OF[role])} for role in Role]})

    return router


def access_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["access"])
    entered = Depends(entering(door, Scope.ACCESS_READ))

    @router.get(
        "/v1/access/tenant",
        response_model=access_schemas.Tenant,
        responses=failing(400, 403),
        summary="The token's tenant: its desks and accounts",
    )
    async def show_tenant(_: Nothing, principal: Principal = entered) -> Response:
        return json_reply(_encode(deps.access.tenant(principal)))

    @router.get(
        "/v1/access/subjects",
        response_model=access_schemas.Subjects,
        responses=failing(400, 403),
        summary="Who has which role in the tenant",
    )
    async def list_subjects(_: Nothing, principal: Principal = entered) -> Response:
        return json_reply(json_object(listed("subjects", map(_encode, deps.access.subjects(principal)))))

    @router.get(
        "/v1/access/changes",
        response_model=access_schemas.AccessChanges,
        responses=failing(400, 403),
        summary="Changes of roles that wait for another person, or all of them, newest first",
    )
    async def list_changes(
        query: Annotated[limit_schemas.ChangesQuery, Query()], principal: Principal = entered
    ) -> Response:
        found = deps.access.changes(principal, only_pending=query.state == "pending")
        return json_reply(json_object(listed("changes", [_encode(change_view(one)) for one in found])))

    @router.get(
        "/v1/access/changes/{change_id}",
        response_model=limit_schemas.Change,
        responses=failing(400, 403, 404),
        summary="One change of a role, and what became of it",
    )
    async def show_change(
        change_id: limit_schemas.ChangeId, _: Nothing, principal: Principal = entered
    ) -> Response:
        change = deps.access.change(principal, change_id)
        if isinstance(change, Refusal):
            raise Refused(change)
        return json_reply(_encode(change_view(change)))

    return router
