"""Groups of orders, and flatten: placed, shown and canceled.

Permission, idempotency, risk and what a group does next are the engine's; nothing is decided here.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from ordergate.api import group_schemas, problems, schemas
from ordergate.api.bearer import challenge
from ordergate.api.cursors import cursor_of
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.exchange import PROBLEM, Call, Headers, Reply, refused
from ordergate.api.group_requests import flatten_in, group_in
from ordergate.api.replies import json_object, json_reply, listed, named
from ordergate.api.requests import ACCOUNT_ID
from ordergate.api.routes.documented import failing
from ordergate.api.routes.entry import NO_SUCH_ACCOUNT, Refused, entering, owned, place_in, seen
from ordergate.api.routes.hot import HotRoute
from ordergate.core.access import Principal, Scope
from ordergate.core.contingent.terms import GroupId, is_group_id
from ordergate.core.idempotency import parse_key
from ordergate.core.ids import AccountId, OrderId
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import GroupAnswer

_ACCOUNT: Final = re.compile(ACCOUNT_ID)
GroupPath = Annotated[str, Path(max_length=40, examples=["PG-01HZX3K9QW5V7M2N4B"])]
Nothing = Annotated[schemas.NoQuery, Query()]
NO_SUCH_GROUP: Final = Refusal(Code.NOT_FOUND, "there is no such group")


class GroupRoutes:
    def __init__(self, deps: Deps, door: Door) -> None:
        self._env = deps.env
        self._groups = deps.groups
        self._bounds = deps.bounds
        self._door = door

    def routes(self) -> list[HotRoute]:
        return [
            HotRoute("/v1/order-groups", {"POST": self.place}),
            HotRoute("/v1/order-groups/{group_id}", {"GET": self.show, "DELETE": self.cancel}),
            HotRoute("/v1/accounts/{account_id}/flatten", {"POST": self.flatten}),
        ]

    async def place(self, call: Call) -> Reply:
        asking = await self._asking(call)
        if isinstance(asking, Reply):
            return asking
        principal, key = asking
        body = await call.json_body(self._bounds)
        terms = body if isinstance(body, Refusal) else group_in(body)
        if isinstance(terms, Refusal):
            return refused(terms, call.correlation)
        answer = await self._groups.place(principal, terms, key=key, correlation=call.correlation)
        return self._told(call, answer, 201)

    async def show(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.ORDERS_READ)
        if isinstance(principal, Reply):
            return principal
        body = await self._groups.show(principal, call.part("group_id"))
        return refused(body, call.correlation) if isinstance(body, Refusal) else Reply(200, body)

    async def cancel(self, call: Call) -> Reply:
        asking = await self._asking(call, cancels=True)
        if isinstance(asking, Reply):
            return asking
        principal, key = asking
        group = call.part("group_id")
        if not is_group_id(self._env, group):
            return refused(NO_SUCH_GROUP, call.correlation)
        answer = await self._groups.cancel(principal, group, key=key, correlation=call.correlation)
        return self._told(call, answer, 202)

    async def flatten(self, call: Call) -> Reply:
        asking = await self._asking(call, cancels=True)
        if isinstance(asking, Reply):
            return asking
        principal, key = asking
        body = await call.json_body(self._bounds)
        symbol = body if isinstance(body, Refusal) else flatten_in(body)
        if isinstance(symbol, Refusal):
            return refused(symbol, call.correlation)
        account = call.part("account_id")
        if _ACCOUNT.fullmatch(account) is None:
            return refused(NO_SUCH_ACCOUNT, call.correlation)
        answer = await self._groups.flatten(
            principal, AccountId(account), key=key, correlation=call.correlation, symbol=symbol
        )
        return self._told(call, answer, 202)

    async def _asking(self, call: Call, *, cancels: bool = False) -> tuple[Principal, str] | Reply:
        """Who asks, and under which key; or the answer to give instead."""
        principal = await self._door.enter(call, Scope.ORDERS_WRITE, cancels=cancels)
        if isinstance(principal, Reply):
            return principal
        key = parse_key(call.header(b"idempotency-key"))
        return refused(key, call.correlation) if isinstance(key, Refusal) else (principal, key)

    def _told(self, call: Call, answer: GroupAnswer | Refusal, status: int) -> Reply:
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation, challenge(answer, Scope.ORDERS_WRITE))
        headers: Headers = [(b"idempotent-replayed", b"true")] if answer.replayed else []
        if answer.failed:
            told = problems.group_denial(answer.failed, answer.group_id, answer.body, call.correlation)
            return Reply(told.status, problems.encode(told), headers, PROBLEM, refused=Code.RISK_DENIED)
        headers.append((b"location", f"/v1/order-groups/{answer.group_id}".encode()))
        return Reply(status, answer.body, headers)


def group_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["groups"])
    entered = Depends(entering(door, Scope.ORDERS_READ))

    @router.get(
        "/v1/order-groups",
        response_model=group_schemas.Groups,
        responses=failing(400, 403, 404),
        summary="List groups, newest first: every active one, and those that ended lately",
    )
    async def list_groups(
        query: Annotated[group_schemas.GroupsQuery, Query()], principal: Principal = entered
    ) -> Response:
        listing = "groups?" + query.model_dump_json(exclude={"limit", "cursor"})
        before = place_in(listing, query.cursor)
        accounts = owned(principal, query.account_id)
        page = await deps.groups.latest(
            principal,
            accounts,
            active=query.active,
            before=None if before is None else GroupId(before),
            limit=query.limit,
        )
        if isinstance(page, Refusal):
            raise Refused(page)
        goes_on = None if page.next is None else cursor_of(listing, page.next)
        return json_reply(json_object(listed("groups", page.bodies), named("next", goes_on)))

    @router.get(
        "/v1/order-groups/{group_id}/events",
        response_model=schemas.Events,
        responses=failing(400, 403, 404),
        summary="Everything that happened to a group besides its orders, oldest first",
    )
    async def list_group_events(group_id: GroupPath, _: Nothing, principal: Principal = entered) -> Response:
        frames: list[bytes] = []
        if is_group_id(deps.env, group_id):
            frames = await seen(deps, principal).order_events(OrderId(group_id), tuple(principal.accounts))
        if not frames:
            raise Refused(NO_SUCH_GROUP)
        return json_reply(json_object(listed("events", frames)))

    return router
