"""The authorisation matrix: route x role x target x environment x state of the token, every cell executed.

The rows are the operations of the OpenAPI document; one that is not in the table below fails, and so does one
that is there and not served. What another tenant's object answers is compared with what a missing one does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest
import pytest_asyncio

from ordergate.core.access import SCOPES_OF, Role, Scope
from ordergate.core.ids import Env
from tests.security.doors import Doors
from tests.security.floor import MISSING, ORIGIN, OWN, SISTER, TARGETS, THEIRS, Floor, Things, floor
from tests.security.inside import asked

Body = Callable[[Things], Any]


class Row(NamedTuple):
    """One operation. `about` says whose the target is: an account's, a tenant's, or nobody's."""

    scope: Scope | None
    about: str
    path: str
    body: Body | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    may_be_absent: bool = False


def _order(thing: Things) -> Any:
    return {
        "account_id": thing["account"],
        "symbol": "ESH4",
        "side": "buy",
        "type": "limit",
        "quantity": "1",
        "limit_price": "4700",
        "time_in_force": "day",
    }


def _group(thing: Things) -> Any:
    leg = {"role": "trail", "side": "sell", "type": "trailing_stop", "trail_amount": "5"}
    return {
        "account_id": thing["account"],
        "type": "trailing_stop",
        "symbol": "ESH4",
        "quantity": "1",
        "legs": [leg],
    }


def _rule(thing: Things) -> Any:
    return {
        "scope": "account",
        "of": thing["account"],
        "limits": {"max_open_orders": 999},
        "owner": "risk",
        "reason": "matrix",
    }


def _listed_rule(thing: Things) -> Any:
    rule = {name: value for name, value in _rule(thing).items() if name != "reason"}
    return {"id": f"matrix-{thing['account']}", **rule}


def _kill(thing: Things) -> Any:
    return {"grade": "reduce_only", "level": "account", "target": thing["account"], "reason": "matrix"}


def _release(thing: Things) -> Any:
    return {"level": "account", "target": thing["account"], "reason": "matrix"}


def _role(thing: Things) -> Any:
    return {
        "subject": "somebody",
        "role": "viewer",
        "reach": "account",
        "of": thing["account"],
        "reason": "matrix",
    }


def _reach(thing: Things) -> Any:
    return {"scopes": ["accounts:read"], "accounts": [thing["account"]], "reason": "matrix"}


def _program(thing: Things) -> Any:
    return {"client_id": f"new-{thing['program']}", **_reach(thing)}


def _why(_: Things) -> Any:
    return {"reason": "matrix"}


SEEN: Final = {"if-match": '"1"'}
READ, WRITE = Scope.ORDERS_READ, Scope.ORDERS_WRITE
SEE, SETTLE = Scope.ACCOUNTS_READ, Scope.ACCOUNTS_WRITE
RISK, LIMIT, OPERATE = Scope.RISK_READ, Scope.RISK_WRITE, Scope.OPERATIONS_WRITE
WHO, GIVE, KEYS = Scope.ACCESS_READ, Scope.ACCESS_WRITE, Scope.CREDENTIALS_WRITE

