"""The routes that an order's life hangs on: place, look, change, cancel, and ask risk beforehand.

They decode with msgspec, hand over to the gate and pass the order's stored JSON through as bytes.
Scopes of commands, accounts, idempotency and risk are the gate's to judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from ordergate.api import etags, problems
from ordergate.api.bearer import challenge
from ordergate.api.deps import Bounds, Deps
from ordergate.api.door import Door
from ordergate.api.exchange import PROBLEM, Call, Headers, Reply, refused
from ordergate.api.requests import ACCOUNT_ID, SYMBOL, Changes, changes_in, resolution_in, terms_in
from ordergate.api.routes.entry import seen
from ordergate.api.routes.hot import HotRoute
from ordergate.core.access import Principal, Scope
from ordergate.core.idempotency import parse_key
from ordergate.core.ids import AccountId, OrderId, Symbol, is_order_id
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import Answer

_WAIT: Final = re.compile(r'(?:^|,)\s*wait\s*=\s*"?([0-9]{1,4})"?\s*(?:$|[,;])', re.IGNORECASE)
_ACCOUNT: Final = re.compile(ACCOUNT_ID)
_SYMBOL: Final = re.compile(SYMBOL)
_QUERY_FIELDS_MAX: Final = 10
_encode: Final = msgspec.json.Encoder().encode

NO_SUCH_ORDER: Final = Refusal(Code.NOT_FOUND, "there is no such order")


class OrderRoutes:
    def __init__(self, deps: Deps, door: Door) -> None:
        self._env = deps.env
        self._gate = deps.gate
        self._seen = partial(seen, deps)
        self._bounds = deps.bounds
        self._door = door

    def routes(self) -> list[HotRoute]:
        """Exact paths before those with a part in them."""
        return [
            HotRoute("/v1/orders", {"POST": self.place, "DELETE": self.cancel_all}, queried={"DELETE"}),
            HotRoute("/v1/orders/preview", {"POST": self.preview}),
            HotRoute(
                "/v1/orders/{order_id}",
                {"GET": self.show, "PATCH": self.replace, "DELETE": self.cancel},
                besides={"/v1/orders/preview"},
            ),
            HotRoute("/v1/orders/{order_id}/resolve", {"POST": self.resolve}),
        ]

    async def place(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.ORDERS_WRITE)
        if isinstance(principal, Reply):
            return principal
        key = parse_key(call.header(b"idempotency-key"))
        if isinstance(key, Refusal):
            return refused(key, call.correlation)
        terms = await self._terms(call)
        if isinstance(terms, Refusal):
            return refused(terms, call.correlation)
        wait_s = self._wait_s(call)
        answer = await self._gate.place(
            principal, terms, key=key, correlation=call.correlation, wait_s=wait_s
        )
        return told(answer, 201, call.correlation, wait_s)

    async def preview(self, call: Call) -> Reply:
        principal = await self._door.enter(call)
        if isinstance(principal, Reply):
            return principal
        terms = await self._terms(call)
        if isinstance(terms, Refusal):
            return refused(terms, call.correlation)
        answer = await self._gate.preview(principal, terms)
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation, challenge(answer, Scope.ORDERS_READ))
        return Reply(200, _encode(answer))

    async def show(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.ORDERS_READ)
        if isinstance(principal, Reply):
            return principal
        order = self._order_id(call)
        body = None if order is None else await self._seen(principal).order(order, tuple(principal.accounts))
        if body is None:
            return refused(NO_SUCH_ORDER, call.correlation)
        return Reply(200, body, etags.of_order(body))

    async def replace(self, call: Call) -> Reply:
        found = await self._on_order(call)
        if isinstance(found, Reply):
            return found
        principal, order, key = found
        seen_revision = etags.revision_in(call.header(b"if-match"))
        if isinstance(seen_revision, Refusal):
            return refused(seen_revision, call.correlation)
        changes = await self._changes(call)
        if isinstance(changes, Refusal):
            return refused(changes, call.correlation)
        wait_s = self._wait_s(call)
        answer = await self._gate.replace(
            principal,
            order,
            quantity=changes.quantity,
            limit_price=changes.limit_price,
            stop_price=changes.stop_price,
            key=key,
            correlation=call.correlation,
            wait_s=wait_s,
            if_revision=seen_revision,
        )
        return told(answer, 202, call.correlation, wait_s)

    async def cancel(self, call: Call) -> Reply:
        found = await self._on_order(call, cancels=True)
        if isinstance(found, Reply):
            return found
        principal, order, key = found
        seen_revision = etags.revision_in(call.header(b"if-match"))
        if isinstance(seen_revision, Refusal):
            return refused(seen_revision, call.correlation)
        wait_s = self._wait_s(call)
        answer = await self._gate.cancel(
            principal,
            order,
            key=key,
            correlation=call.correlation,
            wait_s=wait_s,
            if_revision=seen_revision,
        )
        return told(answer, 202, call.correlation, wait_s)

    async def resolve(self, call: Call) -> Reply:
        found = await self._on_order(call, scope=Scope.OPERATIONS_WRITE, privileged=True)
        if isinstance(found, Reply):
            return found
        principal, order, key = found
        body = await call.json_body(self._bounds)
        asked = body if isinstance(body, Refusal) else resolution_in(body)
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        answer = await self._gate.resolve(
            principal,
            order,
            resolution=asked.resolution,
            reason=asked.reason,
            broker_order_id=asked.broker_order_id,
            cum_qty=asked.cum_qty,
            avg_px=asked.avg_px,
            key=key,
            correlation=call.correlation,
        )
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation, challenge(answer, Scope.OPERATIONS_WRITE))
        return Reply(200, answer.body, [*_replayed(answer.replayed), *etags.of_order(answer.body)])

    async def cancel_all(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.ORDERS_WRITE, cancels=True)
        if isinstance(principal, Reply):
            return principal
        key = parse_key(call.header(b"idempotency-key"))
        if isinstance(key, Refusal):
            return refused(key, call.correlation)
        asked = cancel_all_query(call.scope["query_string"])
        if isinstance(asked, Refusal):
            return refused(asked, call.correlation)
        account, symbol = asked
        answer = await self._gate.cancel_all(
            principal, account, key=key, correlation=call.correlation, symbol=symbol
        )
        if isinstance(answer, Refusal):
            return refused(answer, call.correlation, challenge(answer, Scope.ORDERS_WRITE))
        return Reply(207, _encode({"results": answer.results}), _replayed(answer.replayed))

    async def _terms(self, call: Call) -> Terms | Refusal:
        body = await call.json_body(self._bounds)
        return body if isinstance(body, Refusal) else terms_in(body)

    async def _changes(self, call: Call) -> Changes | Refusal:
        body = await call.json_body(self._bounds)
        return body if isinstance(body, Refusal) else changes_in(body)

    async def _on_order(
        self,
        call: Call,
        *,
        cancels: bool = False,
        scope: Scope = Scope.ORDERS_WRITE,
        privileged: bool = False,
    ) -> tuple[Principal, OrderId, str] | Reply:
        """Who asks, about which order, under which key; or the answer to give instead."""
        principal = await self._door.enter(call, scope, cancels=cancels, privileged=privileged)
        if isinstance(principal, Reply):
            return principal
        key = parse_key(call.header(b"idempotency-key"))
        if isinstance(key, Refusal):
            return refused(key, call.correlation)
        order = self._order_id(call)
        if order is None:
            return refused(NO_SUCH_ORDER, call.correlation)
        return principal, order, key

    def _order_id(self, call: Call) -> OrderId | None:
        """A text that is no id of this environment names nothing, like the id of nobody's order."""
        text = call.part("order_id")
        return OrderId(text) if is_order_id(self._env, text) else None

    def _wait_s(self, call: Call) -> int:
        return wait_s_of(call, self._bounds)


