"""Someone with the keys to the database and the export changes history: a stranger's program notices."""

from __future__ import annotations

import ast
import asyncio
import base64
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ordergate.audit import notes
from ordergate.audit.folder import EVERY, NEWEST, FolderSink
from ordergate.core.ids import Env
from ordergate.journal.audit_log import PostgresAuditLog
from ordergate.journal.migrate import migrate
from ordergate.journal.views import PostgresViews
from ordergate.security.keys import notes as note_keys
from ordergate.security.keys.local import open_keys
from ordergate.security.migrations import identity_migrations
from ordergate.security.postgres import connected
from ordergate.wiring import proofs
from ordergate.wiring.settings import Settings
from tests.audit.kept import PIECES, WRITTEN, lose_the_newest, write_log
from tests.audit.logs import ORIGIN, HandClock, checkpointer
from tests.dose import dose
from tests.journal.making import ALICE
from tests.keeping import keep
from verifier import ordergate_verifier as verifier

VERIFIER: Final = Path(verifier.__file__)


class Export:
    """An export as its lines, and the checkpoint that somebody kept from before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = (folder / proofs.RECORDS).read_text(encoding="utf-8").splitlines()
        self.notes = [
            json.loads(line)["note"]
            for line in (folder / proofs.CHECKPOINTS).read_text(encoding="utf-8").splitlines()
        ]
        self.key = verifier.parse_key((folder / proofs.KEY).read_text(encoding="utf-8"))

    def verify(self, records: list[str], kept: list[str], trusted: list[str]) -> tuple[int, int]:
        return verifier.verify_log(records, kept, self.key, trusted, 0)


@pytest.fixture
async def export(settings: Settings, database: str, tmp_path: Path) -> Export:
    await write_log(settings, database)
    folder = tmp_path / "export"
    exported = await asyncio.to_thread(proofs.export, settings, folder, lambda _: None)
    assert (exported.records, exported.checkpoints) == (sum(PIECES) + 2, len(PIECES))
    return Export(folder)


async def test_a_true_export_holds(export: Export) -> None:
    assert export.verify(export.records, export.notes, [export.notes[1], export.notes[-1]]) == (42, 42)


Mutation = Callable[[random.Random, list[dict[str, Any]], list[str]], None]


def _edit(chance: random.Random, records: list[dict[str, Any]], kept: list[str]) -> None:
    """Any field of any record, by one character, one number or one byte."""
    record = chance.choice(records)
    field = chance.choice([name for name in record if name != "index"])
    value = record[field]
    if isinstance(value, int):
        record[field] = value + chance.choice([-1, 1, 1_000])
    elif value is None:
        record[field] = ""
    else:
        place = chance.randrange(len(value)) if value else 0
        other = chance.choice([one for one in "0123456789abcdefXYZ{}" if one != value[place : place + 1]])
        record[field] = value[:place] + other + value[place + 1 :]


def _delete(chance: random.Random, records: list[dict[str, Any]], kept: list[str]) -> None:
    gone = records.pop(chance.randrange(len(records)))
    if chance.random() < 0.7:  # and hide the gap
        for number, record in enumerate(records):
            record["index"] = number
            if record["account"] == gone["account"] and record["seq"] > gone["seq"]:
                record["seq"] -= 1
    if chance.random() < 0.5:
        _seal_again(records)


def _insert(chance: random.Random, records: list[dict[str, Any]], kept: list[str]) -> None:
    place = chance.randrange(len(records) + 1)
    made = dict(chance.choice(records))
    records.insert(place, made)
    if chance.random() < 0.7:
        counts: Counter[str] = Counter()
        for number, record in enumerate(records):
            counts[record["account"]] += 1
            record["index"], record["seq"] = number, counts[record["account"]]
    if chance.random() < 0.5:
        _seal_again(records)


def _swap(chance: random.Random, records: list[dict[str, Any]], kept: list[str]) -> None:
    one, two = chance.sample(range(len(records)), 2)
    records[one], records[two] = records[two], records[one]
    if chance.random() < 0.7:
        records[one]["index"], records[two]["index"] = one, two
    if chance.random() < 0.5:
        counts: Counter[str] = Counter()
        for record in records:
            counts[record["account"]] += 1
            record["seq"] = counts[record["account"]]
        _seal_again(records)


def _truncate(chance: random.Random, records: list[dict[str, Any]], kept: list[str]) -> None:
    """Cut the tail; sometimes with the checkpoints that speak of it."""
    del records[chance.randrange(len(records)) :]
    if chance.random() < 0.5:
        kept[:] = [note for note in kept if _size(note) <= len(records)]


def _fork(chance: random.Random, records: list[dict[str, Any]], kept: list[str]) -> None:
    """Another history from some place on, every seal made anew, and only the checkpoints before it."""
    place = chance.randrange(len(records))
    for record in records[place:]:
        record["body"] = record["body"].replace("tester", "nobody") + " " * chance.randrange(1, 9)
    _seal_again(records)
    if chance.random() < 0.5:
        kept[:] = [note for note in kept if _size(note) <= place]


def _sign_again(chance: random.Random, records: list[dict[str, Any]], kept: list[str]) -> None:
    """A whole other history, consistent in itself, signed with a key of the forger's."""
    forger = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
    public = forger.public_key().public_bytes_raw()
    real_id = base64.b64decode(kept[0].splitlines()[-1].split(" ")[2])[:4]
    if chance.random() < 0.8:
        _fork(chance, records, [])
    tree, sizes = verifier.Tree(), {_size(note) for note in kept}
    kept.clear()
    poses = chance.random() < 0.5
    for record in records:
        tree.append(bytes.fromhex(record["seal"]))
        if tree.size in sizes:
            text = notes.Checkpoint(ORIGIN, tree.size, tree.root()).text()
            signature = forger.sign(text.encode())
            note = notes.signed(text, ORIGIN, public, signature)
            if poses:  # under the id of the real key
                note = f"{text}\n— {ORIGIN} {base64.b64encode(real_id + signature).decode()}\n"
            kept.append(note)


