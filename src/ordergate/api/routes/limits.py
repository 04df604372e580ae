"""Limits: seen by some, changed by few, loosened by two.

What a client saw comes with `If-Match`; permission and what a change means are the desk's to judge.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from ordergate.api import limit_schemas, schemas
from ordergate.api.bearer import challenge
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.etags import tagged
from ordergate.api.exchange import Call, Headers, Reply, refused
from ordergate.api.limit_requests import (
    apply_decoder,
    dry_run_decoder,
    expected_in,
    override_in,
    rule_in,
    rules_of,
    why_decoder,
)
from ordergate.api.replies import json_object, json_reply, listed
from ordergate.api.routes.documented import failing
from ordergate.api.routes.entry import Refused, entering, owned
from ordergate.api.routes.hot import HotRoute
from ordergate.core.access import Principal, Scope
from ordergate.core.approvals import Change
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.policy import Edit
from ordergate.core.risk.rules import ID
from ordergate.engine.limits.changes import Plan
from ordergate.engine.limits.desk import Edited
from ordergate.engine.limits.views import EditView, PlanView, change_view, rule_view

RulePath = Annotated[str, Path(max_length=64, examples=["desk-rates"])]
ChangePath = Annotated[str, Path(max_length=40, examples=["chg-019b8f0a3c41-5d1e09ab"])]
NO_SUCH_RULE: Final = Refusal(Code.NOT_FOUND, "there is no such rule")

_RULE: Final = re.compile(ID)
_encode: Final = msgspec.json.Encoder().encode


class LimitRoutes:
    """Every one of these is harmless to repeat: a version is replaced once, a change is settled once."""

    def __init__(self, deps: Deps, door: Door) -> None:
        self._desk = deps.limits
        self._bounds = deps.bounds
        self._door = door

    def routes(self) -> list[HotRoute]:
        return [
            HotRoute("/v1/risk/limits/apply", {"POST": self.apply}),
            HotRoute("/v1/risk/limits/dry-run", {"POST": self.dry_run}),
            HotRoute("/v1/risk/limits/{rule_id}", {"PUT": self.put, "DELETE": self.remove}),
            HotRoute("/v1/risk/overrides", {"POST": self.ask_override}),
            HotRoute("/v1/risk/changes/{change_id}/approve", {"POST": self.approve}),
            HotRoute("/v1/risk/changes/{change_id}/reject", {"POST": self.reject}),
        ]

    async def put(self, call: Call) -> Reply:
        found = await self._on_rule(call)
        if isinstance(found, Reply):
            return found
        principal, rule_id, expected = found
        body = await call.json_body(self._bounds)
        asked = body if isinstance(body, Refusal) else rule_in(body, rule_id)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        rule, reason = asked
        return await self._edit(call, principal, [Edit(rule_id, expected, rule)], reason)

    async def remove(self, call: Call) -> Reply:
        found = await self._on_rule(call)
        if isinstance(found, Reply):
            return found
        principal, rule_id, expected = found
        asked = await call.asked(self._bounds, why_decoder)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        return await self._edit(call, principal, [Edit(rule_id, expected)], asked.reason)

    async def apply(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.RISK_WRITE)
        if isinstance(principal, Reply):
            return principal
        asked = await call.asked(self._bounds, apply_decoder)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        edits = self._desk.differing(principal, rules_of(asked), prune=asked.prune)
        if asked.preview:
            return self._planned(call, await self._desk.planned(principal, edits, asked.reason))
        return await self._edit(call, principal, edits, asked.reason)

    async def _edit(self, call: Call, principal: Principal, edits: list[Edit], reason: str) -> Reply:
        """Whoever logged in long ago may tighten, and must log in again to propose what loosens."""
        old_login = self._door.bearer.stepped_up(principal)
        if old_login is not None:
            plan = await self._desk.planned(principal, edits, reason)
            if isinstance(plan, Plan) and plan.waiting:
                return refused(old_login, call.correlation, challenge(old_login))
        answer = await self._desk.edit(principal, edits, reason=reason, correlation=call.correlation)
        return self._edited(call, answer)

    async def dry_run(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.RISK_READ)
        if isinstance(principal, Reply):
            return principal
        asked = await call.asked(self._bounds, dry_run_decoder)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        answer = await self._desk.dry_run(
            principal,
            AccountId(asked.account_id),
            rules_of(asked),
            prune=asked.prune,
            orders=asked.orders,
            shadows=asked.shadows,
        )
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation)
        return Reply(200, _encode(answer))

    async def ask_override(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.ORDERS_WRITE)
        if isinstance(principal, Reply):
            return principal
        body = await call.json_body(self._bounds)
        asked = body if isinstance(body, Refusal) else override_in(body)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        what, reason = asked
        answer = await self._desk.ask_override(principal, what, reason=reason, correlation=call.correlation)
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation, challenge(answer, Scope.ORDERS_WRITE))
        return Reply(202, _encode(change_view(answer)))

    async def approve(self, call: Call) -> Reply:
        found = await self._on_change(call, privileged=True)
        if isinstance(found, Reply):
            return found
        principal, change_id, reason = found
        answer = await self._desk.approve(principal, change_id, reason=reason, correlation=call.correlation)
        return self._settled(call, answer)

    async def reject(self, call: Call) -> Reply:
        found = await self._on_change(call)
        if isinstance(found, Reply):
            return found
        principal, change_id, reason = found
        answer = await self._desk.reject(principal, change_id, reason=reason, correlation=call.correlation)
        return self._settled(call, answer)

    async def _on_rule(self, call: Call) -> tuple[Principal, str, int] | Reply:
        """Who asks, about which rule, and which version of it they saw; or the answer to give instead."""
        principal = await self._door.enter(call, Scope.RISK_WRITE)
        if isinstance(principal, Reply):
            return principal
        expected = expected_in(call.header(b"if-match"), call.header(b"if-none-match"))
        if isinstance(expected, Refusal):
            return refused(expected, call.correlation)
        rule_id = call.part("rule_id")
        if _RULE.fullmatch(rule_id) is None:
            return refused(NO_SUCH_RULE, call.correlation)
        return principal, rule_id, expected

    async def _on_change(self, call: Call, *, privileged: bool = False) -> tuple[Principal, str, str] | Reply:
        principal = await self._door.enter(call, Scope.RISK_WRITE, privileged=privileged)
        if isinstance(principal, Reply):
            return principal
        asked = await call.asked(self._bounds, why_decoder)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        return principal, call.part("change_id"), asked.reason

    def _edited(self, call: Call, answer: Edited | Refusal) -> Reply:
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation, challenge(answer, Scope.RISK_WRITE))
        told = EditView(
            rules=tuple(map(rule_view, answer.rules)),
            removed=answer.removed,
            change=None if answer.change is None else change_view(answer.change),
        )
        headers: Headers = []
        if len(answer.rules) == 1 and answer.change is None:
            headers.append(tagged(answer.rules[0].version))
        return Reply(200 if answer.change is None else 202, _encode(told), headers)

    def _planned(self, call: Call, plan: Plan | Refusal) -> Reply:
        if isinstance(plan, Refusal):
            return refused(plan, call.correlation, challenge(plan, Scope.RISK_WRITE))
        told = PlanView(
            at_once=tuple(edit.rule_id for edit in plan.at_once),
            waiting=tuple(edit.rule_id for edit in plan.waiting),
            loosens=plan.loosens,
        )
        return Reply(200, _encode(told))

    def _settled(self, call: Call, answer: Change | Refusal) -> Reply:
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation, challenge(answer, Scope.RISK_WRITE))
        return Reply(200, _encode(change_view(answer)))


def limit_listings(deps: Deps, door: Door) -> APIRouter:
    router = APIRouter(tags=["risk"])
    entered = Depends(entering(door, Scope.RISK_READ))

    @router.get(
        "/v1/risk/limits",
        response_model=limit_schemas.LimitsInForce,
        responses=failing(400, 403, 404),
        summary="The limits in force, and the rules they come from; an account without any takes no order",
    )
    async def list_limits(
        query: Annotated[limit_schemas.LimitsQuery, Query()], principal: Principal = entered
    ) -> Response:
        found = [deps.gate.limits_of(account) for account in owned(principal, query.account_id)]
        rules = [_encode(rule_view(rule)) for rule in deps.limits.rules(principal)]
        limits = listed("limits", [body for body in found if body is not None])
        return json_reply(json_object(limits, listed("rules", rules)))

    @router.get(
        "/v1/risk/limits/{rule_id}",
        response_model=limit_schemas.Rule,
        responses=failing(400, 403, 404),
        summary="One rule; its ETag is for If-Match",
    )
    async def show_rule(
        rule_id: RulePath, _: Annotated[schemas.NoQuery, Query()], principal: Principal = entered
    ) -> Response:
        rule = deps.limits.rule(principal, rule_id)
        if isinstance(rule, Refusal):
            raise Refused(rule)
        reply = json_reply(_encode(rule_view(rule)))
        reply.headers["etag"] = f'"{rule.version}"'
        return reply

    @router.get(
        "/v1/risk/utilization",
        response_model=limit_schemas.Utilization,
        responses=failing(400, 403, 404),
        summary="Every limit with its use and headroom, and the rule it comes from",
    )
    async def show_use(
        query: Annotated[limit_schemas.LimitsQuery, Query()], principal: Principal = entered
    ) -> Response:
        found = [deps.limits.use_of(account) for account in owned(principal, query.account_id)]
        return json_reply(json_object(listed("accounts", [body for body in found if body is not None])))

    @router.get(
        "/v1/risk/changes",
        response_model=limit_schemas.Changes,
        responses=failing(400, 403, 404),
        summary="Changes that wait for another person, or all of them, newest first",
    )
    async def list_changes(
        query: Annotated[limit_schemas.ChangesQuery, Query()], principal: Principal = entered
    ) -> Response:
        found = deps.limits.changes(principal, only_pending=query.state == "pending")
        return json_reply(json_object(listed("changes", [_encode(change_view(one)) for one in found])))

    @router.get(
        "/v1/risk/changes/{change_id}",
        response_model=limit_schemas.Change,
        responses=failing(400, 403, 404),
        summary="One change, and what became of it",
    )
    async def show_change(
        change_id: ChangePath, _: Annotated[schemas.NoQuery, Query()], principal: Principal = entered
    ) -> Response:
        change = deps.limits.change(principal, change_id)
        if isinstance(change, Refusal):
            raise Refused(change)
        return json_reply(_encode(change_view(change)))

    return router
