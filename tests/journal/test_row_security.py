"""The second fence: PostgreSQL shows a tenant its own rows, whatever the service asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import pytest
import pytest_asyncio

from ordergate.api.stream.channels import Channel
from ordergate.api.stream.frames import Resume
from ordergate.api.stream.hub import CannotFollow, Hub, subscriber_of
from ordergate.api.stream.outbox import Outbox
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId, Env
from ordergate.journal import sqlfiles
from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.journal.fence import READER, FencedViews, place_owners
from ordergate.journal.migrate import migrate
from ordergate.journal.postgres import PostgresJournal
from ordergate.journal.surveillance import PostgresSurveillance
from ordergate.journal.views import PostgresViews
from ordergate.ports.surveillance import Notice
from ordergate.ports.views import BreakQuery, OrderQuery, Views
from tests.journal.conformance import Twin
from tests.journal.making import ALICE, BOB, order, row, taken
from tests.journal.test_plans import PAGED, VIEWS, plan_of
from tests.journal.views_conformance import ViewsConformance

BOTH: Final = (ALICE, BOB)
CONTROL: Final = AccountId("P-CONTROL")
OWNERS: Final = {ALICE: "acme", BOB: "zeta"}
BEHIND: Final = (
    "account_stream",
    "balance_view",
    "break_view",
    "drop_copy",
    "event",
    "execution_view",
    "order_view",
    "position_view",
)


@pytest_asyncio.fixture
async def fenced(database: str) -> AsyncIterator[FencedViews]:
    """Both tenants have an account with something in every table."""
    journal = await PostgresJournal.connect(database, Env.PAPER)
    try:
        for account in BOTH:
            owner = await taken(journal, account)
            rows = {"positions": (row("ESH4"),), "balances": (row("USD"),), "breaks": (row("b1"),)}
            executions = {"executions": (row("x1"),)}
            await journal.append(owner.place(1 if account == ALICE else 2, **rows, **executions))
    finally:
        await journal.close()
    await place_owners(database, OWNERS)
    views = await FencedViews.connect(database)
    yield views
    await views.close()


async def everything(views: Views) -> list[object]:
    """Every question there is, about both accounts: as if no service had checked anything."""
    found: list[object] = [
        *[await views.order(order(number), BOTH) for number in (1, 2)],
        *(await views.orders(OrderQuery(accounts=BOTH, limit=100))).bodies,
        *[body for number in (1, 2) for body in await views.order_events(order(number), BOTH)],
        *(await views.breaks(BreakQuery(accounts=BOTH, limit=100))).bodies,
        await views.one_break("b1", BOTH),
    ]
    for account in BOTH:
        found += [
            *(await views.executions(account, limit=100, after=None)).bodies,
            *await views.positions(account),
            *await views.balances(account),
            await views.order_by_client_id(account, "mine"),
            await views.snapshot(account),
            await views.shows(account) or None,
            *await views.frames(account, after=0, upto=100, limit=100),
        ]
    return [one for one in found if one is not None]


@pytest.mark.parametrize(
    ("tenant", "accounts"),
    [
        ("acme", (BOB,)),
        ("zeta", (ALICE,)),
        ("acme", ()),
        ("", BOTH),
        ("nobody", BOTH),
        ("acme zeta", BOTH),
        ("acme", (AccountId(f"{ALICE},{BOB}"),)),
    ],
)
async def test_the_wrong_tenant_or_account_finds_nothing_although_nobody_else_checks(
    fenced: FencedViews, tenant: str, accounts: tuple[AccountId, ...]
) -> None:
    assert await everything(fenced.seen_by(tenant, accounts)) == []


async def test_a_tenant_finds_its_own_and_only_that(fenced: FencedViews) -> None:
    mine = fenced.seen_by("acme", BOTH)

    assert await mine.order(order(1), BOTH) is not None
    assert await mine.order(order(2), BOTH) is None
    assert await mine.snapshot(ALICE) is not None
    assert await mine.snapshot(BOB) is None
    assert len((await mine.orders(OrderQuery(accounts=BOTH, limit=100))).bodies) == 1


async def test_what_one_looked_for_is_forgotten_before_the_next(database: str, fenced: FencedViews) -> None:
    views = await FencedViews.connect(database, connections_max=1)
    try:
        for _ in range(3):
            assert await views.seen_by("acme", BOTH).snapshot(ALICE) is not None
            assert await views.seen_by("zeta", BOTH).snapshot(ALICE) is None
            assert await views._pool.fetch("select from event") == []  # whoever forgets to say for whom
    finally:
        await views.close()


@pytest.mark.parametrize("after", [None, 0, 1], ids=["afresh", "behind", "at the head"])
async def test_a_stream_is_told_nothing_of_anothers_account_although_nobody_else_checks(
    database: str, fenced: FencedViews, after: int | None
) -> None:
    """Not even what the hub already tells others: neither the past nor the present."""
    owners_views = await PostgresViews.connect(database)
    hub = Hub(owners_views)
    try:
        (stream_id,) = {one.stream_id for one in [await owners_views.snapshot(ALICE)] if one is not None}
        resume = None if after is None else Resume(stream_id, after)
        askers = (("acme", BOTH, True), ("zeta", BOTH, False), ("acme", (BOB,), False))
        for seq, (tenant, accounts, told) in enumerate(askers, start=2):
            outbox = Outbox(messages_max=100, bytes_max=1 << 20, wake=lambda now: None)
            subscriber = subscriber_of((Channel.ORDERS,), outbox)
            following = hub.follow(
                ALICE,
                subscriber,
                outbox,
                seen=fenced.seen_by(tenant, accounts),
                channels=(Channel.ORDERS,),
                resume=resume,
                frame_id=None,
            )
            if told:
                await following
            else:
                with pytest.raises(CannotFollow):
                    await following
            hub.tell(ALICE, seq, "order_accepted", b'{"type":"event","account_id":"P-alice","seq":%d}' % seq)
            assert bool(outbox.take()) is told
    finally:
        await owners_views.close()


async def test_the_drop_copy_shows_its_own_to_each_and_what_concerns_everybody(
    database: str, fenced: FencedViews
) -> None:
    """As if no service had checked anything; but nothing to whoever forgets to say for whom."""
    streams = (ALICE, BOB, CONTROL)
    store = await PostgresSurveillance.connect(database)
    try:
        copies = [Notice(account=one, seq=9, kind="order_filled", frame=b"{}") for one in streams]
        await store.keep({}, copies, [], datetime(2026, 1, 5, tzinfo=UTC))
        behind = fenced.copies(store.last_number)
        found = {}
        for who in (("acme", BOTH), ("zeta", BOTH), ("acme", (BOB,)), ("", BOTH)):
            shown = await behind.seen_by(*who).copies_of(streams, 0, 100)
            found[who] = {one.notice.account for one in shown}
        assert await behind.last_number() == len(streams)
    finally:
        await store.close()
    assert found == {
        ("acme", BOTH): {ALICE, CONTROL},
        ("zeta", BOTH): {BOB, CONTROL},
        ("acme", (BOB,)): {CONTROL},
        ("", BOTH): set(),
    }
    assert await fenced._pool.fetch("select from drop_copy") == []


async def test_the_reader_may_read_what_is_shown_and_nothing_else(database: str, fenced: FencedViews) -> None:
    connection = await asyncpg.connect(database, server_settings={"role": READER})
    try:
        await connection.execute("select set_config('ordergate.tenant', 'acme', false)")
        listed = await connection.fetch("select account from account_owner")
        assert [one["account"] for one in listed] == [ALICE]
        for table in ("receipt", "journal"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"select * from {table}")
        for table in BEHIND:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"delete from {table}")
    finally:
        await connection.close(timeout=10)


async def test_every_table_that_is_shown_is_behind_the_fence(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        rows = await connection.fetch(
            "select c.relname, c.relrowsecurity, c.relforcerowsecurity from pg_class c"
            " where c.relkind = 'r' and has_table_privilege($1, c.oid, 'select')"
            " and c.relnamespace = 'public'::regnamespace",
            READER,
        )
    finally:
        await connection.close(timeout=10)
    shown = {one["relname"]: one["relrowsecurity"] for one in rows}
    assert set(shown) == {*BEHIND, "account_owner"}
    assert all(shown.values())
    assert not any(one["relforcerowsecurity"] for one in rows)  # the writer is not asked


async def test_an_account_never_changes_its_tenant(database: str, fenced: FencedViews) -> None:
    await place_owners(database, OWNERS)
    with pytest.raises(ValueError, match="never changes its tenant: P-alice"):
        await place_owners(database, {ALICE: "zeta"})
    connection = await asyncpg.connect(database)
    try:
        with pytest.raises(asyncpg.PostgresError, match="never changes"):
            await connection.execute("update account_owner set tenant = 'zeta'")
    finally:
        await connection.close(timeout=10)


async def test_an_owner_that_is_no_superuser_needs_the_role_and_is_told_so(
    postgres: EmbeddedPostgres, database: str
) -> None:
    """`database` is there so that the server has the role already."""
    admin = await asyncpg.connect(database)
    await admin.execute("create role plain login")
    await admin.execute("create database of_plain owner plain")
    dsn = postgres.dsn("of_plain").replace("ordergate@", "plain@")
    try:
        with pytest.raises(JournalUnavailable, match="grant the role ordergate_reader to plain first"):
            await migrate(dsn)
        await admin.execute(f"grant {READER} to plain")
        await migrate(dsn)
        journal = await PostgresJournal.connect(dsn, Env.PAPER)
        await journal.append((await taken(journal)).place(1))
        await journal.close()
        await place_owners(dsn, {ALICE: "acme"})
        views = await FencedViews.connect(dsn)
        assert await views.seen_by("acme", (ALICE,)).order(order(1), BOTH) is not None
        assert await views.seen_by("zeta", (ALICE,)).order(order(1), BOTH) is None
        await views.close()
    finally:
        await admin.execute("drop database of_plain with (force)")
        await admin.execute("drop role plain")
        await admin.close(timeout=10)


@pytest.mark.parametrize("name", VIEWS)
async def test_behind_the_fence_a_statement_still_finds_its_rows_by_an_index(
    database: str, name: str
) -> None:
    settings = {
        "enable_seqscan": "off",
        "enable_bitmapscan": "off",
        "plan_cache_mode": "force_generic_plan",
        "role": READER,
    }
    connection = await asyncpg.connect(database, server_settings=settings)
    try:
        statement = await connection.prepare(sqlfiles.statements("views")[name])
        scans = [scan for scan in await plan_of(statement, VIEWS[name]) if "account_owner" not in scan]
    finally:
        await connection.close(timeout=10)
    assert not [scan for scan in scans if scan.startswith("Seq Scan")], scans
    if name in PAGED:
        assert all("id <" in scan for scan in scans if "Index" in scan), scans


class TestFencedViews(ViewsConformance):
    """To whoever may see everything, the fence changes nothing."""

    @pytest_asyncio.fixture
    async def twin(self, database: str) -> AsyncIterator[Twin]:
        journal = await PostgresJournal.connect(database, Env.PAPER)
        accounts = {*BOTH, *(AccountId(f"P-{number}") for number in range(20))}
        await place_owners(database, dict.fromkeys(accounts, "acme"))
        views = await FencedViews.connect(database)

        async def cramped(units: int) -> Any:
            raise NotImplementedError

        yield Twin(journal, views.seen_by("acme", accounts), cramped)
        await views.close()
        await journal.close()