MATRIX: Final[dict[str, Row]] = {
    "GET /v1/orders": Row(READ, "account", "/v1/orders?account_id={account}"),
    "POST /v1/orders": Row(WRITE, "account", "/v1/orders", _order),
    "DELETE /v1/orders": Row(WRITE, "account", "/v1/orders?account_id={account}"),
    "POST /v1/orders/preview": Row(READ, "account", "/v1/orders/preview", _order),
    "GET /v1/orders/{order_id}": Row(READ, "account", "/v1/orders/{order}"),
    "GET /v1/orders/{order_id}/events": Row(READ, "account", "/v1/orders/{order}/events"),
    "PATCH /v1/orders/{order_id}": Row(
        WRITE, "account", "/v1/orders/{order}", lambda _: {"limit_price": "4701"}
    ),
    "DELETE /v1/orders/{order_id}": Row(WRITE, "account", "/v1/orders/{order}"),
    "POST /v1/orders/{order_id}/resolve": Row(
        OPERATE, "account", "/v1/orders/{order}/resolve", lambda _: {"as": "canceled", "reason": "matrix"}
    ),
    "GET /v1/order-groups": Row(READ, "account", "/v1/order-groups?account_id={account}"),
    "POST /v1/order-groups": Row(WRITE, "account", "/v1/order-groups", _group),
    "GET /v1/order-groups/{group_id}": Row(READ, "account", "/v1/order-groups/{group}"),
    "GET /v1/order-groups/{group_id}/events": Row(READ, "account", "/v1/order-groups/{group}/events"),
    "DELETE /v1/order-groups/{group_id}": Row(WRITE, "account", "/v1/order-groups/{group}"),
    "GET /v1/accounts": Row(SEE, "nobody", "/v1/accounts"),
    "GET /v1/accounts/{account_id}": Row(SEE, "account", "/v1/accounts/{account}"),
    "GET /v1/accounts/{account_id}/positions": Row(SEE, "account", "/v1/accounts/{account}/positions"),
    "GET /v1/accounts/{account_id}/balances": Row(SEE, "account", "/v1/accounts/{account}/balances"),
    "GET /v1/accounts/{account_id}/executions": Row(SEE, "account", "/v1/accounts/{account}/executions"),
    "POST /v1/accounts/{account_id}/flatten": Row(
        WRITE, "account", "/v1/accounts/{account}/flatten", lambda _: {}
    ),
    "GET /v1/instruments": Row(None, "nobody", "/v1/instruments"),
    "GET /v1/instruments/{symbol}": Row(None, "nobody", "/v1/instruments/ESH4"),
    "GET /v1/risk/limits": Row(RISK, "account", "/v1/risk/limits?account_id={account}"),
    "GET /v1/risk/limits/{rule_id}": Row(RISK, "account", "/v1/risk/limits/{rule}"),
    "PUT /v1/risk/limits/{rule_id}": Row(LIMIT, "account", "/v1/risk/limits/{rule}", _rule, SEEN),
    "DELETE /v1/risk/limits/{rule_id}": Row(LIMIT, "account", "/v1/risk/limits/{rule}", _why, SEEN),
    "POST /v1/risk/limits/apply": Row(
        LIMIT,
        "account",
        "/v1/risk/limits/apply",
        lambda thing: {"rules": [_listed_rule(thing)], "reason": "matrix"},
    ),
    "POST /v1/risk/limits/dry-run": Row(
        RISK,
        "account",
        "/v1/risk/limits/dry-run",
        lambda thing: {"account_id": thing["account"], "rules": [_listed_rule(thing)]},
    ),
    "GET /v1/risk/utilization": Row(RISK, "account", "/v1/risk/utilization?account_id={account}"),
    "POST /v1/risk/overrides": Row(
        WRITE,
        "account",
        "/v1/risk/overrides",
        lambda thing: {"order": _order(thing), "controls": ["R06"], "reason": "matrix"},
    ),
    "GET /v1/risk/changes": Row(RISK, "nobody", "/v1/risk/changes"),
    "GET /v1/risk/changes/{change_id}": Row(RISK, "account", "/v1/risk/changes/{change}"),
    "POST /v1/risk/changes/{change_id}/approve": Row(
        LIMIT, "account", "/v1/risk/changes/{change}/approve", _why
    ),
    "POST /v1/risk/changes/{change_id}/reject": Row(
        LIMIT, "account", "/v1/risk/changes/{change}/reject", _why
    ),
    "GET /v1/reconciliation/runs": Row(SEE, "account", "/v1/reconciliation/runs?account_id={account}"),
    "POST /v1/reconciliation/runs": Row(
        SETTLE, "account", "/v1/reconciliation/runs", lambda thing: {"account_id": thing["account"]}
    ),
    "GET /v1/reconciliation/breaks": Row(SEE, "account", "/v1/reconciliation/breaks?account_id={account}"),
    "GET /v1/reconciliation/breaks/{break_id}": Row(SEE, "account", "/v1/reconciliation/breaks/{break}"),
    "POST /v1/reconciliation/breaks/{break_id}/assign": Row(
        SETTLE, "account", "/v1/reconciliation/breaks/{break}/assign", lambda _: {"owner": "desk"}
    ),
    "POST /v1/reconciliation/breaks/{break_id}/resolve": Row(
        SETTLE,
        "account",
        "/v1/reconciliation/breaks/{break}/resolve",
        lambda _: {"action": "dismiss", "reason": "matrix"},
    ),
    "GET /v1/kill-switch": Row(RISK, "nobody", "/v1/kill-switch"),
    "POST /v1/kill-switch": Row(OPERATE, "tenant", "/v1/kill-switch", _kill),
    "POST /v1/kill-switch/release": Row(OPERATE, "tenant", "/v1/kill-switch/release", _release),
    "POST /v1/kill-switch/flatten": Row(OPERATE, "tenant", "/v1/kill-switch/flatten", _release),
    "GET /v1/dead-man": Row(WRITE, "nobody", "/v1/dead-man"),
    "PUT /v1/dead-man": Row(WRITE, "nobody", "/v1/dead-man", lambda _: {"gtc": "keep"}),
    "DELETE /v1/dead-man/{session}": Row(WRITE, "nobody", "/v1/dead-man/other", may_be_absent=True),
    "GET /v1/drop-copy": Row(Scope.SURVEILLANCE_READ, "nobody", "/v1/drop-copy"),
    "POST /v1/stream/tickets": Row(None, "nobody", "/v1/stream/tickets", lambda _: {"origin": ORIGIN}),
    "GET /v1/credentials": Row(KEYS, "nobody", "/v1/credentials"),
    "POST /v1/credentials/{login}": Row(
        KEYS, "account", "/v1/credentials/{login}", lambda _: {"key_id": "k" * 20, "secret_key": "s" * 40}
    ),
    "POST /v1/credentials/{login}/verify": Row(KEYS, "account", "/v1/credentials/{login}/verify"),
    "POST /v1/credentials/{login}/switch": Row(KEYS, "account", "/v1/credentials/{login}/switch"),
    "POST /v1/credentials/{login}/drain": Row(KEYS, "account", "/v1/credentials/{login}/drain"),
    "POST /v1/credentials/{login}/revoke": Row(KEYS, "account", "/v1/credentials/{login}/revoke"),
    "GET /v1/clients": Row(WHO, "nobody", "/v1/clients"),
    "GET /v1/clients/{client_id}": Row(WHO, "tenant", "/v1/clients/{program}"),
    "POST /v1/clients": Row(GIVE, "tenant", "/v1/clients", _program),
    "PUT /v1/clients/{client_id}": Row(GIVE, "tenant", "/v1/clients/{program}", _reach),
    "POST /v1/clients/{client_id}/rotate": Row(
        GIVE, "tenant", "/v1/clients/{program}/rotate", lambda _: {"overlap_s": 60, "reason": "matrix"}
    ),
    "PUT /v1/clients/{client_id}/keys": Row(
        GIVE, "tenant", "/v1/clients/{program}/keys", lambda _: {"keys": {"keys": []}, "reason": "matrix"}
    ),
    "POST /v1/clients/{client_id}/disable": Row(GIVE, "tenant", "/v1/clients/{program}/disable", _why),
    "GET /v1/strategies": Row(WHO, "nobody", "/v1/strategies"),
    "POST /v1/strategies": Row(
        GIVE, "nobody", "/v1/strategies", lambda _: {"name": "mean", "owner": "ann", "reason": "matrix"}
    ),
    "POST /v1/strategies/disable": Row(
        GIVE,
        "nobody",
        "/v1/strategies/disable",
        lambda _: {"name": "mean", "reason": "matrix"},
        may_be_absent=True,
    ),
    "GET /v1/access/me": Row(None, "nobody", "/v1/access/me"),
    "GET /v1/access/roles": Row(None, "nobody", "/v1/access/roles"),
    "GET /v1/access/tenant": Row(WHO, "nobody", "/v1/access/tenant"),
    "GET /v1/access/subjects": Row(WHO, "nobody", "/v1/access/subjects"),
    "GET /v1/access/changes": Row(WHO, "nobody", "/v1/access/changes"),
    "GET /v1/access/changes/{change_id}": Row(WHO, "tenant", "/v1/access/changes/{role_change}"),
    "POST /v1/access/changes/{change_id}/approve": Row(
        GIVE, "tenant", "/v1/access/changes/{role_change}/approve", _why
    ),
    "POST /v1/access/changes/{change_id}/reject": Row(
        GIVE, "tenant", "/v1/access/changes/{role_change}/reject", _why
    ),
    "POST /v1/access/assignments": Row(GIVE, "tenant", "/v1/access/assignments", _role),
    "POST /v1/access/assignments/withdraw": Row(
        GIVE, "tenant", "/v1/access/assignments/withdraw", _role, may_be_absent=True
    ),
    "POST /v1/access/subjects/keep-out": Row(
        GIVE,
        "nobody",
        "/v1/access/subjects/keep-out",
        lambda _: {"subject": "nobody-special", "reason": "matrix"},
    ),
}
PUBLIC: Final = {
    "GET /livez",
    "GET /readyz",
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/jwks.json",
}
BY_SECRET: Final = {
    "POST /oauth/token",
    "POST /oauth/revoke",
    "POST /oauth/introspect",
    "POST /oauth/par",
    "POST /v1/hooks/{name}",
}
"""Who asks these proves it in another way, or in the message itself; no token opens them."""

