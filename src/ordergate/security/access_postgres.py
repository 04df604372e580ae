"""The access tables on PostgreSQL: what `postgres` reads beside clients, and how each is changed.

The database itself counts versions, notes every change, and refuses what would widen rights unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from typing import Final

import asyncpg

from ordergate.core.access import Role
from ordergate.core.ids import AccountId, Env
from ordergate.core.strategies import Strategy
from ordergate.core.tenancy import Access, AccountPlace, Assignment, Desk, Reach, Subject, check_name

TIMEOUT_S: Final = 3.0

_ROLES: Final = frozenset(role.value for role in Role)


def sql(name: str) -> str:
    return files("ordergate.security").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


_LOAD: Final = {
    name: sql(f"load_{name}")
    for name in ("tenants", "desks", "accounts", "subjects", "assignments", "strategies")
}
PUT_TENANT: Final = sql("put_tenant")
PUT_DESK: Final = sql("put_desk")
PLACE_ACCOUNT: Final = sql("place_account")
ASSIGN: Final = sql("assign")
WITHDRAW: Final = sql("withdraw")
PUT_STRATEGY: Final = sql("put_strategy")
ENABLE: Final = sql("enable_subject")


async def read(connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record], env: Env) -> Access:
    """Everything, on the caller's connection and in its transaction. An unknown role gives nothing."""
    rows = {
        name: await connection.fetch(statement, env.value, timeout=TIMEOUT_S)
        for name, statement in _LOAD.items()
    }
    return Access(
        tenants=tuple(row["tenant"] for row in rows["tenants"]),
        desks=tuple(Desk(row["tenant"], row["desk"]) for row in rows["desks"]),
        accounts=tuple(
            AccountPlace(AccountId(row["account"]), row["tenant"], row["desk"]) for row in rows["accounts"]
        ),
        subjects=tuple(
            Subject(row["tenant"], row["subject"], row["version"], row["enabled"]) for row in rows["subjects"]
        ),
        assignments=tuple(
            Assignment(row["tenant"], row["subject"], Role(row["role"]), Reach(row["reach"]), row["of"])
            for row in rows["assignments"]
            if row["role"] in _ROLES
        ),
        strategies=tuple(
            Strategy(row["tenant"], row["strategy"], row["version"], row["owner"], row["enabled"])
            for row in rows["strategies"]
        ),
    )


def plain(assignment: Assignment) -> tuple[str, ...]:
    """The arguments of a statement about an assignment, after the environment."""
    one = assignment
    return one.tenant, one.subject, one.role.value, one.reach.value, one.of


def placing(places: Iterable[AccountPlace]) -> list[tuple[str, tuple[str | None, ...]]]:
    """The statements that say where accounts belong, in order. Raises ValueError."""
    wanted = sorted(places)
    for place in wanted:
        check_name(place.tenant, "tenant")
        if place.desk is not None:
            check_name(place.desk, "desk")
    tenants = sorted({place.tenant for place in wanted})
    desks = sorted({(place.tenant, place.desk) for place in wanted if place.desk is not None})
    return [
        *((PUT_TENANT, (tenant,)) for tenant in tenants),
        *((PUT_DESK, desk) for desk in desks),
        *((PLACE_ACCOUNT, (place.account, place.tenant, place.desk)) for place in wanted),
    ]
