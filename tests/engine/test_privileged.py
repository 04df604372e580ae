"""Privileged acts are in the record exactly once, whatever dies when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId, Env, Paper
from ordergate.core.privileged import GatewayStopped, IdentityChanged, TokenIssued
from ordergate.engine.desks.privileged import PrivilegedRecord
from ordergate.journal.memory import MemoryJournal
from ordergate.ports.privileged import Change
from tests.engine.stage import HandClock, Listener, let_run

STREAM = AccountId("P-AUDIT")
AT = datetime(2026, 1, 5, tzinfo=UTC)


def change(number: int) -> Change:
    return Change(
        number=number,
        at=AT,
        what="client",
        operation="update",
        subject=f"client-{number}",
        by="operator by psql",
        facts={"enabled": "false"},
    )


class Source:
    """Identity changes that wait; ticking them off can fail."""

    def __init__(self, *numbers: int) -> None:
        self.changes = {number: change(number) for number in numbers}
        self.fails = False

    async def waiting(self, most: int) -> Sequence[Change]:
        return [self.changes[number] for number in sorted(self.changes)][:most]

    async def recorded(self, numbers: Sequence[int]) -> None:
        if self.fails:
            raise JournalUnavailable("lost")
        for number in numbers:
            del self.changes[number]


async def stream(journal: MemoryJournal[Paper]) -> list[object]:
    return [stored.event async for stored in journal.read(STREAM, after=0)]


async def test_what_changed_in_identity_is_recorded_once_and_in_order() -> None:
    journal, clock = MemoryJournal(Env.PAPER), HandClock()
    source = Source(3, 1, 7)
    record = PrivilegedRecord(Env.PAPER, journal, Listener(), clock)
    following = asyncio.create_task(record.follow(source))
    await let_run()
    assert source.changes == {}
    source.changes[9] = change(9)
    await clock.move(1)
    following.cancel()
    events = await stream(journal)
    assert [one.change for one in events if isinstance(one, IdentityChanged)] == [1, 3, 7, 9]
    assert [one.by for one in events if isinstance(one, IdentityChanged)] == ["operator by psql"] * 4


async def test_a_change_that_was_written_and_not_ticked_off_is_not_written_again() -> None:
    journal, clock = MemoryJournal(Env.PAPER), HandClock()
    source = Source(1, 2)
    source.fails = True
    with pytest.raises(JournalUnavailable):
        await PrivilegedRecord(Env.PAPER, journal, Listener(), clock).follow(source)
    assert len(await stream(journal)) == 2
    source.fails = False
    following = asyncio.create_task(PrivilegedRecord(Env.PAPER, journal, Listener(), clock).follow(source))
    await let_run()
    following.cancel()
    assert source.changes == {}
    assert len(await stream(journal)) == 2


async def test_what_a_lost_answer_wrote_is_not_written_again() -> None:
    journal, clock = MemoryJournal(Env.PAPER), HandClock()
    record = PrivilegedRecord(Env.PAPER, journal, Listener(), clock)
    await record.record(GatewayStopped(at=AT, version="1"), "test")
    journal.hold()
    following = asyncio.create_task(record.follow(Source(1)))
    await let_run()
    journal.cut(written=True)
    journal.release()
    await let_run()
    following.cancel()
    assert len(await stream(journal)) == 2


def issued(token_id: str) -> TokenIssued:
    return TokenIssued(
        at=AT,
        token_id=token_id,
        client_id="c",
        tenant="t",
        scopes=("risk:write",),
        accounts=(),
        expires_at=1_900_000_000,
    )


async def lose_answer(*, written: bool) -> tuple[MemoryJournal[Paper], TellingListener]:
    """A token is recorded while the wire is cut."""
    journal, listener = MemoryJournal(Env.PAPER), TellingListener()
    record = PrivilegedRecord(Env.PAPER, journal, listener, HandClock())
    await record.record(issued("first"), "token-first")
    journal.hold()
    recording = asyncio.create_task(record.record(issued("second"), "token-second"))
    await let_run()
    journal.cut(written=written)
    journal.release()
    await recording
    return journal, listener


class TellingListener(Listener):
    """What was told of the audit's stream."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []

    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None:
        self.told.append(seq)


@pytest.mark.parametrize("written", [True, False])
async def test_an_act_whose_answer_was_lost_is_in_the_record_once(written: bool) -> None:
    journal, _ = await lose_answer(written=written)
    assert await stream(journal) == [issued("first"), issued("second")]


@pytest.mark.parametrize("written", [True, False])
async def test_an_act_whose_answer_was_lost_is_told_once(written: bool) -> None:
    _, listener = await lose_answer(written=written)
    assert listener.told == [1, 2]


async def test_the_same_act_asked_for_twice_is_in_the_record_twice() -> None:
    journal = MemoryJournal(Env.PAPER)
    record = PrivilegedRecord(Env.PAPER, journal, Listener(), HandClock())
    for _ in range(2):
        await record.record(issued("one"), "token-one")
    assert len(await stream(journal)) == 2
