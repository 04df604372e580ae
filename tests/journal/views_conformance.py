"""What the views of every journal promise, asked of each of them.

A subclass gives the fixture `twin`.
"""

import asyncio
import itertools
from typing import Any, Final

import msgspec

from ordergate.ports.journal import OrderRow, Row
from ordergate.ports.views import BreakQuery, OrderQuery, Page
from tests.journal.conformance import Twin
from tests.journal.making import (
    ALICE,
    BOB,
    accepted,
    at,
    opened,
    order,
    order_row,
    row,
    taken,
)

STATUSES: Final = ("accepted", "working", "filled", "canceled")
OPEN: Final = ("accepted", "working")


def relabelled(row: OrderRow, number: int) -> OrderRow:
    """A client order id is used once: the number makes it so."""
    label = None if row.client_order_id is None else f"label-{number}"
    return msgspec.structs.replace(row, client_order_id=label)


class ViewsConformance:
    async def test_an_order_is_shown_to_the_accounts_that_may_see_it(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        await twin.journal.append(owner.place(1))
        assert await twin.views.order(order(1), [BOB, ALICE]) == b'{"order":1}'
        assert await twin.views.order(order(1), [BOB]) is None
        assert await twin.views.order(order(1), []) is None
        assert await twin.views.order(order(2), [ALICE]) is None

    async def test_the_last_version_of_a_row_stays(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        futures = [twin.journal.append(owner.place(1))]
        for number, status in enumerate(("working", "filled")):
            changed = order_row(ALICE, 1, status=status, open=status != "filled", body=status.encode())
            futures.append(
                twin.journal.append(
                    owner.unit(
                        accepted(ALICE, 10 + number),
                        orders=(changed,),
                        positions=(row("ESH4", f"position {status}"),),
                        balances=(row("USD", f"balance {status}"),),
                        breaks=(row("b1", f"break {status}"),),
                    )
                )
            )
        await asyncio.gather(*futures)
        assert await twin.views.order(order(1), [ALICE]) == b"filled"
        assert await twin.views.positions(ALICE) == [b"position filled"]
        assert await twin.views.balances(ALICE) == [b"balance filled"]
        found = await twin.views.breaks(BreakQuery(accounts=(ALICE,), limit=10))
        assert found == Page((b"break filled",), None)

    async def test_rows_come_in_order_of_their_keys_and_of_their_account_only(self, twin: Twin) -> None:
        alice, bob = await taken(twin.journal), await taken(twin.journal, BOB)
        rows = tuple(row(key) for key in ("NQ", "ES", "Z", "a"))
        await twin.journal.append(alice.unit(opened(ALICE), positions=rows, balances=rows))
        await twin.journal.append(bob.unit(opened(BOB)))
        expected = [row(key).body for key in ("ES", "NQ", "Z", "a")]
        for table in (twin.views.positions, twin.views.balances):
            assert await table(ALICE) == expected
            assert await table(BOB) == []

    async def test_breaks_are_paged_newest_first_across_accounts_and_chosen_by_what_they_are(
        self, twin: Twin
    ) -> None:
        alice, bob = await taken(twin.journal), await taken(twin.journal, BOB)
        kinds = [("open", "severe"), ("assigned", "warning"), ("healed", "severe"), ("resolved", "info")]
        rows = {
            f"brk-{number:02}": b'{"state":"%b","severity":"%b"}' % (state.encode(), severity.encode())
            for number, (state, severity) in enumerate(kinds * 3)
        }
        for number, (key, body) in enumerate(rows.items()):
            owner = alice if number % 2 else bob
            unit = owner.unit(opened(owner.account), breaks=(Row(key=key, body=body),))
            await twin.journal.append(unit)

        async def asked(**filters: Any) -> list[bytes]:
            found: list[bytes] = []
            before = None
            while True:
                query = BreakQuery(accounts=(ALICE, BOB), limit=2, before=before, **filters)
                page = await twin.views.breaks(query)
                found += page.bodies
                before = page.next
                if before is None:
                    return found

        newest = [rows[key] for key in sorted(rows, reverse=True)]
        assert await asked() == newest
        assert await asked(state="healed") == [body for body in newest if b"healed" in body]
        assert await asked(severity="severe") == [body for body in newest if b"severe" in body]
        still = [body for body in newest if b'"open"' in body or b"assigned" in body]
        assert await asked(open=True) == still
        assert await asked(open=True, severity="warning") == [body for body in still if b"warning" in body]
        only = await twin.views.breaks(BreakQuery(accounts=(BOB,), limit=10))
        assert len(only.bodies) == 6
        assert await twin.views.one_break("brk-01", [ALICE]) == rows["brk-01"]
        assert await twin.views.one_break("brk-01", [BOB]) is None

    async def test_orders_are_paged_newest_first_across_accounts(self, twin: Twin) -> None:
        alice, bob = await taken(twin.journal), await taken(twin.journal, BOB)
        for number in range(10):
            owner = alice if number % 3 else bob
            await twin.journal.append(owner.place(number))
        seen: list[bytes] = []
        before, pages = None, 0
        while pages == 0 or before is not None:
            query = OrderQuery(accounts=(ALICE, BOB), limit=4, before=before)
            page = await twin.views.orders(query)
            seen += page.bodies
            before = None if page.next is None else order(int(seen[-1][9:-1]))
            assert page.next == before
            pages += 1
        assert seen == [b'{"order":%d}' % number for number in reversed(range(10))]
        assert pages == 3

    async def test_orders_are_found_by_every_combination_of_filters(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        rows = [
            order_row(ALICE, number, symbol=symbol, status=status, open=status in OPEN, client_order_id=label)
            for number, (symbol, status, label) in enumerate(
                itertools.product(("ESH4", "NQH4", "ESH4"), STATUSES, (None, "label"))
            )
        ]
        rows = [relabelled(row, number) for number, row in enumerate(rows)]
        for number, one in enumerate(rows):
            await twin.journal.append(owner.place(number, orders=(one,)))
        filters = itertools.product((None, "ESH4", "CLH4"), (None, *STATUSES, "expired"), (None, True, False))
        for (symbol, status, is_open), label in itertools.product(filters, (None, "label-7", "label-8")):
            query = OrderQuery(
                accounts=(ALICE,), limit=3, symbol=symbol, status=status, open=is_open, client_order_id=label
            )
            expected = [
                one.body
                for one in reversed(rows)
                if symbol in (None, one.symbol)
                and status in (None, one.status)
                and is_open in (None, one.open)
                and label in (None, one.client_order_id)
            ]
            page = await twin.views.orders(query)
            assert list(page.bodies) == expected[:3]
            assert (page.next is not None) == (len(expected) > 3)

    async def test_an_order_is_found_by_its_label_within_its_account(self, twin: Twin) -> None:
        alice, bob = await taken(twin.journal), await taken(twin.journal, BOB)
        await twin.journal.append(alice.place(1, orders=(order_row(ALICE, 1, client_order_id="mine"),)))
        await twin.journal.append(bob.place(2, orders=(order_row(BOB, 2, client_order_id="mine"),)))
        assert await twin.views.order_by_client_id(ALICE, "mine") == b'{"order":1}'
        assert await twin.views.order_by_client_id(BOB, "mine") == b'{"order":2}'
        assert await twin.views.order_by_client_id(ALICE, "another") is None
        assert await twin.views.order_by_client_id(ALICE, "min\0e") is None

    async def test_the_events_of_an_order_are_shown_oldest_first(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        for number in (1, 2, 1, 1):
            await twin.journal.append(owner.place(number))
        assert await twin.views.order_events(order(1), [ALICE]) == [b'{"seq":1}', b'{"seq":3}', b'{"seq":4}']
        assert await twin.views.order_events(order(1), [BOB]) == []

    async def test_executions_are_paged_as_they_were_learned_newest_first(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        for number, keys in enumerate((("m",), ("z", "a"), ("c",), ("b",))):
            executions = tuple(row(key) for key in keys)
            await twin.journal.append(owner.place(number, executions=executions))
        corrected = row("a", "corrected")
        await twin.journal.append(owner.place(9, executions=(corrected,)))
        first = await twin.views.executions(ALICE, limit=2, after=None)
        second = await twin.views.executions(ALICE, limit=2, after=first.next)
        third = await twin.views.executions(ALICE, limit=2, after=second.next)
        assert first.bodies == (row("b").body, row("c").body)
        assert second.bodies == (row("z").body, corrected.body)
        assert (third.bodies, third.next) == ((row("m").body,), None)
        assert (await twin.views.executions(ALICE, limit=2, after="nothing like it")).bodies == ()
        assert (await twin.views.executions(BOB, limit=2, after=None)).bodies == ()

    async def test_a_snapshot_shows_what_is_open_and_where_the_stream_stands(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        await twin.journal.append(owner.place(2, positions=(row("ES"),), balances=(row("USD"),)))
        await twin.journal.append(owner.place(1))
        closed = order_row(ALICE, 3, open=False, status="filled")
        await twin.journal.append(owner.place(3, orders=(closed,)))
        snapshot = await twin.views.snapshot(ALICE)
        assert snapshot is not None
        assert (snapshot.stream_id, snapshot.seq) == (owner.taken.stream_id, 3)
        assert snapshot.orders == (b'{"order":1}', b'{"order":2}')
        assert (snapshot.positions, snapshot.balances) == ((row("ES").body,), (row("USD").body,))
        assert await twin.views.snapshot(BOB) is None
        assert await twin.views.shows(ALICE)
        assert not await twin.views.shows(BOB)

    async def test_frames_continue_a_stream_where_a_client_left_it(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        await twin.journal.append(owner.unit(opened(ALICE)))
        for number in range(1, 6):
            await twin.journal.append(owner.place(number))
        frames = await twin.views.frames(ALICE, after=0, upto=6, limit=2)
        assert [(one.seq, one.kind, one.frame) for one in frames] == [
            (1, "account_opened", b'{"seq":1}'),
            (2, "order_accepted", b'{"seq":2}'),
        ]
        assert [one.seq for one in await twin.views.frames(ALICE, after=3, upto=5, limit=100)] == [4, 5]
        assert await twin.views.frames(ALICE, after=6, upto=99, limit=100) == []

    async def test_an_order_taken_back_to_life_is_open_again(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        for status, is_open in (("accepted", True), ("rejected", False), ("working", True)):
            changed = order_row(ALICE, 1, status=status, open=is_open, accepted_at=at(1))
            await twin.journal.append(owner.place(1, orders=(changed,)))
        page = await twin.views.orders(OrderQuery(accounts=(ALICE,), limit=5, open=True))
        assert len(page.bodies) == 1
