"""Takes every durable record into the tree and signs its head, in the background, every few seconds.

Nothing waits for it: an order is never held up by a signature. But where records cannot be proved any more
nothing new is taken: `trouble` says so, and the gate refuses orders while cancels pass. It never
signs a head that contradicts one it has signed before, and repairs nothing. Where there is a newer key
the next head names it, and both sign.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from ordergate.audit import notes
from ordergate.audit.notes import Checkpoint
from ordergate.audit.tree import Frontier, consistency_proof, growth_proof
from ordergate.core.faults import AppendConflict, Fault, JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.ports.audit import AuditLog, Head, NoteKey, NoteKeys, Range, Sink
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("audit")

A_DAY_S: Final = 86_400.0


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """A head is signed after `every_s` or `records`, whichever comes first, looked at every `look_s`.

    Without a whole look for `patience_s` the audit counts as unavailable: while all is well no record is
    older than both together and under no head.
    """

    look_s: float = 1.0
    every_s: float = 5.0
    records: int = 1_000
    patience_s: float = 10.0
    publish_s_max: float = 5.0
    keys_s: float = 10.0  # how often to ask whether there is a newer key, besides before a head
    seals_at_once: int = 500  # others have a turn after about a millisecond

    @property
    def unsigned_s_max(self) -> float:
        return self.every_s + self.patience_s


class Contradiction(Fault):
    """What is stored is not what was signed. A person has to look; nothing more is signed."""


class Checkpointer:
    def __init__(
        self, origin: str, *, audit_log: AuditLog, sink: Sink, keys: NoteKeys, clock: Clock, pace: Pace
    ) -> None:
        if not notes.is_name(origin):
            raise ValueError(f"{origin!r} cannot be the name of a log")
        self._origin = origin
        self._log = audit_log
        self._sink = sink
        self._keys = keys
        self._key: NoteKey | None = None
        self._newest: NoteKey | None = None
        self._keys_at: float | None = None
        self._clock = clock
        self._pace = pace
        self._tree = Frontier()
        self._taken: dict[AccountId, int] = {}
        self._since: float | None = None
        self._whole_at: float | None = None
        self._failed: str | None = "not read yet"
        self._contradicted: str | None = None

    @property
    def size(self) -> int:
        """How many records the newest signed head covers."""
        return self._tree.size

    @property
    def trouble(self) -> str | None:
        """Why records cannot be proved now, or None."""
        if self._contradicted is not None or self._failed is not None:
            return self._contradicted or self._failed
        if self._whole_at is None or self._clock.monotonic() - self._whole_at > self._pace.patience_s:
            return "no checkpoint could be made for too long"
        return None

    async def run(self) -> None:
        """Begin where the last head ends, and go on until cancelled. Raises Fault and OSError."""
        try:
            await self._begin()
            at_once = True  # what a process left that died may have waited for hours
            while self._contradicted is None:
                await self._look_again(at_once=at_once)
                at_once = False
                await self._clock.sleep(self._pace.look_s)
            await asyncio.Event().wait()  # the past was found to be another: nothing more is signed
        except Contradiction as fault:
            self._contradicted = str(fault)
            log.critical("audit.contradiction", why=str(fault))
            await asyncio.Event().wait()  # looking again would only find the same
        except JournalUnavailable as away:  # for a moment, as when its password is changed: patience counts
            log.error("audit.unavailable", why=str(away))
            raise
        except (Fault, OSError) as fault:
            self._failed = f"{type(fault).__name__}: {fault}"
            log.error("audit.unavailable", why=self._failed)
            raise

    async def _look_again(self, *, at_once: bool = False) -> None:
        """One look; where another has signed further meanwhile, as an owner that is just being replaced
        may, nothing is unproved: its head is looked at, and gone on from.
        """
        try:
            await self.look(at_once=at_once)
        except AppendConflict as passed:
            log.warning("audit.overtaken", why=str(passed))
            await self._begin()

    async def watch_past(self) -> None:
        """Build the tree anew from every record, now and once a day, and compare."""
        while True:
            head = await self._log.newest()
            if head is not None:
                await self._compare_past(head)
            await self._clock.sleep(A_DAY_S)

    async def sign_off(self) -> None:
        """Sign for everything at once, as nothing comes after it. Raises Fault and OSError."""
        if self._contradicted is None:
            await self._begin()
            await self.look(at_once=True)

    async def look(self, *, at_once: bool = False) -> None:
        """One look: sign a new head if it is due. Raises Fault and OSError."""
        heads = await self._log.heads()
        for account, taken in self._taken.items():
            if heads.get(account, 0) < taken:
                raise Contradiction(f"{account} had {taken} records and has {heads.get(account, 0)}")
        now = self._clock.monotonic()
        pending = sum(heads.values()) - sum(self._taken.values())
        if pending == 0:
            self._since = None
        elif self._since is None:
            self._since = now
        is_late = self._since is not None and now - self._since >= self._pace.every_s
        is_due = at_once or is_late or pending >= self._pace.records
        # A new key is made before that is recorded. Whoever signed over the record without having asked would
        # name the key with the next one, and where little happens that is far away.
        if is_due or self._keys_at is None or now - self._keys_at >= self._pace.keys_s:
            self._newest, self._keys_at = (await self._keys.versions())[0], now
        if pending and (is_due or self._successor is not None):
            await self.checkpoint(heads)
        self._whole_at, self._failed = now, None

    async def checkpoint(self, heads: Mapping[AccountId, int]) -> None:
        """Take everything up to `heads` into the tree, sign, keep, publish."""
        old, tree, added, ranges = self._tree, self._tree.copy(), list[bytes](), list[Range]()
        for account in sorted(heads):
            after = self._taken.get(account, 0)
            if heads[account] > after:
                ranges.append(Range(tree.size, account, after, heads[account]))
                await self._grow(tree, account, after, heads[account], added)
        root, successor = tree.root(), self._successor
        note = await self._signed(tree.size, root, successor)
        await self._log.keep(ranges, Head(tree.size, root, tree.hashes, note, self._clock.now()))
        self._tree, self._since = tree, None
        self._taken.update({one.account: one.upto for one in ranges})
        async with asyncio.timeout(self._pace.publish_s_max):
            await self._sink.publish(note, old.size, growth_proof(old, added))
        log.info("audit.checkpoint", size=tree.size, root=root.hex())
        if successor is not None:
            await self._hand_over(successor)

    @property
    def _successor(self) -> NoteKey | None:
        """The key that the next head has to name."""
        newest, key = self._newest, self._key
        return None if newest is None or key is None or newest.public == key.public else newest

    async def _signed(self, size: int, root: bytes, successor: NoteKey | None) -> str:
        if self._key is None:  # the first head ever
            self._key = (await self._keys.versions())[0]
            successor = None
        named = None if successor is None else notes.verifier_key(self._origin, successor.public)
        text = Checkpoint(self._origin, size, root, named).text()
        note = notes.signed(text, self._origin, self._key.public, await self._key.sign(text.encode()))
        if successor is None:
            return note
        return notes.also_signed(note, self._origin, successor.public, await successor.sign(text.encode()))

    async def _hand_over(self, successor: NoteKey) -> None:
        """What names the new key is kept and published: from here on the old one signs nothing."""
        old, self._key = self._key, successor
        assert old is not None
        await self._keys.retire(old)
        log.warning("audit.key_changed", key=notes.verifier_key(self._origin, successor.public))

    async def _grow(
        self, tree: Frontier, account: AccountId, after: int, upto: int, added: list[bytes] | None = None
    ) -> None:
        while after < upto:
            page = min(after + self._pace.seals_at_once, upto)
            seals = await self._log.seals(account, after, page)
            if len(seals) != page - after:
                raise Contradiction(f"{account}: of events {after + 1} to {page} there are {len(seals)}")
            for seal in seals:
                tree.add(seal)
            if added is not None:
                added += seals
            after = page
            await asyncio.sleep(0)  # others have a turn between pages

    async def _begin(self) -> None:
        """Go on from the newest head. Another may sign further meanwhile: what was published is asked for
        first, as it was kept before that, and of the records only those under this head.

        A head from before the key was changed is gone on from where nothing is published: a person has set
        that aside. It is not published anew, so that what is begins with a head of the key in force.
        """
        published, head = await self._sink.newest(), await self._log.newest()
        self._tree, self._key, self._keys_at = Frontier(), None, None
        is_of_past_key = False
        if head is not None:
            self._tree, is_of_past_key = await self._trusted(head, is_set_aside=published is None)
        told = 0 if published is None else await self._check_published(published)
        if head is not None and head.note != published and not is_of_past_key:
            await self._sink.publish(head.note, told, await self._proof_since(told))
        self._taken = dict(await self._log.taken(self._tree.size))
        if sum(self._taken.values()) != self._tree.size:
            raise Contradiction(f"{sum(self._taken.values())} records are in a tree of {self._tree.size}")

    async def _trusted(self, head: Head, *, is_set_aside: bool) -> tuple[Frontier, bool]:
        """The tree to go on from, if it is what we signed; whether by a key that was changed since."""
        versions, past = await self._keys.versions(), await self._keys.past()
        signed, public = self._opened(head.note, [*(one.public for one in versions), *past])
        is_of_past_key = public in past
        if is_of_past_key and not is_set_aside:
            raise Contradiction(
                "the newest checkpoint of the database is signed by a key that was changed since:"
                " it was put back to an earlier state, or changed"
            )
        self._key = versions[-1] if is_of_past_key else next(one for one in versions if one.public == public)
        tree = Frontier(head.size, head.frontier)
        if (signed.size, signed.root) != (head.size, head.root) or tree.root() != head.root:
            raise Contradiction(f"the head of {head.size} records is not the one that was signed")
        for older in versions[versions.index(self._key) + 1 :]:
            await self._keys.retire(older)  # the process died in the middle of changing keys
        return tree, is_of_past_key

    async def _check_published(self, published: str) -> int:
        """How many records it is of."""
        ours = [one.public for one in await self._keys.versions()]
        told, _ = self._opened(published, [*ours, *await self._keys.past()])
        kept = None if told.size > self._tree.size else await self._log.at(told.size)
        if kept is None or kept.root != told.root:
            raise Contradiction(
                f"a head of {told.size} records was published, and the database does not have it:"
                " it was put back to an earlier state, or changed"
            )
        return told.size

    async def _proof_since(self, old: int) -> list[bytes]:
        """For what was kept and not published, when the process died between the two."""
        if not old:
            return []
        tree, seals = Frontier(), list[bytes]()
        async for one in self._log.ranges():
            await self._grow(tree, one.account, one.after, one.upto, seals)
        return consistency_proof(seals[: self._tree.size], old)

    def _opened(self, note: str, keys: Iterable[bytes]) -> tuple[Checkpoint, bytes]:
        """The checkpoint, and the first of the keys that has signed it."""
        try:
            parsed = notes.parse_note(note)
            checkpoint = notes.parse_checkpoint(parsed.text)
        except notes.Malformed as error:
            raise Contradiction(f"a kept checkpoint cannot be read: {error}") from error
        for public in keys:
            if checkpoint.origin == self._origin and notes.is_signed_by(parsed, self._origin, public):
                return checkpoint, public
        raise Contradiction("a kept checkpoint is not signed by our key")

    async def _compare_past(self, head: Head) -> None:
        try:
            await self._require_past(head)
        except Contradiction as fault:
            self._contradicted = str(fault)
            log.critical("audit.contradiction", why=self._contradicted)

    async def _require_past(self, head: Head) -> None:
        """What is stored comes to the tree that was signed. Raises Contradiction."""
        tree = Frontier()
        async for one in self._log.ranges():
            if tree.size >= head.size:
                break
            if one.first != tree.size:
                raise Contradiction(f"the records from index {tree.size} on are missing")
            await self._grow(tree, one.account, one.after, one.upto)
        if tree.size < head.size:
            raise Contradiction(f"the records from index {tree.size} on are missing")
        if tree.root() != head.root:
            raise Contradiction(f"the first {head.size} records are not those that were signed")
