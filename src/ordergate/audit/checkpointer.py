"""Takes every durable record into the tree and signs its head, in the background, every few seconds.

Nothing waits for it: an order is never held up by a signature. But where records cannot be proved any more
nothing new is taken: `trouble` says so, and the gate refuses orders while cancels pass. It never
signs a head that contradicts one it has signed before, and repairs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ordergate.audit import notes
from ordergate.audit.notes import Checkpoint
from ordergate.audit.tree import Frontier
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId
from ordergate.ports.audit import AuditLog, Head, NoteKey, Range, Sink
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("audit")

A_DAY_S: Final = 86_400.0


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """A head is signed after `every_s` or `records`, whichever comes first, looked at every `look_s`.

    Without a whole look for `patience_s` the audit counts as unavailable.
    """

    look_s: float = 1.0
    every_s: float = 5.0
    records: int = 1_000
    patience_s: float = 10.0
    publish_s_max: float = 5.0
    seals_at_once: int = 500  # others have a turn after about a millisecond


class Contradiction(Fault):
    """What is stored is not what was signed. A person has to look; nothing more is signed."""


class Checkpointer:
    def __init__(
        self, origin: str, *, audit_log: AuditLog, sink: Sink, key: NoteKey, clock: Clock, pace: Pace
    ) -> None:
        if not notes.is_name(origin):
            raise ValueError(f"{origin!r} cannot be the name of a log")
        self._origin = origin
        self._log = audit_log
        self._sink = sink
        self._key = key
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
            while True:
                await self.look()
                await self._clock.sleep(self._pace.look_s)
        except Contradiction as fault:
            self._contradicted = str(fault)
            log.critical("audit.contradiction", why=str(fault))
            await asyncio.Event().wait()  # looking again would only find the same
        except (Fault, OSError) as fault:
            self._failed = f"{type(fault).__name__}: {fault}"
            log.error("audit.unavailable", why=self._failed)
            raise

    async def watch_past(self) -> None:
        """Build the tree anew from every record, now and once a day, and compare."""
        while True:
            head = await self._log.newest()
            if head is not None:
                await self._compare_past(head)
            await self._clock.sleep(A_DAY_S)

    async def look(self) -> None:
        """One look: sign a new head if it is due. Raises Fault and OSError."""
        heads = await self._log.heads()
        for account, taken in self._taken.items():
            if heads.get(account, 0) < taken:
                raise Contradiction(f"{account} had {taken} records and has {heads.get(account, 0)}")
        now = self._clock.monotonic()
        pending = sum(heads.values()) - sum(self._taken.values())
        if pending == 0:
            self._since = None
        else:
            self._since = now if self._since is None else self._since
            if pending >= self._pace.records or now - self._since >= self._pace.every_s:
                await self.checkpoint(heads)
        self._whole_at, self._failed = now, None

    async def checkpoint(self, heads: Mapping[AccountId, int]) -> None:
        """Take everything up to `heads` into the tree, sign, keep, publish."""
        tree = self._tree.copy()
        ranges = []
        for account in sorted(heads):
            after = self._taken.get(account, 0)
            if heads[account] > after:
                ranges.append(Range(tree.size, account, after, heads[account]))
                await self._grow(tree, account, after, heads[account])
        root = tree.root()
        text = Checkpoint(self._origin, tree.size, root).text()
        signature = await self._key.sign(text.encode())
        note = notes.signed(text, self._origin, self._key.public, signature)
        await self._log.keep(ranges, Head(tree.size, root, tree.hashes, note, self._clock.now()))
        self._tree, self._since = tree, None
        self._taken.update({one.account: one.upto for one in ranges})
        async with asyncio.timeout(self._pace.publish_s_max):
            await self._sink.publish(note)
        log.info("audit.checkpoint", size=tree.size, root=root.hex())

    async def _grow(self, tree: Frontier, account: AccountId, after: int, upto: int) -> None:
        while after < upto:
            page = min(after + self._pace.seals_at_once, upto)
            seals = await self._log.seals(account, after, page)
            if len(seals) != page - after:
                raise Contradiction(f"{account}: of events {after + 1} to {page} there are {len(seals)}")
            for seal in seals:
                tree.add(seal)
            after = page
            await asyncio.sleep(0)  # others have a turn between pages

    async def _begin(self) -> None:
        head, published = await self._log.newest(), await self._sink.newest()
        self._tree = Frontier()
        if head is not None:
            self._tree = self._trusted(head)
        if published is not None:
            await self._check_published(published)
        if head is not None and head.note != published:
            await self._sink.publish(head.note)
        self._taken = dict(await self._log.taken())
        if sum(self._taken.values()) != self._tree.size:
            raise Contradiction(f"{sum(self._taken.values())} records are in a tree of {self._tree.size}")

    def _trusted(self, head: Head) -> Frontier:
        """The tree to go on from, if it is what we signed."""
        signed = self._signed_by_us(head.note)
        tree = Frontier(head.size, head.frontier)
        if (signed.size, signed.root) != (head.size, head.root) or tree.root() != head.root:
            raise Contradiction(f"the head of {head.size} records is not the one that was signed")
        return tree

    async def _check_published(self, published: str) -> None:
        told = self._signed_by_us(published)
        kept = None if told.size > self._tree.size else await self._log.at(told.size)
        if kept is None or kept.root != told.root:
            raise Contradiction(
                f"a head of {told.size} records was published, and the database does not have it:"
                " it was put back to an earlier state, or changed"
            )

    def _signed_by_us(self, note: str) -> Checkpoint:
        try:
            parsed = notes.parse_note(note)
            checkpoint = notes.parse_checkpoint(parsed.text)
        except notes.Malformed as error:
            raise Contradiction(f"a kept checkpoint cannot be read: {error}") from error
        wanted = notes.key_id(self._origin, self._key.public)
        public = Ed25519PublicKey.from_public_bytes(self._key.public)
        for name, key, signature in parsed.signatures:
            if (name, key) == (self._origin, wanted) and checkpoint.origin == self._origin:
                try:
                    public.verify(signature, parsed.text.encode())
                except InvalidSignature:
                    break
                return checkpoint
        raise Contradiction("a kept checkpoint is not signed by our key")

    async def _compare_past(self, head: Head) -> None:
        tree = Frontier()
        async for one in self._log.ranges():
            if tree.size >= head.size:
                break
            if one.first != tree.size:
                self._contradicted = f"the records from index {tree.size} on are missing"
                break
            await self._grow(tree, one.account, one.after, one.upto)
        if tree.size == head.size and tree.root() != head.root:
            self._contradicted = f"the first {head.size} records are not those that were signed"
        if self._contradicted is not None:
            log.critical("audit.contradiction", why=self._contradicted)
