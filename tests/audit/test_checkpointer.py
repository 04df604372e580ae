"""Heads are signed in time, never contradict each other, and their absence is trouble."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ordergate.audit.checkpointer import Checkpointer, Contradiction, Pace
from ordergate.audit.tree import root_of
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import Env
from ordergate.journal.memory import MemoryJournal
from ordergate.journal.memory_audit import MemoryAuditLog
from ordergate.ports.audit import Head
from tests.audit.logs import (
    KEY,
    ORIGIN,
    VERIFIER_KEY,
    Author,
    HandClock,
    MemoryKeys,
    MemorySink,
    OwnNoteKey,
    checkpointer,
)
from tests.journal.making import ALICE
from verifier import ordergate_verifier as verifier


class Log:
    """A journal's twin with its signed log."""

    def __init__(self) -> None:
        self.journal = MemoryJournal(Env.PAPER)
        self.log = MemoryAuditLog(self.journal.store)
        self.sink = MemorySink()
        self.clock = HandClock()
        self.author = Author(self.journal)
        self.keys = MemoryKeys(KEY)
        self.made = checkpointer(self.log, self.sink, self.clock)

    async def begin(self) -> None:
        self.made = checkpointer(self.log, self.sink, self.clock)
        await self.made._begin()

    async def look(self, after_s: float = 1.0) -> None:
        self.clock.moved += after_s
        await self.made.look()

    async def seals(self) -> list[bytes]:
        seals: list[bytes] = []
        async for one in self.log.ranges():
            seals += await self.log.seals(one.account, one.after, one.upto)
        return seals


@pytest.fixture
async def log() -> Log:
    made = Log()
    await made.begin()
    return made


async def test_records_are_signed_for_after_five_seconds(log: Log) -> None:
    await log.author.write(10)
    await log.look()
    await log.look(4.5)
    assert log.sink.published == []
    await log.look(0.5)
    key = verifier.parse_key(VERIFIER_KEY)
    head = verifier.open_checkpoint(log.sink.published[0], key)
    assert (head.origin, head.size) == (ORIGIN, 12)
    assert head.root == root_of(await log.seals())
    assert log.made.trouble is None


async def test_what_a_dead_process_left_is_signed_for_as_soon_as_the_next_one_looks(log: Log) -> None:
    """Whoever verifies then finds it: it may have waited for hours."""
    await log.author.write(3)
    looked = asyncio.Event()

    class OneLook(HandClock):
        async def sleep(self, seconds: float) -> None:
            looked.set()
            await asyncio.Event().wait()

    run = asyncio.create_task(checkpointer(log.log, log.sink, OneLook()).run())
    await looked.wait()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert len(log.sink.published) == 1


async def test_at_the_end_what_waits_is_signed_for_at_once_and_what_does_not_wait_is_not_signed_twice(
    log: Log,
) -> None:
    await log.author.write(3)
    await log.made.sign_off()
    assert (log.made.size, len(log.sink.published)) == (5, 1)
    await log.made.sign_off()
    assert (log.made.size, len(log.sink.published)) == (5, 1)


async def test_at_the_end_one_goes_on_from_what_was_kept_and_not_noted(log: Log) -> None:
    """Stopped between the two, as every part of a gateway may be."""
    await log.author.write(3)
    other = checkpointer(log.log, log.sink, log.clock)
    await other._begin()
    await other.sign_off()
    await log.author.write(2)
    await log.made.sign_off()
    assert log.made.size == 7


async def test_what_contradicts_is_not_signed_for_at_the_end_either(log: Log) -> None:
    await log.author.write(3)
    log.made._contradicted = "the past is another"
    await log.made.sign_off()
    assert log.sink.published == []


async def test_where_another_has_signed_further_its_head_is_gone_on_from(log: Log) -> None:
    other = checkpointer(log.log, log.sink, log.clock)
    await other._begin()
    await log.look()
    await log.author.write(1_000)
    await other.look()

    await log.made._look_again()
    assert (log.made.size, log.made.trouble) == (other.size, None)

    await log.author.write(1_000)
    await log.made._look_again()
    assert log.made.size == other.size + 1_000


