"""Every operation of the API as a row: who may, about what, what is sent, and what is answered to others.

A row that nobody asks is in vain: `test_matrix` executes them all, in `ORDER`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from ordergate.core.access import Scope
from tests.security.floor import ORIGIN, Things
from tests.security.world import other_key

Body = Callable[[Things], Any]


class Row(NamedTuple):
    """One operation. `about` says whose the target is: an account's, a tenant's, or nobody's.

    Whoever may is let in: 2xx, or the `reason` why it is of no use just now. What is not theirs is not there:
    404, or what `hidden` says.
    """

    scope: Scope | None
    about: str
    path: str
    body: Body | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    reason: str | None = None
    hidden: tuple[int, str | None] = (404, "not-found")


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
    return {"grade": "cancel_all", "level": "account", "target": thing["account"], "reason": "matrix"}


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


def _given(thing: Things) -> Any:
    return {**_role(thing), "subject": thing["newcomer"]}


def _reach(thing: Things) -> Any:
    return {
        "scopes": ["accounts:read"],
        "accounts": [thing["account"]],
        "instruments": ["ESH4"],
        "reason": "matrix",
    }


def _program(thing: Things) -> Any:
    return {"client_id": f"new-{thing['program']}", "keys": JWKS, **_reach(thing)}


def _strategy(thing: Things) -> Any:
    return {"name": f"mean-{thing['account']}", "owner": "ann", "reason": "matrix"}


def _why(_: Things) -> Any:
    return {"reason": "matrix"}


SEEN: Final = {"if-match": '"2"'}
"""What an approved change has made of the rule."""

JWKS: Final = {"keys": [{**other_key().as_dict(private=False), "kid": "matrix"}]}
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
        OPERATE,
        "account",
        "/v1/orders/{order}/resolve",
        lambda _: {"as": "canceled", "reason": "matrix"},
        reason="order-not-unknown",
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
    "GET /v1/accounts/{account_id}/alarms": Row(SEE, "account", "/v1/accounts/{account}/alarms"),
    "GET /v1/alarms": Row(SEE, "account", "/v1/alarms?account_id={account}"),
    "POST /v1/accounts/{account_id}/flatten": Row(
        WRITE, "account", "/v1/accounts/{account}/flatten", lambda _: {}
    ),
    "GET /v1/instruments": Row(None, "nobody", "/v1/instruments"),
    "GET /v1/instruments/{symbol}": Row(None, "nobody", "/v1/instruments/ESH4"),
    "GET /v1/quotes": Row(Scope.MARKET_DATA_READ, "nobody", "/v1/quotes?symbol=ESH4"),
    "GET /v1/risk/limits": Row(RISK, "account", "/v1/risk/limits?account_id={account}"),
    "GET /v1/risk/limits/{rule_id}": Row(RISK, "account", "/v1/risk/limits/{rule}"),
    "PUT /v1/risk/limits/{rule_id}": Row(LIMIT, "account", "/v1/risk/limits/{rule}", _rule, SEEN),
    "DELETE /v1/risk/limits/{rule_id}": Row(
        LIMIT, "account", "/v1/risk/limits/{rule}", _why, SEEN, hidden=(412, "change-outdated")
    ),
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
        LIMIT, "account", "/v1/risk/changes/{unwanted}/reject", _why
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
    "POST /v1/kill-switch": Row(OPERATE, "tenant", "/v1/kill-switch", _kill, hidden=(400, "invalid")),
    # What is not engaged needs no release, and what is another's is not engaged, as far as can be seen.
    "POST /v1/kill-switch/release": Row(
        OPERATE, "tenant", "/v1/kill-switch/release", _release, hidden=(200, None)
    ),
    "POST /v1/kill-switch/flatten": Row(
        OPERATE, "tenant", "/v1/kill-switch/flatten", _release, hidden=(409, "action-not-allowed")
    ),
    "GET /v1/dead-man": Row(WRITE, "nobody", "/v1/dead-man"),
    "PUT /v1/dead-man": Row(
        WRITE, "nobody", "/v1/dead-man", lambda thing: {"gtc": "keep", "session": thing["account"]}
    ),
    "DELETE /v1/dead-man/{session}": Row(WRITE, "nobody", "/v1/dead-man/{account}"),
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
        GIVE,
        "tenant",
        "/v1/clients/{program}/rotate",
        lambda _: {"overlap_s": 60, "reason": "matrix"},
        reason="key-required",  # in live no program has a secret
    ),
    "PUT /v1/clients/{client_id}/keys": Row(
        GIVE, "tenant", "/v1/clients/{program}/keys", lambda _: {"keys": JWKS, "reason": "matrix"}
    ),
    "POST /v1/clients/{client_id}/disable": Row(GIVE, "tenant", "/v1/clients/{program}/disable", _why),
    "GET /v1/strategies": Row(WHO, "nobody", "/v1/strategies"),
    "POST /v1/strategies": Row(GIVE, "nobody", "/v1/strategies", _strategy),
    "POST /v1/strategies/disable": Row(
        GIVE,
        "nobody",
        "/v1/strategies/disable",
        lambda thing: {"name": f"mean-{thing['account']}", "reason": "matrix"},
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
        GIVE, "tenant", "/v1/access/changes/{unwanted_role}/reject", _why
    ),
    "POST /v1/access/assignments": Row(GIVE, "tenant", "/v1/access/assignments", _role),
    "POST /v1/access/assignments/withdraw": Row(GIVE, "tenant", "/v1/access/assignments/withdraw", _given),
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
    "HEAD /livez",
    "HEAD /readyz",
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

LAST: Final = (
    "PUT /v1/risk/limits/{rule_id}",
    "DELETE /v1/orders/{order_id}",
    "DELETE /v1/order-groups/{group_id}",
    "DELETE /v1/orders",
    "POST /v1/accounts/{account_id}/flatten",
    "DELETE /v1/risk/limits/{rule_id}",
    "POST /v1/kill-switch",
    "POST /v1/kill-switch/flatten",
    "POST /v1/kill-switch/release",
)
ORDER: Final = [*sorted((n for n in MATRIX if n not in LAST), key=lambda n: not n.startswith("GET")), *LAST]
"""What only looks comes first, and what leaves nothing to the others last."""
