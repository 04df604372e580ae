"""What every journal promises, asked of each of them.

A subclass gives the fixture `twin`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec
import pytest

from ordergate.core.faults import AppendConflict, JournalUnavailable, KeyTaken, StaleEpoch
from ordergate.core.ids import AccountId
from ordergate.journal import codec
from ordergate.ports.journal import Journal
from ordergate.ports.views import Views
from tests.journal.making import (
    ALICE,
    BOB,
    Owner,
    accepted,
    adopted,
    entry,
    opened,
    order,
    order_row,
    read,
    receipt,
    taken,
)


class Twin(msgspec.Struct):
    """`cramped` makes another journal of the same kind that holds only so many waiting units."""

    journal: Journal
    views: Views
    cramped: Callable[[int], Awaitable[Journal]]


class JournalConformance:
    async def test_the_first_owner_of_an_account_begins_its_stream(self, twin: Twin) -> None:
        first = await twin.journal.take(ALICE)
        assert (first.epoch, first.head) == (1, 0)
        assert first.stream_id

    async def test_every_owner_has_a_higher_epoch_and_the_same_stream(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        await twin.journal.append(owner.unit(opened(ALICE)))
        second = await twin.journal.take(ALICE)
        assert (second.epoch, second.head, second.stream_id) == (2, 1, owner.taken.stream_id)

    async def test_what_was_appended_is_read_back_exactly(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        frame = '{"text":"½ \\u0000 \\" 漢"}'.encode()
        event = accepted(ALICE, 1)
        await twin.journal.append(owner.unit(opened(ALICE)))
        await twin.journal.append(owner.unit(event, entries=(entry(2, event, frame),)))
        first, second = await read(twin.journal)
        assert (first.seq, first.event) == (1, opened(ALICE))
        assert (second.seq, second.event, second.at) == (2, event, event.at)
        assert (second.frame, second.correlation) == (frame, "request-2")

    async def test_a_commit_answers_with_what_it_wrote(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        first, second = twin.journal.append(owner.unit(opened(ALICE))), twin.journal.append(owner.place(1))
        (sealed,), (placed,) = await first, await second
        assert (sealed.seq, placed.seq, placed.kind) == (1, 2, "order_accepted")
        assert codec.decode(placed.kind, placed.version, placed.body) == accepted(ALICE, 1)

    async def test_units_queued_one_behind_the_other_are_written_in_order(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        await asyncio.gather(*[twin.journal.append(owner.place(number)) for number in range(1, 51)])
        assert [stored.event for stored in await read(twin.journal)] == [
            accepted(ALICE, n) for n in range(1, 51)
        ]

    async def test_accounts_have_streams_of_their_own(self, twin: Twin) -> None:
        alice, bob = await taken(twin.journal), await taken(twin.journal, BOB)
        await asyncio.gather(
            twin.journal.append(alice.unit(opened(ALICE))),
            twin.journal.append(bob.unit(opened(BOB))),
            twin.journal.append(bob.place(2)),
        )
        assert [stored.seq for stored in await read(twin.journal, ALICE)] == [1]
        assert [stored.seq for stored in await read(twin.journal, BOB)] == [1, 2]

    async def test_only_accounts_with_events_are_listed(self, twin: Twin) -> None:
        bob = await taken(twin.journal, BOB)
        await taken(twin.journal, ALICE)
        await twin.journal.append(bob.unit(opened(BOB)))
        assert await twin.journal.accounts() == [BOB]

    async def test_reading_starts_after_and_ends_at_the_numbers_given(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        await asyncio.gather(*[twin.journal.append(owner.place(number)) for number in range(1, 8)])
        assert [stored.seq for stored in await read(twin.journal, after=2, upto=5)] == [3, 4, 5]
        assert [stored.seq for stored in await read(twin.journal, after=6)] == [7]
        assert await read(twin.journal, after=7) == []
        assert await read(twin.journal, after=5, upto=3) == []
        assert await read(twin.journal, AccountId("P-nobody")) == []

    async def test_a_unit_that_does_not_follow_the_head_is_a_conflict(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        await twin.journal.append(owner.unit(opened(ALICE)))
        owner.head = 5
        with pytest.raises(AppendConflict):
            await twin.journal.append(owner.place(1))
        assert len(await read(twin.journal)) == 1

    async def test_after_a_conflict_nothing_is_written_until_the_account_is_taken(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        good = twin.journal.append(owner.unit(opened(ALICE)))
        owner.head = 5
        bad = twin.journal.append(owner.place(1))
        owner.head = 1
        later = twin.journal.append(owner.place(2))
        results = await asyncio.gather(good, bad, later, return_exceptions=True)
        assert [type(result) for result in results] == [tuple, AppendConflict, AppendConflict]
        await owner.take()
        await twin.journal.append(owner.place(3))
        assert [stored.event for stored in await read(twin.journal)] == [opened(ALICE), accepted(ALICE, 3)]

    async def test_an_older_owner_is_refused_and_harms_nobody(self, twin: Twin) -> None:
        old, new = await taken(twin.journal), await taken(twin.journal)
        with pytest.raises(StaleEpoch):
            await twin.journal.append(old.unit(opened(ALICE)))
        await twin.journal.append(new.unit(opened(ALICE)))
        assert len(await read(twin.journal)) == 1

    async def test_an_account_that_nobody_took_cannot_be_written(self, twin: Twin) -> None:
        with pytest.raises(StaleEpoch):
            await twin.journal.append(Owner(twin.journal).unit(opened(ALICE)))

    async def test_units_that_waited_when_the_account_was_taken_are_before_its_head(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        waiting = [twin.journal.append(owner.place(number)) for number in range(1, 6)]
        again = await twin.journal.take(ALICE)
        await asyncio.gather(*waiting)
        assert again.head == 5

    async def test_a_taken_key_writes_nothing_of_its_unit(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        first = receipt(ALICE, "the-one-and-only-key", number=1)
        await twin.journal.append(owner.place(1, receipt=first))
        with pytest.raises(KeyTaken):
            await twin.journal.append(
                owner.place(2, receipt=receipt(ALICE, "the-one-and-only-key", number=2))
            )
        assert len(await read(twin.journal)) == 1
        assert await twin.views.order(order(2), [ALICE]) is None
        assert await twin.journal.receipt(first.scope) == first

    async def test_after_a_taken_key_later_units_fail_until_the_account_is_taken(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        asked = [
            owner.place(1, receipt=receipt(ALICE, "the-one-and-only-key", number=1)),
            owner.place(2, receipt=receipt(ALICE, "the-one-and-only-key", number=2)),
            owner.place(3),
        ]
        futures = [twin.journal.append(unit) for unit in asked]
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(result) for result in results] == [tuple, KeyTaken, KeyTaken]
        assert (await owner.take()).head == 1
        await twin.journal.append(owner.place(4))
        assert [stored.event for stored in await read(twin.journal)] == [
            accepted(ALICE, 1),
            accepted(ALICE, 4),
        ]

    async def test_one_accounts_fault_is_not_anothers(self, twin: Twin) -> None:
        alice, bob = await taken(twin.journal), await taken(twin.journal, BOB)
        futures = []
        for number in range(10):
            alices = receipt(ALICE, "alice-uses-one-key-" + ("again" if number > 4 else str(number)))
            futures.append(twin.journal.append(alice.place(number, receipt=alices)))
            bobs = receipt(BOB, f"bob-uses-a-fresh-key-{number}")
            futures.append(twin.journal.append(bob.place(100 + number, receipt=bobs)))
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(result) for result in results[0::2]] == [tuple] * 6 + [KeyTaken] * 4
        assert [type(result) for result in results[1::2]] == [tuple] * 10

    async def test_of_two_accounts_with_one_key_exactly_one_gets_it(self, twin: Twin) -> None:
        alice, bob = await taken(twin.journal), await taken(twin.journal, BOB)
        futures = [
            twin.journal.append(alice.place(1, receipt=receipt(ALICE, "a-key-of-two-accounts"))),
            twin.journal.append(bob.place(2, receipt=receipt(BOB, "a-key-of-two-accounts"))),
        ]
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(result) for result in results] == [tuple, KeyTaken]

    async def test_a_key_is_unique_within_its_scope_only(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        one = receipt(ALICE, "the-same-key-elsewhere", number=1)
        scopes = [
            one.scope,
            msgspec.structs.replace(one.scope, tenant="another"),
            msgspec.structs.replace(one.scope, client_id="another"),
            msgspec.structs.replace(one.scope, route="DELETE /v1/orders"),
        ]
        kept = [msgspec.structs.replace(one, scope=scope, status=200 + n) for n, scope in enumerate(scopes)]
        for number, each in enumerate(kept):
            await twin.journal.append(owner.place(number, receipt=each))
        assert [await twin.journal.receipt(scope) for scope in scopes] == kept

    async def test_a_clients_own_label_is_used_once_within_an_account(self, twin: Twin) -> None:
        alice, bob = await taken(twin.journal), await taken(twin.journal, BOB)
        await twin.journal.append(alice.place(1, orders=(order_row(ALICE, 1, client_order_id="mine"),)))
        await twin.journal.append(alice.place(1, orders=(order_row(ALICE, 1, client_order_id="mine"),)))
        await twin.journal.append(bob.place(2, orders=(order_row(BOB, 2, client_order_id="mine"),)))
        with pytest.raises(KeyTaken):
            await twin.journal.append(alice.place(3, orders=(order_row(ALICE, 3, client_order_id="mine"),)))
        assert len(await read(twin.journal)) == 2

    async def test_an_adopted_order_is_found_by_its_brokers_id_in_its_account(self, twin: Twin) -> None:
        alice, bob = await taken(twin.journal), await taken(twin.journal, BOB)
        await twin.journal.append(alice.unit(opened(ALICE)))
        await twin.journal.append(alice.unit(adopted(ALICE, 1, "½-1")))
        await twin.journal.append(alice.unit(adopted(ALICE, 2, "½-2")))
        await twin.journal.append(bob.unit(adopted(BOB, 3, "½-1")))
        assert await twin.journal.adopted(ALICE, "½-2") == order(2)
        assert await twin.journal.adopted(BOB, "½-1") == order(3)
        assert await twin.journal.adopted(BOB, "½-2") is None

    async def test_the_seal_of_each_event_is_found_at_its_place_and_nowhere_else(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        (first,) = await twin.journal.append(owner.unit(opened(ALICE)))
        (second,) = await twin.journal.append(owner.place(1))
        found = [await twin.journal.seal_at(ALICE, seq) for seq in range(4)]
        assert found == [None, first.hash, second.hash, None]

    async def test_who_takes_an_account_is_told_its_last_seal(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        (sealed,) = await twin.journal.append(owner.unit(opened(ALICE)))
        assert (await twin.journal.take(ALICE)).last_hash == sealed.hash

    async def test_an_order_has_a_history(self, twin: Twin) -> None:
        alice = await taken(twin.journal)
        for number in (1, 2, 1):
            await twin.journal.append(alice.place(number))
        assert await twin.journal.history(order(1)) == [
            stored for stored in await read(twin.journal) if stored.seq in (1, 3)
        ]
        assert await twin.journal.history(order(3)) == []

    async def test_an_accounts_keys_are_remembered_by_their_digests(self, twin: Twin) -> None:
        alice, bob = await taken(twin.journal), await taken(twin.journal, BOB)
        kept = [receipt(ALICE, f"a-key-to-remember-{number}") for number in range(3)]
        for one in kept:
            await twin.journal.append(alice.unit(receipt=one))
        await twin.journal.append(bob.unit(receipt=receipt(BOB, "a-key-of-another-one")))
        assert await twin.journal.key_digests(ALICE) == {one.scope.digest() for one in kept}

    async def test_a_receipt_can_be_written_without_an_event(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        kept = receipt(ALICE, "a-key-without-an-event", body='{"canceled":[]}')
        await twin.journal.append(owner.unit(receipt=kept))
        await twin.journal.append(owner.unit(opened(ALICE)))
        assert await twin.journal.receipt(kept.scope) == kept
        assert len(await read(twin.journal)) == 1

    async def test_old_answers_are_dropped_and_their_keys_stay(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        kept = receipt(ALICE, "a-key-that-is-very-old", body='{"canceled":[]}')
        await twin.journal.append(owner.unit(receipt=kept))
        assert await twin.journal.forget_answers(kept.at) == 0
        assert await twin.journal.forget_answers(kept.at + timedelta(seconds=1)) == 1
        found = await twin.journal.receipt(kept.scope)
        assert found == msgspec.structs.replace(kept, body=None)

    async def test_a_receipt_that_is_not_there_is_none(self, twin: Twin) -> None:
        assert await twin.journal.receipt(receipt(ALICE, "never-used-by-anybody").scope) is None

    async def test_entries_must_carry_the_numbers_after_expected(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        with pytest.raises(ValueError, match=r"expected \+ 1"):
            twin.journal.append(owner.unit(entries=(entry(2, opened(ALICE)),)))

    async def test_a_full_queue_refuses_at_once_and_takes_more_when_it_has_drained(self, twin: Twin) -> None:
        journal = await twin.cramped(3)
        owner = await taken(journal)
        assert journal.room == 3
        waiting = [journal.append(owner.place(number)) for number in range(1, 4)]
        assert journal.room == 0
        with pytest.raises(JournalUnavailable):
            journal.append(owner.place(4))
        await asyncio.gather(*waiting)
        assert journal.room == 3
        owner.head = 3
        await journal.append(owner.place(5))
        assert [stored.seq for stored in await read(journal)] == [1, 2, 3, 4]

    async def test_who_stops_waiting_for_a_unit_does_not_unwrite_it(self, twin: Twin) -> None:
        owner = await taken(twin.journal)
        twin.journal.append(owner.place(1)).cancel()
        await twin.journal.append(owner.place(2))
        assert len(await read(twin.journal)) == 2
