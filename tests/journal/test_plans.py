"""No look-up reads a whole table, whatever the history."""

from typing import Any

import asyncpg
import pytest
from asyncpg.prepared_stmt import PreparedStatement

from ordergate.journal import sqlfiles
from ordergate.journal.views import _BEYOND
from tests.journal.making import ALICE, order

ACCOUNTS = [ALICE]
QUERY = (ACCOUNTS, _BEYOND, 100, "filled", False, "ESH4", "mine")
VIEWS = {
    "shows": (ALICE,),
    "order": (ACCOUNTS, order(1)),
    "order_by_client_id": (ALICE, "mine"),
    "orders_newest": QUERY,
    "orders_open": QUERY,
    "orders_of_symbol": QUERY,
    "orders_of_status": QUERY,
    "orders_of_client_id": QUERY,
    "order_events": (ACCOUNTS, order(1)),
    "executions_newest": (ALICE, 100),
    "executions_after": (ALICE, 100, "x1"),
    "positions": (ALICE,),
    "balances": (ALICE,),
    "breaks": (ACCOUNTS, _BEYOND, 100, "open", "severe", True),
    "one_break": (ACCOUNTS, "brk-1"),
    "snapshot": (ALICE,),
    "frames": (ALICE, 5, 500, 100),
}
JOURNAL = {
    "stream_head": (ALICE,),
    "link_at": (ALICE, 5),
    "read_events": (ALICE, 5, 500),
    "events_beyond": (ALICE, 5),
    "receipt": ("paper", "tenant", "client", "route", "key"),
    "key_digests": (ALICE,),
    "history": (order(1),),
    "adopted": (ALICE, "broker-1"),
}
SNAPSHOTS = {"snapshot": (ALICE,), "keep_snapshot": (ALICE, 1, 5, "rules", b"seal", b"body")}
STATEMENTS: dict[str, dict[str, Any]] = {"views": VIEWS, "journal": JOURNAL, "snapshots": SNAPSHOTS}
ASKED = [(file, name) for file, names in STATEMENTS.items() for name in names]
# Paged newest first: the index gives the order, and nothing is sorted but the pages of several accounts.
PAGED = ("orders_newest", "orders_open", "orders_of_symbol", "orders_of_status")


def test_every_statement_is_looked_at() -> None:
    assert set(VIEWS) == set(sqlfiles.statements("views"))
    # These are asked for everything, the last one once a day.
    whole = {"accounts", "accounts_of_events", "forget_answers"}
    assert set(JOURNAL) | whole == set(sqlfiles.statements("journal"))
    assert set(SNAPSHOTS) | {"drop_snapshots"} == set(sqlfiles.statements("snapshots"))


@pytest.mark.parametrize(("file", "name"), ASKED)
async def test_a_statement_finds_its_rows_by_an_index(database: str, file: str, name: str) -> None:
    settings = {"enable_seqscan": "off", "enable_bitmapscan": "off", "plan_cache_mode": "force_generic_plan"}
    connection = await asyncpg.connect(database, server_settings=settings)
    try:
        statement = await connection.prepare(sqlfiles.statements(file)[name])
        scans = await plan_of(statement, STATEMENTS[file][name])
    finally:
        await connection.close(timeout=10)
    assert not [scan for scan in scans if scan.startswith("Seq Scan")], scans
    conditions = [scan for scan in scans if "Index" in scan]
    assert conditions
    assert all("account" in scan or "order_id" in scan or "key" in scan for scan in conditions), conditions
    if name in PAGED:
        assert all("id <" in scan for scan in conditions), conditions


async def plan_of(statement: PreparedStatement, arguments: tuple[object, ...]) -> list[str]:
    """The plan's scans, each with the condition that its index serves."""
    found = []

    def walk(node: dict[str, object]) -> None:
        kind = str(node["Node Type"])
        if "Scan" in kind and "Relation Name" in node:
            found.append(f"{kind} on {node['Relation Name']}: {node.get('Index Cond')}")
        children = node.get("Plans", [])
        assert isinstance(children, list)
        for child in children:
            walk(child)

    walk((await statement.explain(*arguments))[0]["Plan"])
    return found