ORDER: Final = sorted(MATRIX, key=lambda name: (not name.startswith("GET"), "/kill-switch" in name, name))
"""What only looks comes first, and what stops trading last."""

TOKENS: Final = (
    "none",
    "expired",
    "wrong audience",
    "revoked",
    "foreign issuer",
    "other environment",
    "good",
)


@pytest_asyncio.fixture(params=[Env.PAPER, Env.LIVE], ids=str)
async def house(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Floor, Floor]]:
    """The gateway that is asked, and one of the other environment."""
    env: Env = request.param
    async with floor(env) as here:
        elsewhere = Floor(Env.LIVE if env is Env.PAPER else Env.PAPER)
        await elsewhere.open_identity()
        yield here, elsewhere


async def test_every_operation_is_in_the_matrix(house: tuple[Floor, Floor]) -> None:
    paths: dict[str, dict[str, Any]] = house[0].app.openapi()["paths"]
    served = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}

    resource = f"GET /.well-known/oauth-protected-resource/{house[0].env}"
    assert served == MATRIX.keys() | PUBLIC | BY_SECRET | {resource}


async def test_every_cell_answers_as_the_matrix_says(house: tuple[Floor, Floor]) -> None:
    here, elsewhere = house
    tokens = {role: await here.tokens(role, elsewhere) for role in Role}
    wrong: list[str] = []
    cells = 0
    for name in ORDER:
        for role in Role:
            answers: dict[str, tuple[int, Any]] = {}
            for target in TARGETS:
                for state in TOKENS:
                    cells += 1
                    status, body = await _asked(here, name, target, tokens[role][state])
                    if state == "good":
                        answers[target] = status, _shape(body, here.things[target])
                        told = _judged(here, name, role, target, (status, body.get("code")))
                    else:
                        told = None if (status, body.get("code")) == (401, "unauthenticated") else "let in"
                    if told is not None:
                        wrong.append(f"{name} {role} {target} {state}: {status} {body} is {told}")
            wrong += _told_apart(here, name, role, answers)
    assert not wrong, "\n".join(wrong[:40])
    assert cells == len(MATRIX) * len(Role) * len(TARGETS) * len(TOKENS)
    assert here.untouched()


