"""A journal that lost what was durable while the process lived: an incident, and never a silent gap."""

from __future__ import annotations

import asyncio

import msgspec

from ordergate.core.faults import JournalCorrupt, JournalUnavailable
from ordergate.core.refusals import Code, Refusal
from ordergate.telemetry import failpoints
from tests.engine.stage import ACCOUNT, Stage, let_run


async def working(stage: Stage) -> None:
    order = await stage.accepted()
    await stage.until(lambda: stage.status(order) == "working")


async def lose_tail(stage: Stage, events: int) -> None:
    """A standby that lacks these takes the place of the primary."""
    books = stage.journal.books[ACCOUNT]
    del books.events[len(books.events) - events :]
    books.last_hash = books.events[-1][1].hash
    await lose_connection(stage)


async def lose_connection(stage: Stage) -> None:
    stage.lane.stop(JournalUnavailable("PostgreSQL was lost"))
    await let_run()


async def test_an_account_whose_journal_lacks_what_was_durable_halts() -> None:
    async with Stage() as stage:
        await working(stage)
        await lose_tail(stage, 2)
        assert stage.lane.halted


async def test_readiness_says_that_the_journal_went_back_and_how_far() -> None:
    async with Stage() as stage:
        await working(stage)
        head = stage.lane.head
        await lose_tail(stage, 2)
        said = f"the journal went back to event {head - 2}, and was durable up to event {head}"
        assert said in str(stage.gate.readiness())


async def test_no_order_is_taken_and_no_event_gets_a_number_that_was_told() -> None:
    async with Stage() as stage:
        await working(stage)
        await lose_tail(stage, 2)
        told = list(stage.listener.seqs)
        refused = await stage.place()
        assert isinstance(refused, Refusal)
        assert refused.code is Code.NOT_READY
        assert stage.listener.seqs == told


async def test_another_event_at_the_place_of_the_last_durable_one_halts_the_account_too() -> None:
    async with Stage() as stage:
        await working(stage)
        books = stage.journal.books[ACCOUNT]
        entry, sealed = books.events[-1]
        books.events[-1] = (entry, msgspec.structs.replace(sealed, hash=b"another"))
        books.events.append((entry, sealed))
        await lose_connection(stage)
        assert "is another one" in str(stage.lane.trouble)


async def test_what_was_never_acknowledged_may_be_lost() -> None:
    async with Stage() as stage:
        await working(stage)
        durable = stage.lane.head
        stage.journal.hold()
        placing = asyncio.ensure_future(stage.place())
        await let_run()
        assert stage.lane.head > durable
        stage.journal.cut(written=False)
        stage.journal.release()
        await placing
        assert not stage.lane.halted


async def test_an_account_goes_on_where_everything_durable_is_there() -> None:
    async with Stage() as stage:
        await working(stage)
        await lose_connection(stage)
        await stage.until(stage.lane.ready.is_set)
        await working(stage)


async def test_an_account_halted_while_it_is_folded_anew_stays_halted() -> None:
    async with Stage() as stage:
        await working(stage)

        def found_broken(place: str) -> None:
            if place == "C15":
                stage.lane.halt(JournalCorrupt("the chain breaks at event 1"))

        failpoints.arm(found_broken)
        try:
            await lose_connection(stage)
        finally:
            failpoints.arm(None)
        assert not stage.lane.ready.is_set()
        assert stage.lane.trouble == "halted: the chain breaks at event 1"