def _edit_note(chance: random.Random, records: list[dict[str, Any]], kept: list[str]) -> None:
    """A checkpoint changed, dropped at the end, repeated, or out of order."""
    place = chance.randrange(len(kept))
    match chance.randrange(3):
        case 0:
            at = chance.randrange(len(kept[place]))
            other = chance.choice([one for one in "AB+/09\n" if one != kept[place][at]])
            kept[place] = kept[place][:at] + other + kept[place][at + 1 :]
        case 1:
            kept.insert(place, kept[place])
        case _:
            kept.reverse()


MUTATIONS: Final[tuple[Mutation, ...]] = (
    _edit,
    _delete,
    _insert,
    _swap,
    _truncate,
    _fork,
    _sign_again,
    _edit_note,
)


def _size(note: str) -> int:
    return int(note.splitlines()[1])


def _seal_again(records: list[dict[str, Any]]) -> None:
    """Every seal as it would have to be, by somebody who knows how."""
    last: dict[str, bytes] = {}
    for record in records:
        prior = last.get(record["account"], verifier.genesis(record["account"]))
        last[record["account"]] = verifier.seal(prior, record)
        record["seal"] = last[record["account"]].hex()


async def test_every_mutation_is_detected(export: Export) -> None:
    """12 000 in a long run, whose figures are kept where somebody wants them; every kind in each."""
    chance = random.Random(20260105)
    true = [json.loads(line) for line in export.records]
    trusted = [export.notes[-1]]
    missed, counts = [], Counter[str]()
    for number in range(dose(1_000, 12_000)):
        mutate = MUTATIONS[number % len(MUTATIONS)]
        records, kept = [dict(one) for one in true], list(export.notes)
        mutate(chance, records, kept)
        if records == true and kept == export.notes:
            continue
        counts[mutate.__name__] += 1
        lines = [json.dumps(one, ensure_ascii=False) for one in records]
        try:
            export.verify(lines, kept, trusted)
        except verifier.Broken:
            continue
        missed.append((number, mutate.__name__))
    kinds = {name.strip("_"): count for name, count in sorted(counts.items())}
    told = {"mutations": counts.total(), "missed": len(missed), "of": kinds}
    keep("audit-mutations", told)
    assert missed == []
    assert set(counts) == {one.__name__ for one in MUTATIONS}
    assert counts.total() > dose(900, 10_000)


async def test_the_program_says_so_by_its_exit_code(export: Export) -> None:
    export_folder, key = str(export.folder), str(export.folder / proofs.KEY)
    held = await asyncio.to_thread(_run, "log", export_folder, "--key", key)
    assert (held.returncode, held.stdout) == (0, "42 records hold; 42 of them are signed for\n")
    records = export.folder / proofs.RECORDS
    records.write_text(records.read_text(encoding="utf-8").replace("tester", "nobody", 1), encoding="utf-8")
    broken = await asyncio.to_thread(_run, "log", export_folder, "--key", key)
    assert broken.returncode == 1
    assert "BROKEN" in broken.stderr


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(VERIFIER), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_one_record_is_proven_by_a_file_of_its_own(
    export: Export, settings: Settings, tmp_path: Path
) -> None:
    proof = ""
    for seq in (1, 2, 17, 28):
        proof = await asyncio.to_thread(proofs.prove, settings, ALICE, seq)
        record = verifier.verify_proof(proof, export.key)
        assert (record["account"], record["seq"]) == (ALICE, seq)
        lines = map(json.loads, export.records)
        line = next(one for one in lines if (one["account"], one["seq"]) == (ALICE, seq))
        assert record["body"] == line["body"]
    chance = random.Random(7)
    for _ in range(300):
        place = chance.randrange(len(proof))
        other = chance.choice([one for one in "AB+/09=\n" if one != proof[place]])
        with pytest.raises(verifier.Broken):
            verifier.verify_proof(proof[:place] + other + proof[place + 1 :], export.key)