async def test_each_listener_has_its_own_routes_and_no_other(house: tuple[Floor, Floor]) -> None:
    """Whoever asks at the wrong door finds nothing there, whatever they may do at the right one."""
    here, _ = house
    doors = Doors(here.app)
    apart = {name for name in MATRIX if doors.is_apart(MATRIX[name].path.format(**here.things[OWN]))}
    gives = {Scope.ACCESS_READ, Scope.ACCESS_WRITE, Scope.CREDENTIALS_WRITE}
    assert apart == {name for name, row in MATRIX.items() if row.scope in gives}
    apart.add("GET /metrics")
    for name in [*MATRIX, *PUBLIC, *BY_SECRET, "GET /openapi.json", "GET /docs", "GET /metrics"]:
        wrong = doors.app if name in apart else doors.administration
        row, thing = MATRIX.get(name), here.things[OWN]
        method, path = name.split(" ")
        for role in Role:
            status, body = await asked(
                wrong,
                method,
                path if row is None else row.path.format(**thing),
                token=here.signed(here.claims(role)),
                body=None if row is None or row.body is None else row.body(thing),
                headers={"idempotency-key": here.key()},
            )
            assert (status, body["code"]) == (404, "not-found"), (name, role, body)


async def test_what_needs_no_token_is_not_changed_by_one(house: tuple[Floor, Floor]) -> None:
    here, elsewhere = house
    tokens = await here.tokens(Role.ADMINISTRATOR, elsewhere)
    for name in sorted(PUBLIC):
        method, path = name.split(" ")
        for token in tokens.values():
            status, _ = await here.ask(method, path, token=token)
            assert status == 200, (name, status)
    for name in sorted(BY_SECRET):
        method, path = name.split(" ")
        for token in tokens.values():
            status, _ = await here.ask(method, path, token=token)
            assert status in (400, 401, 415), (name, status)


