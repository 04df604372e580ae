"""Reads the audit from outside, for the command line: verifies it, exports it, proves one record.

Beside a running gateway or without one; changes nothing in the database. What is exported is for
whoever does not trust this code: `verifier/` checks it with none of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from ordergate.audit import notes
from ordergate.audit.folder import EVERY, NEWEST
from ordergate.audit.keychain import Reigns
from ordergate.audit.notes import Checkpoint
from ordergate.audit.tree import Frontier, consistency_proof, inclusion_proof
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId
from ordergate.journal import chain, streams
from ordergate.journal.audit_log import PostgresAuditLog, Record
from ordergate.security.keys import notes as note_keys
from ordergate.security.postgres import connected
from ordergate.wiring import key_service
from ordergate.wiring.auditing import folder_of
from ordergate.wiring.databases import of, reached
from ordergate.wiring.seen_records import Seen
from ordergate.wiring.settings import CannotStart, Settings

RECORDS: Final = "records.jsonl"
CHECKPOINTS: Final = "checkpoints.jsonl"
KEY: Final = "key.txt"
TELL_EVERY: Final = 500

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

T = TypeVar("T")
Told = Callable[[int], None]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """`problems` is empty when everything holds; `signed` of the `records` are under a signed head."""

    records: int
    signed: int
    checkpoints: int
    problems: tuple[str, ...] = ()


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    records: int
    checkpoints: int
    folder: str


def keys_of(settings: Settings) -> list[str]:
    """The log's public keys, as verifiers keep them, the first one first. Raises CannotStart."""

    async def ask() -> list[bytes]:
        async with key_service.opened(settings) as service:
            keys = note_keys.KeptNoteKeys(service)
            return [*await keys.past(), (await keys.versions())[-1].public]

    try:
        return [notes.verifier_key(settings.log_origin, public) for public in asyncio.run(ask())]
    except (Fault, OSError) as error:
        raise CannotStart(f"the audit's key cannot be read: {error}") from error


def rotate_key(settings: Settings, who: str, reason: str) -> str:
    """Make the next key, and record who did and why; its public half. Raises CannotStart.

    The gateway goes over to it with the next checkpoint, which both keys sign.
    """
    origin = settings.log_origin

    async def make() -> str:
        async with (
            key_service.opened(settings) as service,
            reached(of(settings)) as dsn,
            connected(settings.environment, dsn) as store,
        ):
            key = notes.verifier_key(origin, await note_keys.KeptNoteKeys(service).rotate())
            await store.note("audit_log", "rotate_key", origin, {"reason": reason, "who": who, "key": key})
            return key

    try:
        return asyncio.run(make())
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error


def size(settings: Settings) -> int:
    """How many records there are. Raises CannotStart."""

    async def ask(log: PostgresAuditLog) -> int:
        return sum((await log.heads()).values())

    return _on(settings, ask)


def verify(settings: Settings, told: Told, now: datetime) -> Found:
    """Every seal, every signed head, what was published of them, and whether one is missing at the end.

    `now` is from before anything is read: what is signed meanwhile is not held against anybody. Raises
    CannotStart.
    """
    keys = keys_of(settings)
    seen = Seen()

    async def ask(log: PostgresAuditLog) -> Found:
        problems: list[str] = []
        heads = [note async for note in log.notes()]
        wanted: dict[int, set[bytes]] = {}
        begun_anew: set[str] = set()
        for kept in (heads, _published(settings, problems)):
            reigns = Reigns(keys)
            for checkpoint in _opened(kept, reigns, problems):
                wanted.setdefault(checkpoint.size, set()).add(checkpoint.root)
            begun_anew |= set(reigns.anew)
        tree, signed = Frontier(), max(wanted, default=0)
        problems += await _walk(log, tree, wanted, told, seen)
        problems += [
            f"the log went on under {key}, and nobody let it" for key in sorted(begun_anew - seen.let_go_on)
        ]
        if signed > tree.size:
            problems.append(f"{signed} records were signed for, and there are {tree.size}")
        elif (late := seen.late(now, settings.audit.every_s)) is not None:
            problems.append(late)
        return Found(records=tree.size, signed=signed, checkpoints=len(heads), problems=tuple(problems))

    return _on(settings, ask)