def told(answer: Answer | Refusal, status: int, correlation: str, wait_s: int = 0) -> Reply:
    """What the gate answered about one order."""
    if isinstance(answer, Refusal):
        headers = [*challenge(answer, Scope.ORDERS_WRITE), *etags.of_refusal(answer)]
        return refused(answer, correlation, headers)
    headers = _replayed(answer.replayed)
    if answer.failed:
        denial = problems.denial(answer.failed, answer.order_id, answer.body, correlation)
        body = problems.encode(denial)
        return Reply(denial.status, body, headers, PROBLEM, refused=Code.RISK_DENIED)
    if status == 201:
        headers.append((b"location", f"/v1/orders/{answer.order_id}".encode()))
    if wait_s:
        headers.append((b"preference-applied", b"wait=%d" % wait_s))
    is_new = status == 201 and not wait_s and not answer.replayed
    headers += [etags.FIRST] if is_new else etags.of_order(answer.body)
    return Reply(status, answer.body, headers)


def wait_s_of(call: Call, bounds: Bounds) -> int:
    """How long the client prefers to wait (RFC 7240); what is not ours is ignored."""
    preference = call.header(b"prefer")
    found = None if preference is None else _WAIT.search(preference)
    return 0 if found is None else min(int(found[1]), bounds.wait_s_max)


def cancel_all_query(query: bytes) -> tuple[AccountId, Symbol | None] | Refusal:
    """`account_id`, and `symbol` when only its orders are meant. Anything else is refused, not ignored:

    a filter that is overlooked would cancel more than was asked.
    """
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            max_num_fields=_QUERY_FIELDS_MAX,
        )
    except ValueError:
        return Refusal(Code.MALFORMED, "the query cannot be read")
    given = dict(pairs)
    wrong = _wrong_query(given)
    if len(given) != len(pairs):
        wrong["query"] = "has a parameter twice"
    if wrong:
        return Refusal(Code.INVALID, "the query has impossible values", wrong)
    symbol = given.get("symbol")
    return AccountId(given["account_id"]), None if symbol is None else Symbol(symbol)


def _wrong_query(given: Mapping[str, str]) -> dict[str, str]:
    wrong = {}
    if _ACCOUNT.fullmatch(given.get("account_id", "")) is None:
        wrong["account_id"] = "is required: an account id"
    if "symbol" in given and _SYMBOL.fullmatch(given["symbol"]) is None:
        wrong["symbol"] = "must be a symbol"
    if not {"account_id", "symbol"}.issuperset(given):
        wrong["query"] = "may have account_id and symbol only"
    return wrong


def _replayed(replayed: bool) -> Headers:
    return [(b"idempotent-replayed", b"true")] if replayed else []
