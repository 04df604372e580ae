"""The key is changed by a head that both keys sign: verifiers follow, the old key is worth nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ordergate.audit import notes
from ordergate.audit.checkpointer import Contradiction
from ordergate.audit.keychain import KeyChain, NotOurs, Reigns
from ordergate.audit.notes import Checkpoint
from ordergate.core.ids import Env
from ordergate.journal.memory import MemoryJournal
from ordergate.journal.memory_audit import MemoryAuditLog
from ordergate.ports.audit import NoteKey
from ordergate.ports.keys import KeysRefused
from ordergate.security.keys import notes as note_keys
from ordergate.security.keys.local import open_keys
from ordergate.wiring.witnessing import WitnessKey
from tests.audit.logs import (
    KEY,
    ORIGIN,
    VERIFIER_KEY,
    Author,
    HandClock,
    MemoryKeys,
    MemorySink,
    checkpointer,
)
from verifier import ordergate_verifier as verifier

NEXT = WitnessKey(bytes(range(3, 35)))
OLD = verifier.parse_key(VERIFIER_KEY)
NEW = verifier.parse_key(notes.verifier_key(ORIGIN, NEXT.public))


class Log:
    def __init__(self) -> None:
        journal = MemoryJournal(Env.PAPER)
        self.author = Author(journal)
        self.log = MemoryAuditLog(journal.store)
        self.sink = MemorySink()
        self.clock = HandClock()
        self.keys = MemoryKeys(KEY)

    async def begin(self) -> None:
        self.made = checkpointer(self.log, self.sink, self.clock, keys=self.keys)
        await self.made._begin()

    async def sign(self, count: int = 3) -> None:
        await self.author.write(count)
        for _ in range(2):
            self.clock.moved += 30
            await self.made.look()

    async def rotated(self) -> None:
        self.keys.usable.insert(0, NEXT)
        await self.sign()


@pytest.fixture
async def log() -> Log:
    made = Log()
    await made.begin()
    await made.sign()
    return made


async def signed(size: int, key: NoteKey, next_key: str | None = None, *others: NoteKey) -> str:
    text = Checkpoint(ORIGIN, size, bytes(32), next_key).text()
    note = notes.signed(text, ORIGIN, key.public, await key.sign(text.encode()))
    for other in others:
        note = notes.also_signed(note, ORIGIN, other.public, await other.sign(text.encode()))
    return note


async def test_one_head_names_the_next_key_both_sign_it_and_the_old_one_is_gone(log: Log) -> None:
    await log.rotated()
    await log.sign()
    first, handing_over, last = log.sink.published
    assert [verifier.open_checkpoint(note, OLD).size for note in (first, handing_over)] == [5, 8]
    assert [verifier.open_checkpoint(note, NEW).size for note in (handing_over, last)] == [8, 11]
    assert log.keys.usable == [NEXT]
    heads, reigns = verifier.follow(log.sink.published, OLD)
    assert [head.size for head in heads] == [5, 8, 11]
    assert [(key, upto) for key, upto in reigns] == [(OLD, 8), (NEW, 2**63)]
    chain = KeyChain(VERIFIER_KEY)
    assert [chain.open(note).size for note in log.sink.published] == [5, 8, 11]


@pytest.mark.parametrize("waits", range(5))
async def test_the_head_that_covers_what_was_recorded_of_a_change_names_the_next_key(
    log: Log, waits: int
) -> None:
    """Where little happens there is no other for a minute. The change comes while a head is waited for."""

    async def look() -> None:
        log.clock.moved += 1
        await log.made.look()

    await log.author.write(1)
    for _ in range(1 + waits):
        await look()
    assert len(log.sink.published) == 1
    log.keys.usable.insert(0, NEXT)
    await log.author.write(1)
    for _ in range(5 - waits):
        await look()
    (_, handing_over) = log.sink.published
    assert verifier.open_checkpoint(handing_over, NEW).size == 7
    assert log.keys.usable == [NEXT]


async def test_so_does_the_head_that_is_due_because_of_how_many_there_are(log: Log) -> None:
    await log.author.write(1)
    await log.made.look()  # asks for the keys, and will not again for ten seconds
    log.keys.usable.insert(0, NEXT)
    await log.author.write(1_000)
    log.clock.moved += 1
    await log.made.look()
    (handing_over,) = log.sink.published[-1:]
    assert verifier.open_checkpoint(handing_over, NEW).size == 1_006
    assert log.keys.usable == [NEXT]


@pytest.mark.parametrize("after", ["kept", "published"])
async def test_a_process_that_dies_while_the_key_is_changed_goes_on_with_the_new_one(
    log: Log, after: str
) -> None:
    async def died(*_: object, **__: object) -> None:
        raise OSError("died")

    with pytest.MonkeyPatch.context() as patch:
        if after == "kept":
            patch.setattr(log.sink, "publish", died)
        else:
            patch.setattr(log.keys, "retire", died)
        with pytest.raises(OSError, match="died"):
            await log.rotated()
    await log.begin()
    assert log.keys.usable == [NEXT]
    await log.sign()
    assert [head.size for head in verifier.follow(log.sink.published, OLD)[0]] == [5, 8, 11]
    assert [one.old for one in log.sink.lines] == [0, 5, 8]


async def test_a_restart_before_the_first_head_of_the_new_key_still_hands_over(log: Log) -> None:
    log.keys.usable.insert(0, NEXT)
    await log.begin()
    await log.sign()
    assert "ordergate-next-key" in log.sink.published[-1]
    assert log.keys.usable == [NEXT]


async def test_a_head_of_a_stolen_old_key_is_never_taken(log: Log) -> None:
    await log.rotated()
    thief = WitnessKey(bytes(range(4, 36)))
    name = notes.verifier_key(ORIGIN, thief.public)
    for stolen in (await signed(99, KEY), await signed(99, KEY, name, thief)):
        with pytest.raises(verifier.Broken, match="not signed by the key"):
            verifier.follow([*log.sink.published, stolen], OLD)
        chain = KeyChain(VERIFIER_KEY)
        for note in log.sink.published:
            chain.open(note)
        with pytest.raises(NotOurs):
            chain.open(stolen)
        with pytest.raises(verifier.Broken, match="key of its time"):
            verifier.open_under(stolen, verifier.follow(log.sink.published, OLD)[1])
        log.sink.published.append(stolen)
        with pytest.raises(Contradiction, match="does not have it"):
            await log.begin()
        log.sink.published.pop()


async def test_after_a_successor_that_is_no_key_of_the_log_its_owner_follows_nothing(log: Log) -> None:
    await log.rotated()
    await log.sign()
    thief = WitnessKey(bytes(range(4, 36)))
    reigns = Reigns([VERIFIER_KEY, notes.verifier_key(ORIGIN, NEXT.public)])
    reigns.open(log.sink.published[0])
    reigns.open(await signed(6, KEY, notes.verifier_key(ORIGIN, thief.public), thief))
    with pytest.raises(NotOurs):
        reigns.open(log.sink.published[-1])


async def test_where_heads_were_lost_a_later_key_begins_anew_and_none_comes_back(log: Log) -> None:
    await log.rotated()
    await log.sign()
    first, _, last = log.sink.published
    new = notes.verifier_key(ORIGIN, NEXT.public)
    reigns = Reigns([VERIFIER_KEY, new])
    assert [reigns.open(note).size for note in (first, last)] == [5, 11]
    assert reigns.anew == [new]
    with pytest.raises(NotOurs):
        reigns.open(first)


async def test_a_key_that_did_not_sign_what_names_it_is_no_successor() -> None:
    name = notes.verifier_key(ORIGIN, NEXT.public)
    note = await signed(5, KEY, name)
    with pytest.raises(NotOurs, match="next key has not signed"):
        KeyChain(VERIFIER_KEY).open(note)
    with pytest.raises(verifier.Broken, match="not signed by the key"):
        verifier.follow([note], OLD)
    twice = Checkpoint(ORIGIN, 1, bytes(32)).text() + f"ordergate-next-key {name}\n" * 2
    with pytest.raises(notes.Malformed, match="at most one"):
        notes.parse_checkpoint(twice)


async def test_both_keys_are_there_while_it_is_changed_and_then_only_the_old_ones_public_half(
    tmp_path: Path,
) -> None:
    service = open_keys(tmp_path, Env.PAPER, lambda: 0)
    keys = await note_keys.KeptNoteKeys(service).made()
    (first,) = await keys.versions()

    made = await keys.rotate()

    assert [one.public for one in await keys.versions()] == [made, first.public]
    with pytest.raises(KeysRefused, match="being changed already"):
        await keys.rotate()
    for _ in range(2):
        await keys.retire(first)
    assert [one.public for one in await keys.versions()] == [made]
    assert await keys.past() == [first.public]
    with pytest.raises(KeysRefused):
        await first.sign(b"history")


async def test_the_only_key_is_never_retired(tmp_path: Path) -> None:
    keys = await note_keys.KeptNoteKeys(open_keys(tmp_path, Env.PAPER, lambda: 0)).made()
    (only,) = await keys.versions()

    await keys.retire(only)

    assert [one.public for one in await keys.versions()] == [only.public]
