"""Group commit: one task, one connection, one statement for whatever waits.

While a statement is under way, units gather; the next statement carries them all. A batch is
written whole or not at all. A refused batch is tried again by account, and an account's part unit by
unit, so that one account's fault stays its own. An answer that was lost is never assumed: the
batch waits in doubt until a new session, which cannot begin before the old one has ended, has looked; and
what it finds counts once a synchronous standby, where there is one, is known to have it. A look-up that
PostgreSQL refuses has found nothing: it is made again by another session, after a growing wait.

The writer does not end before it is closed. On a fault of our own it fails what waits, drops the session and
begins anew, and every account is taken and folded again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from ordergate.core.faults import Fault, JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.journal.session import (
    NOT_ADVANCED,
    READ_ONLY,
    TRY_AGAIN,
    UNIQUE_VIOLATION,
    Backend,
    FenceHeld,
    Lost,
    Refused,
    Session,
)
from ordergate.journal.tails import Tails
from ordergate.journal.waiting import Append, Take, fail, failed_already, split
from ordergate.ports.journal import Committed as Durable
from ordergate.ports.journal import Taken, Unit
from ordergate.telemetry import failpoints
from ordergate.telemetry.log import logger

log = logger("journal")

OpenSession = Callable[[Backend | None], Awaitable[Session]]

_SPLIT_ON: Final = (NOT_ADVANCED, UNIQUE_VIOLATION)
_DATA_FAULT: Final = "22"


class Limits(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`patience_s_max` is how long units wait for a lost PostgreSQL before they are failed.

    `linger_s` is how long units that nobody waits for are kept, to share the next statement.
    """

    queued_units_max: int = 16_384
    batch_units_max: int = 512
    batch_bytes_max: int = 4 * 1024 * 1024
    attempts_max: int = 3
    statement_s_max: float = 10.0
    fence_s_max: float = 5.0
    patience_s_max: float = 5.0
    backoff_s_min: float = 0.05
    backoff_s_max: float = 2.0
    drain_s_max: float = 10.0
    linger_s: float = 0.002


class Committed(msgspec.Struct, frozen=True, gc=False):
    """One batch that became durable, for the metrics."""

    units: int
    events: int
    bytes: int
    seconds: float