async def test_the_log_is_proven_to_have_only_grown(export: Export, settings: Settings) -> None:
    proof = ""
    for earlier in export.notes:
        proof = await asyncio.to_thread(proofs.prove_growth, settings, earlier)
        assert verifier.verify_consistency(proof, export.key) == (_size(earlier), 42)
    told = json.loads(proof)
    told["old"] = export.notes[0]
    with pytest.raises(verifier.Broken):
        verifier.verify_consistency(json.dumps(told), export.key)


async def test_our_own_verification_agrees(settings: Settings, database: str) -> None:
    await write_log(settings, database)
    found = await asyncio.to_thread(proofs.verify, settings, lambda _: None, WRITTEN)
    assert (found.records, found.signed, found.checkpoints, found.problems) == (42, 42, 4, ())
    every = settings.data_dir / "audit" / EVERY
    told = every.read_text(encoding="utf-8")
    every.write_text(told.replace("\\n42\\n", "\\n43\\n"), encoding="utf-8")
    found = await asyncio.to_thread(proofs.verify, settings, lambda _: None, WRITTEN)
    assert any("not signed by the key" in one for one in found.problems)


async def test_after_a_restore_a_person_lets_the_log_go_on_and_that_is_recorded(
    settings: Settings, database: str
) -> None:
    await migrate(database, also=identity_migrations())
    await write_log(settings, database)
    folder = settings.data_dir / "audit"
    at = datetime(2026, 1, 5, 15, tzinfo=UTC)
    await lose_the_newest(database)
    aside = await asyncio.to_thread(proofs.go_on, settings, "anna", "a drill", at)
    assert [Path(one).name for one in aside] == [
        "checkpoint.set-aside-20260105T150000Z",
        "checkpoints.jsonl.set-aside-20260105T150000Z",
    ]
    async with connected(Env.PAPER, database) as store:
        (noted,) = await store.waiting(10)
    assert (noted.what, noted.operation, noted.subject) == ("audit_log", "go_on", ORIGIN)
    assert (noted.facts["who"], noted.facts["reason"]) == ("anna", "a drill")
    assert noted.facts["published"].startswith("42 records")
    log = await PostgresAuditLog.connect(database)
    keys = note_keys.KeptNoteKeys(open_keys(settings.data_dir / "keys", Env.PAPER, lambda: 0))
    sink = FolderSink(folder)
    await checkpointer(log, sink, HandClock(), keys=keys)._begin()
    await log.close()
    assert (folder / NEWEST).is_file()


async def test_after_a_restore_no_client_goes_on_where_it_was(settings: Settings, database: str) -> None:
    """Other events get the numbers that it has seen: only another name of the stream tells it so."""
    await migrate(database, also=identity_migrations())
    await write_log(settings, database)
    views = await PostgresViews.connect(database)
    told = await views.snapshot(ALICE)
    await asyncio.to_thread(proofs.go_on, settings, "anna", "a drill", datetime(2026, 1, 5, tzinfo=UTC))
    now = await views.snapshot(ALICE)
    await views.close()
    assert told is not None
    assert now is not None
    assert now.seq == told.seq
    assert now.stream_id != told.stream_id


async def test_what_was_published_and_is_not_lost_stays(settings: Settings, database: str) -> None:
    """A backup may lose events that no checkpoint told of yet; a witness has to follow all the same."""
    await migrate(database, also=identity_migrations())
    await write_log(settings, database)
    assert await asyncio.to_thread(proofs.go_on, settings, "anna", "a drill", datetime.now(UTC)) == []
    assert (settings.data_dir / "audit" / NEWEST).is_file()


async def test_clients_start_over_where_nothing_was_published_yet(settings: Settings, database: str) -> None:
    await migrate(database, also=identity_migrations())
    await write_log(settings, database)
    for name in (NEWEST, EVERY):
        (settings.data_dir / "audit" / name).unlink()
    views = await PostgresViews.connect(database)
    told = await views.snapshot(ALICE)
    assert await asyncio.to_thread(proofs.go_on, settings, "anna", "a drill", datetime.now(UTC)) == []
    now = await views.snapshot(ALICE)
    await views.close()
    assert told is not None
    assert now is not None
    assert now.stream_id != told.stream_id


async def test_a_published_line_that_cannot_be_read_is_said_in_a_sentence(
    settings: Settings, export: Export
) -> None:
    every = settings.data_dir / "audit" / EVERY
    first, second, *others = every.read_bytes().splitlines(keepends=True)
    every.write_bytes(b"".join((first, second[:40], second, *others)))
    (problem,) = (await asyncio.to_thread(proofs.verify, settings, lambda _: None, WRITTEN)).problems
    assert problem.startswith(f"line 2 of {every} cannot be read")


def test_the_verifier_imports_nothing_of_ours() -> None:
    imported = set()
    for node in ast.walk(ast.parse(VERIFIER.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"cryptography"}
