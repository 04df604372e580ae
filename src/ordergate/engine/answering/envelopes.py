"""What a command is, apart from being decided: who asks, under which key, and its fingerprint.

The fingerprint is over the fields that make a request what it is, written in one way, so that
the same request is the same whether it came by REST or by the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from ordergate.core import idempotency
from ordergate.core.access import Principal
from ordergate.core.contingent.terms import GroupTerms
from ordergate.core.ids import AccountId, Env
from ordergate.core.money import text
from ordergate.core.orders.terms import Terms


class Request(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One command's envelope: who asks, since when, under which key, and its name in the journal.

    A key is unique over all the `accounts` that its client may command.
    """

    scope: idempotency.Scope
    fingerprint: bytes
    accounts: frozenset[AccountId]
    actor: str
    correlation: str
    received_at: datetime | None = None


class Route(NamedTuple):
    """A key is unique within its client and route; both faces share these."""

    method: str
    path: str


PLACE: Final = Route("POST", "/v1/orders")
CANCEL: Final = Route("DELETE", "/v1/orders/{id}")
REPLACE: Final = Route("PATCH", "/v1/orders/{id}")
CANCEL_ALL: Final = Route("DELETE", "/v1/orders")
RESOLVE: Final = Route("POST", "/v1/orders/{id}/resolve")
PLACE_GROUP: Final = Route("POST", "/v1/order-groups")
CANCEL_GROUP: Final = Route("DELETE", "/v1/order-groups/{id}")
FLATTEN: Final = Route("POST", "/v1/accounts/{id}/flatten")


class Asker(NamedTuple):
    """Who asks, under which key, and the correlation id of the request."""

    principal: Principal
    key: str
    correlation: str


def request(
    env: Env,
    asker: Asker,
    route: Route,
    account: AccountId,
    fields: Mapping[str, str | None],
    *,
    received_at: datetime | None = None,
) -> Request:
    who = asker.principal
    where = f"{route.method} {route.path}"
    return Request(
        scope=idempotency.Scope(env, who.tenant, who.client_id, where, asker.key),
        fingerprint=idempotency.fingerprint(route.method, where, account, fields),
        accounts=who.accounts,
        actor=who.subject,
        correlation=asker.correlation,
        received_at=received_at,
    )


def fields_of(terms: Terms) -> dict[str, str | None]:
    """Every field of an order that makes it what it is; the account stands beside them."""
    return {
        "symbol": terms.symbol,
        "side": terms.side,
        "type": terms.type,
        "quantity": text(terms.quantity),
        "limit_price": written(terms.limit_price),
        "stop_price": written(terms.stop_price),
        "time_in_force": terms.time_in_force,
        "client_order_id": terms.client_order_id,
        "strategy": terms.strategy,
        "strategy_version": terms.strategy_version,
        "user": terms.user,
        "extended_hours": "true" if terms.extended_hours else None,
        "venue": terms.venue,
    }


def group_fields(terms: GroupTerms) -> dict[str, str | None]:
    """Every field of a group that makes it what it is, the legs by their roles."""
    fields: dict[str, str | None] = {
        "type": terms.kind,
        "symbol": terms.symbol,
        "quantity": text(terms.quantity),
        "strategy": terms.strategy,
        "strategy_version": terms.strategy_version,
        "user": terms.user,
    }
    for leg in terms.legs:
        said = {
            "side": str(leg.side),
            "type": str(leg.type),
            "limit_price": written(leg.limit_price),
            "stop_price": written(leg.stop_price),
            "trail_amount": written(leg.trail_amount),
            "trail_percent": written(leg.trail_percent),
            "time_in_force": str(leg.time_in_force),
            "extended_hours": "true" if leg.extended_hours else None,
        }
        fields |= {f"{leg.role}.{name}": value for name, value in said.items()}
    return fields


def written(value: Decimal | None) -> str | None:
    return None if value is None else text(value)