@pytest.mark.parametrize("asked", ["newest", "at"])
async def test_where_another_signs_further_while_one_begins_nothing_contradicts(
    log: Log, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    await signed(log)
    other = checkpointer(log.log, log.sink, log.clock)
    await other._begin()
    answer = getattr(log.log, asked)

    async def overtaken(*arguments: int) -> Head | None:
        found: Head | None = await answer(*arguments)
        monkeypatch.undo()
        await log.author.write(1_000)
        await other.look()
        return found

    monkeypatch.setattr(log.log, asked, overtaken)
    await log.begin()
    assert (log.made.size, other.size) == (7, 1_007)

    await log.made._look_again()
    await log.made._look_again()
    assert (log.made.size, log.made.trouble) == (other.size, None)


async def test_a_thousand_records_do_not_wait_for_five_seconds(log: Log) -> None:
    await log.author.write(998)
    await log.look()
    assert log.made.size == 1_000


async def test_nothing_new_signs_nothing(log: Log) -> None:
    await log.author.write(1)
    for _ in range(20):
        await log.look()
    assert len(log.sink.published) == 1


async def test_every_head_grew_out_of_the_one_before_and_a_restart_goes_on(log: Log) -> None:
    for count in (3, 1, 20):
        await log.author.write(count)
        await log.look()
        await log.look(5)
        await log.begin()
    key = verifier.parse_key(VERIFIER_KEY)
    heads = [verifier.open_checkpoint(note, key) for note in log.sink.published]
    assert [head.size for head in heads] == [5, 6, 26]
    seals = await log.seals()
    assert [head.root for head in heads] == [root_of(seals[: head.size]) for head in heads]


async def test_before_the_first_look_nothing_can_be_proved() -> None:
    made = Log()
    assert made.made.trouble == "not read yet"
    await made.begin()
    await made.look()
    assert made.made.trouble is None


async def test_a_full_disk_is_trouble_at_once_and_over_when_it_is_not_full(log: Log) -> None:
    await log.author.write(1)
    log.sink.full = True
    with pytest.raises(OSError, match="No space"):
        await log.made.run()
    assert "No space left on device" in str(log.made.trouble)
    log.sink.full = False
    await log.begin()
    await log.look()
    assert not log.made.trouble
    assert log.sink.published[-1] == log.log.kept[-1].note


async def test_a_database_that_is_away_is_trouble(log: Log) -> None:
    log.log.away = True
    with pytest.raises(JournalUnavailable):
        await log.made.run()
    assert log.made.trouble is not None


async def test_a_database_that_is_away_for_a_moment_is_no_trouble_yet(log: Log) -> None:
    await log.look()
    log.log.away = True
    with pytest.raises(JournalUnavailable):
        await log.made.run()
    assert log.made.trouble is None
    log.clock.moved += 10.5
    assert log.made.trouble == "no checkpoint could be made for too long"


async def test_a_checkpointer_that_hangs_is_trouble(log: Log) -> None:
    await log.look()
    log.clock.moved += 10.5
    assert log.made.trouble == "no checkpoint could be made for too long"


async def signed(log: Log, count: int = 5) -> None:
    await log.author.write(count)
    await log.look()
    await log.look(5)


async def contradicts(log: Log) -> str:
    with pytest.raises(Contradiction) as caught:
        await log.begin()
        await log.look()
    return str(caught.value)


async def test_a_database_put_back_to_an_earlier_state_is_never_signed_again(log: Log) -> None:
    await signed(log)
    await signed(log)
    log.log.kept.pop()
    log.log.order = [one for one in log.log.order if one.first < log.log.kept[-1].size]
    assert "put back to an earlier state" in await contradicts(log)


async def test_events_that_are_gone_are_never_signed_around(log: Log) -> None:
    await signed(log)
    log.journal.books[ALICE].events.pop()
    assert f"{ALICE} had" in await contradicts(log)


async def test_a_head_that_was_changed_is_not_gone_on_from(log: Log) -> None:
    await signed(log)
    head = log.log.kept[-1]
    changed: dict[str, Head] = {
        "root": msgspec.structs.replace(head, root=bytes(32)),
        "frontier": msgspec.structs.replace(head, frontier=tuple(bytes(32) for _ in head.frontier)),
        "note": msgspec.structs.replace(head, note=head.note.replace("\n7\n", "\n8\n")),
    }
    for head in changed.values():
        log.log.kept[-1] = head
        await contradicts(log)


async def test_a_head_signed_by_another_key_is_not_gone_on_from(log: Log) -> None:
    await signed(log)
    other = OwnNoteKey(Ed25519PrivateKey.generate())
    made = checkpointer(log.log, log.sink, log.clock, key=other)
    with pytest.raises(Contradiction, match="not signed by our key"):
        await made._begin()


async def test_history_that_was_rewritten_whole_is_found_by_the_watch_over_the_past(log: Log) -> None:
    await signed(log)
    head = log.log.kept[-1]
    await log.made._compare_past(head)
    assert log.made.trouble is None
    books = log.journal.books[ALICE]
    entry, sealed = books.events[1]
    books.events[1] = (entry, msgspec.structs.replace(sealed, hash=bytes(32)))
    await log.made._compare_past(head)
    assert log.made.trouble == "the first 7 records are not those that were signed"


async def test_an_event_gone_from_the_past_is_found_by_the_watch_over_it(log: Log) -> None:
    await signed(log)
    log.journal.books[ALICE].events.pop(1)
    await log.made._compare_past(log.log.kept[-1])
    assert log.made.trouble == f"{ALICE}: of events 1 to 5 there are 4"


async def test_the_end_of_the_past_that_is_gone_is_found_by_the_watch_over_it(log: Log) -> None:
    await signed(log)
    await signed(log)
    log.log.order.pop()
    await log.made._compare_past(log.log.kept[-1])
    assert log.made.trouble == "the records from index 10 on are missing"


def test_a_log_has_a_name_without_spaces() -> None:
    made = Log()
    with pytest.raises(ValueError, match="name of a log"):
        Checkpointer(
            "a name", audit_log=made.log, sink=made.sink, keys=made.keys, clock=made.clock, pace=Pace()
        )


async def test_once_the_past_is_found_to_be_another_nothing_more_is_signed(log: Log) -> None:
    await signed(log)
    running = asyncio.create_task(log.made.run())
    head = log.log.kept[-1]
    await log.made._compare_past(msgspec.structs.replace(head, root=bytes(32)))
    await log.author.write(2_000)
    for _ in range(20):
        log.clock.moved += 5
        await asyncio.sleep(0)
    assert log.made.size == head.size
    assert "are not those that were signed" in str(log.made.trouble)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