async def _walk(
    log: PostgresAuditLog, tree: Frontier, wanted: dict[int, set[bytes]], told: Told, seen: Seen
) -> list[str]:
    """Grow the tree over every record; what does not hold on the way, the first of each account."""
    problems: list[str] = []
    signed = max(wanted, default=0)
    last: dict[AccountId, bytes] = {}
    async for one in log.whole():
        if one.first != tree.size:
            problems.append(f"the records from index {tree.size} on are missing")
            break
        async for record in log.records(one.account, one.after, one.upto):
            prior = last.get(one.account, chain.genesis(one.account))
            if record.sealed_after(prior) != record.seal:
                problems.append(f"{one.account}: the chain breaks at event {record.seq}")
            last[one.account] = record.seal
            seen.add(record, is_signed=tree.size < signed)
            tree.add(record.seal)
            if tree.size in wanted and wanted[tree.size] != {tree.root()}:
                problems.append(f"the first {tree.size} records are not those that were signed for")
            if tree.size % TELL_EVERY == 0:
                told(TELL_EVERY)
    told(tree.size % TELL_EVERY)
    return problems[:20]


def export(settings: Settings, folder: Path, told: Told) -> Exported:
    """Every record and every checkpoint, as files. Raises CannotStart."""
    keys = keys_of(settings)
    folder.mkdir(parents=True, exist_ok=True)

    async def ask(log: PostgresAuditLog) -> Exported:
        written, heads = 0, _followable([note async for note in log.notes()], keys)
        with (folder / CHECKPOINTS).open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"note": note}, ensure_ascii=False) + "\n" for note in heads)
        with (folder / RECORDS).open("w", encoding="utf-8") as file:
            async for one in log.whole():
                async for record in log.records(one.account, one.after, one.upto):
                    line = {"index": written, **_plain(record), "seal": record.seal.hex()}
                    file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
                    written += 1
                    if written % TELL_EVERY == 0:
                        told(TELL_EVERY)
        told(written % TELL_EVERY)
        (folder / KEY).write_text("\n".join(keys) + "\n", encoding="utf-8")
        return Exported(records=written, checkpoints=len(heads), folder=str(folder))

    return _on(settings, ask)


def prove(settings: Settings, account: AccountId, seq: int) -> str:
    """A tlog-proof that an event is in the log, the event with it. Raises CannotStart."""

    async def ask(log: PostgresAuditLog) -> str:
        head = await log.newest()
        if head is None:
            raise CannotStart("nothing is signed yet")
        seals, index = await _seals(log, head.size, account, seq)
        if index is None:
            raise CannotStart(f"event {seq} of {account} is not under a signed head")
        prior = chain.genesis(account)
        found: Record | None = None
        async for record in log.records(account, max(seq - 2, 0), seq):
            if record.seq == seq - 1:
                prior = record.seal
            elif record.seq == seq:
                found = record
        if found is None:
            raise CannotStart(f"event {seq} of {account} is missing")
        extra = json.dumps({**_plain(found), "prior": prior.hex()}, ensure_ascii=False, separators=(",", ":"))
        return notes.proof_text(extra.encode(), index, inclusion_proof(seals, index), head.note)

    return _on(settings, ask)


def prove_growth(settings: Settings, earlier: str) -> str:
    """The proof that the log of now grew out of the one that an earlier checkpoint tells of."""

    async def ask(log: PostgresAuditLog) -> str:
        head = await log.newest()
        try:
            old = notes.parse_checkpoint(notes.parse_note(earlier).text)
        except notes.Malformed as error:
            raise CannotStart(f"this is no checkpoint: {error}") from error
        if head is None or not 0 < old.size <= head.size:
            raise CannotStart(f"the log has no {old.size} signed records")
        seals, _ = await _seals(log, head.size)
        path = [notes.encode(one) for one in consistency_proof(seals, old.size)]
        return json.dumps({"old": earlier, "new": head.note, "path": path}, ensure_ascii=False) + "\n"

    return _on(settings, ask)


def go_on(settings: Settings, who: str, reason: str, now: datetime) -> list[str]:
    """Let all go on from what the database has, that was put back to an earlier state on purpose.

    Every stream begins anew, so that clients start over with a snapshot. Where more was published than the
    database has, or the log's key was changed since, that is set aside, not deleted: the files. Who decided
    it is recorded like a change of identity. Raises CannotStart.
    """
    folder = folder_of(settings)
    newest = _newest_published(folder)
    key, is_to_come = _on(settings, lambda log: _key_to_go_on_with(settings, log))
    is_lost = newest is not None and (is_to_come or not _on(settings, lambda log: _grew_from(log, newest)))
    said = "nothing" if newest is None else f"{newest.size} records, {newest.root.hex()}"
    facts = {"reason": reason, "who": who, "published": said, "set_aside": "yes" if is_lost else "no"}
    facts |= {} if key is None else {"key": key}

    async def note() -> None:
        async with reached(of(settings)) as dsn, connected(settings.environment, dsn) as store:
            await store.note("audit_log", "go_on", settings.log_origin, facts)
            await streams.begin_anew(dsn)

    try:
        asyncio.run(note())
        return list(_set_aside(folder, now)) if is_lost else []
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error


