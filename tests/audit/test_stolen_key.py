"""Someone has a copy of a log's old key, and the export: a stranger's program notices all that they do."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ordergate.audit import notes
from ordergate.core.ids import Env
from ordergate.journal.audit_log import PostgresAuditLog
from ordergate.journal.postgres import PostgresJournal
from ordergate.wiring import proofs
from ordergate.wiring.witnessing import WitnessKey
from tests.audit.kept import PIECES
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
from tests.audit.test_independent_verifier import MUTATIONS, _fork, _size
from tests.dose import dose
from verifier import ordergate_verifier as verifier

NEXT = WitnessKey(bytes(range(3, 35)))
STOLEN = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))  # of KEY
RECORDS = sum(PIECES) + 2


@pytest.fixture
async def export(database: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Records and checkpoints of a log that changed its key with the second checkpoint."""
    journal = await PostgresJournal.connect(database, Env.PAPER)
    log = await PostgresAuditLog.connect(database)
    sink, keys = MemorySink(), MemoryKeys(KEY)
    made = checkpointer(log, sink, HandClock(), keys=keys)
    await made._begin()
    author = Author(journal)
    for number, count in enumerate(PIECES):
        await author.write(count)
        if number == 1:
            keys.usable.insert(0, NEXT)
            made._newest = NEXT
        await made.checkpoint(await log.heads())
    records: list[dict[str, Any]] = []
    async for one in log.whole():
        async for record in log.records(one.account, one.after, one.upto):
            records.append({"index": len(records), **proofs._plain(record), "seal": record.seal.hex()})
    await log.close()
    await journal.close()
    return records, sink.published


def verify(records: list[dict[str, Any]], kept: list[str], trusted: list[str]) -> tuple[int, int]:
    lines = [json.dumps(one, ensure_ascii=False) for one in records]
    return verifier.verify_log(lines, kept, verifier.parse_key(VERIFIER_KEY), trusted, 0)


async def test_every_mutation_of_a_log_that_changed_its_key_is_detected(
    export: tuple[list[dict[str, Any]], list[str]],
) -> None:
    true, published = export
    assert verify(true, published, [published[0], published[-1]]) == (RECORDS, RECORDS)
    chance = random.Random(20260106)
    for number in range(dose(300, 4_000)):
        records, kept = [dict(one) for one in true], list(published)
        if number % 3:
            MUTATIONS[number % len(MUTATIONS)](chance, records, kept)
        else:
            _sign_with_the_old_key(chance, records, kept)
        if records == true and kept == published:
            continue
        with pytest.raises(verifier.Broken):
            verify(records, kept, [published[-1]])


def _sign_with_the_old_key(chance: random.Random, records: list[dict[str, Any]], kept: list[str]) -> None:
    """Another history out of the old key: it goes on for ever, or names a key of the thief's."""
    thief = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
    public = thief.public_key().public_bytes_raw()
    sizes = [_size(note) for note in kept]
    if chance.random() < 0.8:
        _fork(chance, records, [])
    names_it_at = chance.choice([*sizes, None])
    signer, tree = STOLEN, verifier.Tree()
    kept.clear()
    for record in records:
        tree.append(bytes.fromhex(record["seal"]))
        if tree.size not in sizes:
            continue
        named = notes.verifier_key(ORIGIN, public) if tree.size == names_it_at else None
        text = notes.Checkpoint(ORIGIN, tree.size, tree.root(), named).text()
        own = signer.public_key().public_bytes_raw()
        note = notes.signed(text, ORIGIN, own, signer.sign(text.encode()))
        if named is not None:
            note = notes.also_signed(note, ORIGIN, public, thief.sign(text.encode()))
            signer = thief
        kept.append(note)