class Writer:
    """The only thing that writes events."""

    def __init__(
        self,
        open_session: OpenSession,
        limits: Limits,
        *,
        on_committed: Callable[[Committed], None] | None = None,
    ) -> None:
        self._open = open_session
        self._limits = limits
        self._on_committed = on_committed
        self._tails = Tails()
        self._waiting: deque[Append | Take] = deque()  # bounded by _admit
        self._parts: deque[list[Append]] = deque()  # parts of refused batches, before everything else
        self._doubt: list[Append] = []
        self._wake = asyncio.Event()
        self._hurried = False
        self._lingering: asyncio.TimerHandle | None = None
        self._session: Session | None = None
        self._previous: Backend | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._backoff_s = 0.0
        self._lost_at: float | None = None
        self._fault: Exception | None = None
        self.displaced = False

    @property
    def connected(self) -> bool:
        """Whether it can write: it runs, and its session stands."""
        running = self._task is not None and not self._task.done()
        return running and self._session is not None and not self._session.closed

    @property
    def queued(self) -> int:
        return len(self._waiting)

    @property
    def room(self) -> int:
        return self._limits.queued_units_max - len(self._waiting)

    async def start(self) -> None:
        """Get the fence and begin. Raises JournalUnavailable, also when another gateway holds it."""
        self._begin(await self._open(None))
        self._task = asyncio.create_task(self._run(), name="journal writer")

    def append(self, unit: Unit) -> Durable:
        self._admit()
        done: Durable = asyncio.get_running_loop().create_future()
        linked = self._tails.link(unit)
        if isinstance(linked, Fault):
            done.set_exception(linked)
        else:
            self._waiting.append(Append(linked, done))
            if not unit.patient:
                self._hurry()
            elif not self._hurried and self._lingering is None:
                self._lingering = done.get_loop().call_later(self._limits.linger_s, self._hurry)
        return done

    async def take(self, account: AccountId) -> Taken:
        self._admit()
        done: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._waiting.append(Take(account, done))
        self._hurry()
        return await done

    async def close(self) -> None:
        """Write what waits, within the drain's bound, and give the fence back."""
        self._closing = True
        self._hurry()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=self._limits.drain_s_max)
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._session is not None:
            await self._session.close()
        if self._fault is not None:
            raise self._fault  # a fault of our own is nobody's secret

    def _admit(self) -> None:
        if self._closing or self._task is None or self._task.done():
            raise JournalUnavailable("the journal's writer is not running")
        if len(self._waiting) >= self._limits.queued_units_max:
            raise JournalUnavailable(f"{len(self._waiting)} units wait to be written already")

    async def _run(self) -> None:
        try:
            while not (self._closing and self._idle):
                try:
                    await self._go_on()
                except Exception as fault:  # whatever it was, the process must not keep a fence and not write
                    log.critical("journal.writer_failed", why=repr(fault))
                    self._fault = fault
                    self._abandon(JournalUnavailable("the journal's writer failed, and begins anew"))
                    await self._leave()
        finally:
            self._abandon(JournalUnavailable("the journal's writer has ended"))

    async def _go_on(self) -> None:
        if self._session is None or self._session.closed:
            await self._reconnect()
        elif self._idle:
            self._hurried = False
            self._wake.clear()
            await self._wake.wait()
        else:
            await self._next(self._session)

    @property
    def _idle(self) -> bool:
        return not (self._hurried and self._waiting) and not self._parts and not self._doubt

    def _hurry(self) -> None:
        """Write what waits."""
        self._hurried = True
        self._wake.set()
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None

    async def _next(self, session: Session) -> None:
        """The next thing to do on a connection that stands."""
        looks_up = bool(self._doubt)
        try:
            if self._doubt:
                await self._settle(session)
            elif self._parts:
                await self._write(session, self._parts.popleft())
            elif isinstance(first := self._waiting[0], Take):
                await self._take(session, first)
            else:
                await self._write(session, self._gather())
        except (Lost, Refused) as fault:  # what is refused here is a look-up
            session.abort()
            if looks_up:
                log.error("journal.not_looked_up", why=str(fault))
                if self._is_out_of_patience():
                    self._abandon(JournalUnavailable(f"what was written cannot be looked up: {fault}"))
                await self._leave()

    def _gather(self) -> list[Append]:
        """Whatever waits, up to a batch's bounds or the next change of owner."""
        units_max, bytes_max = self._limits.batch_units_max, self._limits.batch_bytes_max
        batch: list[Append] = []
        size = 0
        while self._waiting and len(batch) < units_max and size < bytes_max:
            item = self._waiting[0]
            if isinstance(item, Take):
                break
            self._waiting.popleft()
            batch.append(item)
            size += item.linked.size
        self._hurried = bool(self._waiting)
        return batch

    async def _write(self, session: Session, batch: list[Append]) -> None:
        batch = [item for item in batch if item.linked.tail.fault is None or not failed_already(item)]
        if not batch:
            return
        begun = asyncio.get_running_loop().time()
        self._doubt = batch
        failpoints.reach("C1")
        try:
            await session.append([item.linked for item in batch])
        except Refused as refused:
            self._doubt = []
            await self._refused(session, batch, refused)
        else:
            self._succeed(asyncio.get_running_loop().time() - begun)

    def _succeed(self, seconds: float) -> None:
        batch, self._doubt = self._doubt, []
        failpoints.reach("C3")
        for item in batch:
            if not item.done.done():
                item.done.set_result(item.linked.sealed)
        if self._on_committed is not None:
            linked = [item.linked for item in batch]
            events = sum([len(one.sealed) for one in linked])
            size = sum([one.size for one in linked])
            self._on_committed(Committed(len(batch), events, size, seconds))

    async def _refused(self, session: Session, batch: list[Append], refused: Refused) -> None:
        """Nothing of the batch was written: find whose fault it is."""
        if refused.sqlstate in TRY_AGAIN and self._may_try_again(batch):
            self._parts.appendleft(batch)
        elif len(batch) == 1:
            self._doubt = batch  # should the answer to "why" be lost, the unit is looked up
            why = await session.why(batch[0].linked, refused)
            self._doubt = []
            fail(batch[0], why)
        elif refused.sqlstate in _SPLIT_ON or refused.sqlstate.startswith(_DATA_FAULT):
            self._parts.extendleft(reversed(split(batch)))
        else:
            fault = JournalUnavailable(f"PostgreSQL refused to write ({refused.sqlstate}): {refused}")
            for item in batch:
                fail(item, fault)
        self._leave_a_standby(session, refused)

    def _leave_a_standby(self, session: Session, refused: Refused) -> None:
        """A server that only reads is not, or is no longer, the primary: another connection may find that."""
        if refused.sqlstate == READ_ONLY:
            session.abort()

    async def _take(self, session: Session, item: Take) -> None:
        try:
            taken, last_hash = await session.take(item.account)
        except Refused as refused:
            self._waiting.popleft()
            if not item.done.done():
                item.done.set_exception(JournalUnavailable(f"{item.account} cannot be taken: {refused}"))
            self._leave_a_standby(session, refused)
            return
        self._waiting.popleft()
        self._tails.take(item.account, taken, last_hash)
        if not item.done.done():
            item.done.set_result(taken)

    async def _settle(self, session: Session) -> None:
        """The old session has ended, so its last batch is either there or not, for good."""
        written = None
        for item in self._doubt:
            written = await session.is_written(item.linked)
            if written is not None:
                break  # all or nothing: one witness speaks for the batch
        if written:
            await self._until_replicated(session)
            self._succeed(0.0)
            return
        self._settled()
        batch, self._doubt = self._doubt, []
        if self._may_try_again(batch):
            self._parts.appendleft(batch)
            return
        for item in batch:
            fail(item, JournalUnavailable("PostgreSQL was lost again and again while this was written"))

    async def _until_replicated(self, session: Session) -> None:
        """It is here, and still in doubt. Out of patience it is failed; taking its account waits as well."""
        try:
            await session.prove_replicated()
        except Lost:
            if self._is_out_of_patience():
                self._abandon(JournalUnavailable("written, and no synchronous standby is known to have it"))
            raise
        self._settled()

    def _is_out_of_patience(self) -> bool:
        if self._lost_at is None:
            return False
        return asyncio.get_running_loop().time() - self._lost_at >= self._limits.patience_s_max

    def _may_try_again(self, batch: list[Append]) -> bool:
        for item in batch:
            item.attempts += 1
        return all(item.attempts < self._limits.attempts_max for item in batch)

    async def _reconnect(self) -> None:
        """One try to get PostgreSQL back. Out of patience, what waits is failed; trying goes on."""
        now = asyncio.get_running_loop().time()
        self._session = None
        if self._lost_at is None:
            self._lost_at = now
        if self._closing:
            self._abandon(JournalUnavailable("the journal closed while PostgreSQL was away"))
            return
        try:
            self._begin(await self._open(self._previous))
        except JournalUnavailable as fault:
            self.displaced = self.displaced or isinstance(fault, FenceHeld)
            if self._is_out_of_patience():
                self._abandon(fault)
            await self._wait()

    async def _leave(self) -> None:
        """Drop the session, and wait before the next: a connection that comes back does not end the fault."""
        if self._session is not None:
            self._session.abort()
        self._session = None
        if not self._closing:
            await self._wait()

    async def _wait(self) -> None:
        self._wake.clear()
        longer = max(2 * self._backoff_s, self._limits.backoff_s_min)
        self._backoff_s = min(longer, self._limits.backoff_s_max)
        await asyncio.sleep(self._backoff_s)

    def _settled(self) -> None:
        """Nothing is in doubt any more."""
        self._lost_at = None
        self._backoff_s = 0.0

    def _begin(self, session: Session) -> None:
        self._session, self._previous, self.displaced = session, session.backend, False
        if not self._doubt:
            self._settled()
        session.on_end(self._wake.set)

    def _abandon(self, fault: JournalUnavailable) -> None:
        """Fail everything. What is in doubt stays unknown: its accounts must be taken and folded again."""
        self._tails.fail_all(fault)
        for item in itertools.chain(self._doubt, *self._parts, self._waiting):
            if not item.done.done():
                item.done.set_exception(fault)
        self._doubt = []
        self._parts.clear()
        self._waiting.clear()
