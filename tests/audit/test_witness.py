"""A witness signs only what its log grew into, and a stranger's program counts on its word."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ordergate.audit import notes
from ordergate.audit.folder import EVERY, FolderSink
from ordergate.audit.notes import Checkpoint
from ordergate.audit.witness import Inconsistent, Published, Seen, Witness
from ordergate.core.ids import Env
from ordergate.journal.memory import MemoryJournal
from ordergate.journal.memory_audit import MemoryAuditLog
from ordergate.wiring import witnessing
from ordergate.wiring.settings import CannotStart
from ordergate.wiring.witnessing import WitnessKey
from tests.audit import vectors
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

NAME = "witness.example/w1"
NOW = 1_767_625_200


class Log:
    """A log that publishes, and what a witness makes of it."""

    def __init__(self, start: int = 0) -> None:
        journal = MemoryJournal(Env.PAPER)
        self.author = Author(journal)
        self.author._number = start
        self.log = MemoryAuditLog(journal.store)
        self.sink = MemorySink()
        self.keys = MemoryKeys(KEY)
        self.clock = HandClock()
        self.made = checkpointer(self.log, self.sink, self.clock, keys=self.keys)

    async def sign(self, count: int) -> Published:
        """So many records, and the head over them."""
        await self.author.write(count)
        if not self.sink.published:
            await self.made._begin()
        self.clock.moved += 60
        await self.made.look()
        self.clock.moved += 60
        await self.made.look()
        return self.sink.lines[-1]


class Eye:
    """A witness, and what it kept."""

    def __init__(self, seen: Seen | None = None) -> None:
        self.kept: list[Seen] = []
        self.key = WitnessKey(bytes(range(1, 33)))
        self.made = Witness(NAME, self.key, seen or Seen(key=VERIFIER_KEY), self.kept.append)
        self.public = verifier.parse_key(self.made.verifier_key, verifier.COSIGNATURE)


async def test_what_grew_is_cosigned_as_c2sp_writes_it() -> None:
    log, eye, cosigned = Log(), Eye(), ""
    for count in (3, 5, 1, 9, 30):
        cosigned = await eye.made.consider(await log.sign(count), NOW) or ""
        assert cosigned.startswith(log.sink.published[-1])
        text = verifier.open_note(cosigned, eye.public, witness=True)
        assert text == verifier.open_note(cosigned, verifier.parse_key(VERIFIER_KEY))
        assert verifier.cosigned_size([cosigned], eye.public) == log.made.size == eye.made.seen.size
    line = cosigned.split("\n")[-2].split(" ")
    assert (line[1], int.from_bytes(notes.decode(line[2])[4:12])) == (NAME, NOW)
    with pytest.raises(verifier.Broken, match="does not hold"):
        verifier.open_note(cosigned.replace(f"\n{log.made.size}\n", "\n7\n"), eye.public, witness=True)


def test_the_published_example_of_a_cosignature_has_this_form() -> None:
    parsed = notes.parse_note(vectors.COSIGNED)
    name, _, signature = parsed.signatures[1]
    assert (name, len(signature)) == ("witness.example.com/w1", 8 + 64)
    assert int.from_bytes(signature[:8]) == vectors.COSIGNED_AT
    assert notes.cosigned_text(parsed.text, vectors.COSIGNED_AT).startswith(
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
    )


async def test_what_was_seen_is_kept_before_it_is_signed() -> None:
    eye = Eye()
    published = await Log().sign(3)

    def full(_: Seen) -> None:
        raise OSError(28, "No space left on device")

    eye.made._keep = full
    with pytest.raises(OSError, match="No space"):
        await eye.made.consider(published, NOW)
    assert eye.made.seen.size == 0


async def test_what_is_older_or_the_same_is_passed_over() -> None:
    log, eye = Log(), Eye()
    first, second = await log.sign(3), await log.sign(3)
    await eye.made.consider(first, NOW)
    await eye.made.consider(second, NOW)
    assert await eye.made.consider(first, NOW) is None
    assert await eye.made.consider(second, NOW) is None
    assert len(eye.kept) == 2


async def test_another_history_is_never_cosigned() -> None:
    log, fork, eye = Log(), Log(start=100), Eye()
    await eye.made.consider(await log.sign(3), NOW)
    seen = eye.made.seen
    for published in (await fork.sign(3), await fork.sign(2)):
        with pytest.raises(Inconsistent):
            await eye.made.consider(published, NOW)
    later = await log.sign(4)
    for wrong in (
        msgspec.structs.replace(later, path=later.path[:-1]),
        msgspec.structs.replace(later, path=()),
        msgspec.structs.replace(later, old=None),
        msgspec.structs.replace(later, old=1),
        msgspec.structs.replace(later, path=("?",)),
        msgspec.structs.replace(later, note="nothing"),
    ):
        with pytest.raises(Inconsistent):
            await eye.made.consider(wrong, NOW)
    assert eye.made.seen == seen
    assert await eye.made.consider(later, NOW) is not None


async def test_a_head_that_another_key_signed_is_never_cosigned() -> None:
    eye = Eye()
    key = Ed25519PrivateKey.generate()
    text = Checkpoint(ORIGIN, 3, bytes(32)).text()
    note = notes.signed(text, ORIGIN, key.public_key().public_bytes_raw(), key.sign(text.encode()))
    with pytest.raises(Inconsistent, match="not signed by the log's key"):
        await eye.made.consider(Published(note=note), NOW)


async def test_a_change_of_keys_is_followed_and_the_old_key_counts_nothing_after_it() -> None:
    log, eye = Log(), Eye()
    await eye.made.consider(await log.sign(3), NOW)
    log.keys.usable.insert(0, WitnessKey(bytes(range(2, 34))))
    await eye.made.consider(await log.sign(3), NOW)
    assert eye.made.seen.key != VERIFIER_KEY
    text = Checkpoint(ORIGIN, 99, bytes(32)).text()
    stolen = notes.signed(text, ORIGIN, KEY.public, await KEY.sign(text.encode()))
    with pytest.raises(Inconsistent, match="not signed by the log's key"):
        await eye.made.consider(Published(note=stolen, old=eye.made.seen.size), NOW)
    assert await eye.made.consider(await log.sign(2), NOW) is not None


async def test_what_was_half_written_and_then_written_again_is_cosigned(tmp_path: Path) -> None:
    log = Log()
    folder, state = tmp_path / "published", tmp_path / "witness"
    sink = FolderSink(folder)

    async def publish(count: int) -> None:
        line = await log.sign(count)
        await sink.publish(line.note, line.old or 0, [notes.decode(step) for step in line.path])

    await publish(3)
    with witnessing.opened(folder, state, NAME, VERIFIER_KEY) as watch:
        await watch._look()
        with (folder / EVERY).open("ab") as every:
            every.write(b'{"note": "a power cut')
        await publish(2)
        assert (await watch._look()).size == log.made.size


async def test_a_process_goes_on_where_it_was_and_refuses_a_folder_that_was_put_back(tmp_path: Path) -> None:
    log = Log()
    folder, state = tmp_path / "published", tmp_path / "witness"
    sink = FolderSink(folder)

    async def publish(count: int, of: Log) -> None:
        line = await of.sign(count)
        await sink.publish(line.note, line.old or 0, [notes.decode(step) for step in line.path])

    await publish(3, log)
    await publish(4, log)
    with witnessing.opened(folder, state, NAME, VERIFIER_KEY) as watch:
        report = await watch._look()
        assert (report.cosigned, report.size) == (1, log.made.size), "it begins with the newest"
        await publish(2, log)
        assert (await watch._look()).cosigned == 2
        assert (await watch._look()).cosigned == 2
        with (
            pytest.raises(CannotStart, match="another witness"),
            witnessing.opened(folder, state, NAME, VERIFIER_KEY),
        ):
            pass
    await publish(6, log)
    with witnessing.opened(folder, state, NAME, VERIFIER_KEY) as watch:
        assert (await watch._look()).size == log.made.size
    (folder / EVERY).unlink()
    fork = Log(start=100)
    await publish(40, fork)
    with witnessing.opened(folder, state, NAME, VERIFIER_KEY) as watch, pytest.raises(Inconsistent):
        await watch._look()
    lines = (state / witnessing.EVERY).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert (state / witnessing.KEY).stat().st_mode & 0o77 == 0