async def _key_to_go_on_with(settings: Settings, log: PostgresAuditLog) -> tuple[str | None, bool]:
    """The key that the log goes on with and that no head names; whether its first head is still to come.

    It may have gone on already: where nothing was published either, a gateway finds nothing wrong.
    """
    head = await log.newest()
    async with key_service.opened(settings) as service:
        keys = note_keys.KeptNoteKeys(service)
        past, origin = await keys.past(), settings.log_origin
        if head is None or not past:
            return None, False
        usable = [one.public for one in await keys.versions()]
    signed = notes.parse_note(head.note)
    if not any(notes.is_signed_by(signed, origin, public) for public in usable):
        return notes.verifier_key(origin, usable[-1]), True
    reigns = Reigns([notes.verifier_key(origin, public) for public in (*past, usable[-1])])
    async for note in log.notes():
        with suppress(notes.Malformed):
            reigns.open(note)
    return (reigns.anew[-1] if reigns.anew else None), False


def _newest_published(folder: Path) -> Checkpoint | None:
    if not (folder / NEWEST).is_file():
        return None
    return notes.parse_checkpoint(notes.parse_note((folder / NEWEST).read_text(encoding="utf-8")).text)


def _set_aside(folder: Path, now: datetime) -> Iterator[str]:
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    for file in (folder / NEWEST, folder / EVERY):
        if file.is_file():
            yield str(file.rename(file.with_name(f"{file.name}.set-aside-{stamp}")))


async def _grew_from(log: PostgresAuditLog, checkpoint: Checkpoint) -> bool:
    seals, _ = await _seals(log, checkpoint.size)
    tree = Frontier()
    for seal in seals[: checkpoint.size]:
        tree.add(seal)
    return (tree.size, tree.root()) == (checkpoint.size, checkpoint.root)


async def _seals(
    log: PostgresAuditLog, count: int, account: AccountId | None = None, seq: int = 0
) -> tuple[list[bytes], int | None]:
    """The leaves of the tree of that size, and the index of one event among them."""
    seals: list[bytes] = []
    index = None
    async for one in log.ranges():
        if one.first >= count:
            break
        seals += await log.seals(one.account, one.after, one.upto)
        if one.account == account and one.after < seq <= one.upto:
            index = one.first + seq - one.after - 1
    return seals, index


def _plain(record: Record) -> dict[str, Any]:
    return {
        "account": record.account,
        "seq": record.seq,
        "kind": record.kind,
        "version": record.version,
        "order_id": record.order_id,
        "at": (record.at - _EPOCH) // _MICROSECOND,
        "correlation": record.correlation,
        "body": record.body.decode(),
        "frame": record.frame.decode(),
    }


class _Line(msgspec.Struct):
    note: str


def _published(settings: Settings, problems: list[str]) -> list[str]:
    """The notes in their order; a line that cannot be read is a problem."""
    file = folder_of(settings) / EVERY
    if not file.is_file():
        return []
    found: list[str] = []
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            found.append(msgspec.json.decode(line, type=_Line).note)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problems.append(f"line {number} of {file} cannot be read: {error}")
    return found


def _opened(kept: Sequence[str], reigns: Reigns, problems: list[str]) -> Iterator[Checkpoint]:
    """The checkpoints, in their order, each signed by the key of its time; what is not is a problem."""
    for note in kept:
        try:
            yield reigns.open(note)
        except notes.Malformed:
            problems.append(f"a checkpoint is not signed by the key of its time: {note.splitlines()[:2]}")


def _followable(heads: list[str], keys: Sequence[str]) -> list[str]:
    """Those that a stranger can follow to the newest: all, or from where a person let the log go on under a
    later key. Each is of everything before it.
    """
    reigns, first = Reigns(keys), 0
    for number, note in enumerate(heads):
        before = len(reigns.anew)
        with suppress(notes.Malformed):
            reigns.open(note)
        first = number if len(reigns.anew) > before else first
    return heads[first:]


@asynccontextmanager
async def _log(settings: Settings) -> AsyncIterator[PostgresAuditLog]:
    async with reached(of(settings)) as dsn:
        log = await PostgresAuditLog.connect(dsn, statement_s_max=60.0)
        try:
            yield log
        finally:
            await log.close()


def _on(settings: Settings, ask: Callable[[PostgresAuditLog], Coroutine[None, None, T]]) -> T:
    async def asked() -> T:
        async with _log(settings) as log:
            return await ask(log)

    try:
        return asyncio.run(asked())
    except (Fault, OSError) as error:
        raise CannotStart(str(error)) from error
