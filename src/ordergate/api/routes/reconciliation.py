"""Reconciliations and breaks: seen by whoever may see the account, settled by few.

Stored breaks pass through as bytes with their age beside them; permission, idempotency and what an
action means are the desk's to judge.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from ordergate.api import account_schemas, schemas
from ordergate.api.bearer import challenge
from ordergate.api.cursors import cursor_of
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.exchange import Call, Headers, Reply, refused
from ordergate.api.replies import aged, json_object, json_reply, listed, named
from ordergate.api.requests import BREAK_ID, AssignFields, ResolveFields, RunFields
from ordergate.api.routes.documented import failing
from ordergate.api.routes.entry import Refused, entering, owned, place_in, seen
from ordergate.api.routes.hot import HotRoute
from ordergate.api.routes.orders import wait_s_of
from ordergate.core.access import Principal, Scope
from ordergate.core.idempotency import parse_key
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import BreakAnswer
from ordergate.ports.views import BreakQuery

BreakPath = Annotated[str, Path(max_length=40, examples=["brk-019b8f0a3c41-5d1e09ab"])]
NO_SUCH_BREAK: Final = Refusal(Code.NOT_FOUND, "there is no such break")

_BREAK: Final = re.compile(BREAK_ID)
_assign: Final = msgspec.json.Decoder(AssignFields)
_resolve: Final = msgspec.json.Decoder(ResolveFields)
_run: Final = msgspec.json.Decoder(RunFields)
_encode: Final = msgspec.json.Encoder().encode


class BreakRoutes:
    """Settling a break needs an idempotency key; asking for a run twice is harmless."""

    def __init__(self, deps: Deps, door: Door) -> None:
        self._desk = deps.breaks
        self._clock = deps.clock
        self._bounds = deps.bounds
        self._door = door

    def routes(self) -> list[HotRoute]:
        return [
            HotRoute("/v1/reconciliation/runs", {"POST": self.ask_run}),
            HotRoute("/v1/reconciliation/breaks/{break_id}/assign", {"POST": self.assign}),
            HotRoute("/v1/reconciliation/breaks/{break_id}/resolve", {"POST": self.resolve}),
        ]

    async def ask_run(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.ACCOUNTS_WRITE)
        if isinstance(principal, Reply):
            return principal
        asked = await call.asked(self._bounds, _run)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        wait_s = wait_s_of(call, self._bounds)
        answer = await self._desk.ask_run(
            principal, AccountId(asked.account_id), correlation=call.correlation, wait_s=wait_s
        )
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation, challenge(answer, Scope.ACCOUNTS_WRITE))
        applied: Headers = [(b"preference-applied", b"wait=%d" % wait_s)] if wait_s else []
        return Reply(202, _encode(answer), applied)

    async def assign(self, call: Call) -> Reply:
        found = await self._on_break(call)
        if isinstance(found, Reply):
            return found
        principal, break_id, key = found
        asked = await call.asked(self._bounds, _assign)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        answer = await self._desk.assign(
            principal, break_id, owner=asked.owner, note=asked.note, key=key, correlation=call.correlation
        )
        return self._told(call, answer)

    async def resolve(self, call: Call) -> Reply:
        found = await self._on_break(call)
        if isinstance(found, Reply):
            return found
        principal, break_id, key = found
        asked = await call.asked(self._bounds, _resolve)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        answer = await self._desk.resolve(
            principal,
            break_id,
            action=asked.action,
            reason=asked.reason,
            key=key,
            correlation=call.correlation,
        )
        return self._told(call, answer)

    async def _on_break(self, call: Call) -> tuple[Principal, str, str] | Reply:
        """Who asks, about which break, under which key; or the answer to give instead."""
        principal = await self._door.enter(call, Scope.ACCOUNTS_WRITE)
        if isinstance(principal, Reply):
            return principal
        key = parse_key(call.header(b"idempotency-key"))
        if isinstance(key, Refusal):
            return refused(key, call.correlation)
        break_id = call.part("break_id")
        if _BREAK.fullmatch(break_id) is None:
            return refused(NO_SUCH_BREAK, call.correlation)
        return principal, break_id, key

    def _told(self, call: Call, answer: BreakAnswer | Refusal) -> Reply:
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation, challenge(answer, Scope.ACCOUNTS_WRITE))
        replayed: Headers = [(b"idempotent-replayed", b"true")] if answer.replayed else []
        return Reply(200, aged(answer.body, self._clock.now()), replayed)


def reconciliation_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["reconciliation"])
    entered = Depends(entering(door, Scope.ACCOUNTS_READ))

    @router.get(
        "/v1/reconciliation/runs",
        response_model=account_schemas.Runs,
        responses=failing(400, 403, 404),
        summary="The latest reconciliations, newest first",
    )
    async def list_runs(
        query: Annotated[account_schemas.RunsQuery, Query()], principal: Principal = entered
    ) -> Response:
        listing = "runs?" + query.model_dump_json(exclude={"limit", "cursor"})
        key = place_in(listing, query.cursor)
        runs = deps.breaks.runs(owned(principal, query.account_id))
        left = [run for run in runs if key is None or f"{run.id}/{run.account_id}" < key]
        shown = left[: query.limit]
        goes_on = None
        if len(left) > len(shown):
            goes_on = cursor_of(listing, f"{shown[-1].id}/{shown[-1].account_id}")
        return json_reply(json_object(listed("runs", map(_encode, shown)), named("next", goes_on)))

    @router.get(
        "/v1/reconciliation/breaks",
        response_model=account_schemas.Breaks,
        responses=failing(400, 403, 404),
        summary="Breaks, newest first",
    )
    async def list_breaks(
        query: Annotated[account_schemas.BreaksQuery, Query()], principal: Principal = entered
    ) -> Response:
        listing = query.listing()
        found = await seen(deps, principal).breaks(
            BreakQuery(
                accounts=owned(principal, query.account_id),
                limit=query.limit,
                before=place_in(listing, query.cursor),
                state=query.state,
                severity=query.severity,
                open=query.open,
            )
        )
        now = deps.clock.now()
        goes_on = None if found.next is None else cursor_of(listing, found.next)
        bodies = [aged(body, now) for body in found.bodies]
        return json_reply(json_object(listed("breaks", bodies), named("next", goes_on)))

    @router.get(
        "/v1/reconciliation/breaks/{break_id}",
        response_model=account_schemas.AgedBreak,
        responses=failing(400, 403, 404),
        summary="One break, with its history",
    )
    async def show_break(
        break_id: BreakPath,
        _: Annotated[schemas.NoQuery, Query()],
        principal: Principal = entered,
    ) -> Response:
        body = None
        if _BREAK.fullmatch(break_id) is not None:
            body = await seen(deps, principal).one_break(break_id, tuple(principal.accounts))
        if body is None:
            raise Refused(NO_SUCH_BREAK)
        return json_reply(aged(body, deps.clock.now()))

    return router