async def _asked(here: Floor, name: str, target: str, token: str | None) -> tuple[int, dict[str, Any]]:
    row, thing = MATRIX[name], here.things[target]
    headers = {"idempotency-key": here.key(), **row.headers}
    return await here.ask(
        name.partition(" ")[0],
        row.path.format(**thing),
        token=token,
        body=None if row.body is None else row.body(thing),
        headers=headers,
    )


def _judged(
    here: Floor, name: str, role: Role, target: str, answer: tuple[int, str | None]
) -> str | None:
    """What is wrong with the answer to a good token, if anything."""
    row, (status, code) = MATRIX[name], answer
    if status >= 500:
        return "a defect"
    if row.scope is not None and not _grants(role, row.scope):
        return None if (status, code) == (403, "forbidden") else "let in without the scope"
    if row.about == "nobody" or _reaches(here, row, role, target):
        refused = {"forbidden", "unauthenticated"} | (set() if row.may_be_absent else {"not-found"})
        return "kept out" if code in refused else None
    return None if status >= 400 or row.scope is OPERATE else "let in"


def _grants(role: Role, scope: Scope) -> bool:
    return scope in SCOPES_OF[role] or (scope is OPERATE and Scope.RISK_WRITE in SCOPES_OF[role])


def _reaches(here: Floor, row: Row, role: Role, target: str) -> bool:
    if row.about == "tenant":
        return target in (OWN, SISTER)
    return here.has(role, target)


def _told_apart(
    here: Floor, name: str, role: Role, answers: dict[str, tuple[int, Any]]
) -> list[str]:
    """Targets that are not theirs to see must answer exactly as one that is not there."""
    row = MATRIX[name]
    hidden = [
        target
        for target in (SISTER, THEIRS)
        if row.about != "nobody" and not _reaches(here, row, role, target)
    ]
    return [
        f"{name} {role}: {target} answers {answers[target]}, and a missing one {answers[MISSING]}"
        for target in hidden
        if answers[target] != answers[MISSING]
    ]


def _shape(body: dict[str, Any], thing: Things) -> str:
    """The answer without what must differ: the correlation, and the names that were asked for."""
    plain = str({name: value for name, value in body.items() if name != "correlation_id"})
    for kind, name in thing.items():
        plain = plain.replace(name, f"<{kind}>")
    return plain.replace("<role_change>", "<change>")
