"""The writer's connection to the simulated server: the real session's words, without a wire.

Here the answers to commits get lost, statements are refused, and processes die around a commit. The
real writer speaks through it and must come out right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from ordergate.core.faults import AppendConflict, Fault, JournalUnavailable, KeyTaken, StaleEpoch
from ordergate.core.ids import AccountId
from ordergate.core.orders.events import OrderAccepted
from ordergate.journal.session import (
    NOT_ADVANCED,
    READ_ONLY,
    UNIQUE_VIOLATION,
    Backend,
    Lost,
    Refused,
    Session,
)
from ordergate.journal.tails import Linked
from ordergate.ports.journal import Taken
from ordergate.simulation.database import Process, Server
from ordergate.simulation.plan import Strike

T = TypeVar("T")

STATEMENT_S_MAX: Final = 10.0
_EPOCH: Final = datetime(2026, 1, 5, tzinfo=UTC)
_SERIALIZATION: Final = "40001"
_IO_ERROR: Final = "58030"
_DATA_FAULT: Final = "22000"
_LOST_BELOW: Final = 0.6  # failovers of a larger dose come when the standby has the statement
_FOR_UNITS_IN_TURN: Final = 0.4  # strikes of a smaller dose wait for several units of one account


async def open_session(server: Server, process: Process, previous: Backend | None) -> Session:
    """Connect and get the fence. Raises FenceHeld or JournalUnavailable."""
    await server.fence(previous)
    session = SimSession(server, process)
    server.holder = session
    return session


class SimSession(Session):
    """The writer's connection; the same words as the real one, and none of its wire."""

    def __init__(self, server: Server, process: Process) -> None:
        pid = server.next_pid()
        self.backend = Backend(pid, _EPOCH + timedelta(seconds=server.loop.time()), process.name)
        self.process = process
        self._server = server
        self._broken = False
        self._ended = False
        self._under_way: Callable[[], None] | None = None
        self._on_end: list[Callable[[], None]] = []
        self._answer: asyncio.Future[Any] | None = None

    @property
    def closed(self) -> bool:
        return self._broken

    def on_end(self, call: Callable[[], None]) -> None:
        self._on_end.append(call)

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        """The connection is gone for us; the backend ends when the server sees it."""
        self._break("aborted")
        self._server.later(self._server.trip_s() * 4, self.end_backend)

    def end_backend(self) -> None:
        """Its last statement is decided, then it is gone, and the fence with it."""
        if self._ended:
            return
        self._ended = True
        if self._under_way is not None:
            self._under_way()
        self._break("the backend has ended")
        if self._server.holder is self:
            self._server.holder = None

    def lose_server(self) -> None:
        """Its server is gone: nothing that was under way there is decided any more."""
        self._ended, self._under_way = True, None
        self._break("the server is gone")

    # -- statements

    async def append(self, batch: Sequence[Linked]) -> None:
        self._die_in_commit(batch)
        await self._request(lambda: self._run_append(batch), batch, writes=True)

    async def take(self, account: AccountId) -> tuple[Taken, bytes]:
        def run() -> tuple[Taken, bytes]:
            taken = self._server.take(account, self.process)
            if self._server.weather.strike("C17") is not None:
                self._server.weather.seen("C17", f"{account} epoch {taken[0].epoch}")
                self.process.die("C17", "while taking an account")
            return taken

        return await self._request(run, (), writes=True)

    async def is_written(self, linked: Linked) -> bool | None:
        def run() -> bool | None:
            if linked.sealed:
                events = self._server.store.books[linked.unit.account].events
                return len(events) >= linked.head and events[linked.head - 1][1].hash == linked.last_hash
            receipt = linked.unit.receipt
            return None if receipt is None else self._server.store.receipts.get(receipt.scope) == receipt

        return await self._request(run, ())

    async def prove_replicated(self) -> None:
        """A new primary has to say that its own standby follows; the first one's always has."""
        if self._server.failover.term > 1:
            await self._request(lambda: None, ())

    async def why(self, linked: Linked, refused: Refused) -> Fault:
        if refused.sqlstate == UNIQUE_VIOLATION:
            return KeyTaken(str(refused))
        if refused.sqlstate != NOT_ADVANCED:
            return JournalUnavailable(f"PostgreSQL refused the unit ({refused.sqlstate}): {refused}")

        def run() -> Fault:
            books = self._server.store.books[linked.unit.account]
            if books.epoch != linked.unit.epoch:
                return StaleEpoch(f"{linked.unit.account} was taken by another owner")
            return AppendConflict(f"{linked.unit.account} stands at {len(books.events)}")

        return await self._request(run, ())

    def _run_append(self, batch: Sequence[Linked]) -> None:
        weather = self._server.weather
        in_turn = len(batch) > 1 and len({linked.unit.account for linked in batch}) == 1
        undone = weather.strike("D2", above=0.0 if in_turn else _FOR_UNITS_IN_TURN)
        if undone is not None:
            weather.seen("D2")
            if undone.dose < _FOR_UNITS_IN_TURN:
                raise Refused(_DATA_FAULT, None, "a value of one of the units was refused")
            raise Refused(_SERIALIZATION, None, "could not serialize access")
        refusing = weather.spell("D4")
        if refusing is not None:
            weather.seen("D4")
            sqlstate = READ_ONLY if refusing.dose < 0.5 else _IO_ERROR
            raise Refused(sqlstate, None, "cannot write now")
        fault = self._server.write(batch)
        if isinstance(fault, KeyTaken):
            constraint = "order_view_client" if "client order id" in str(fault) else "receipt_pkey"
            raise Refused(UNIQUE_VIOLATION, constraint, str(fault))
        if fault is not None:
            raise Refused(NOT_ADVANCED, None, str(fault))

    async def _request(self, run: Callable[[], T], batch: Sequence[Linked], *, writes: bool = False) -> T:
        """Send a statement; its result, what it refused, or Lost."""
        if not self.process.alive:
            await asyncio.Event().wait()  # a process that died a moment ago says nothing more
        if self._broken:
            raise Lost("the connection is closed")
        answer: asyncio.Future[T] = self._server.loop.create_future()
        self._answer = answer
        self._send(answer, run, batch, writes)
        try:
            async with asyncio.timeout(STATEMENT_S_MAX):
                return await answer
        except TimeoutError as late:
            self._break("no answer")
            raise Lost("no answer in time") from late
        finally:
            self._answer = None

    def _send(
        self, answer: asyncio.Future[T], run: Callable[[], T], batch: Sequence[Linked], writes: bool
    ) -> None:
        server = self._server
        decide = self._statement(answer, run, batch)
        self._under_way = decide
        if writes and (failover := server.failover.next()) is not None:
            server.later(server.trip_s(), lambda: self._fail_over(failover, decide, run))
            return
        lost = server.weather.strike("D1") if batch else None
        if lost is not None:
            server.weather.seen("D1", f"dose {lost.dose}")
            if lost.dose < 0.4:  # it never arrives
                self._under_way = None
            elif lost.dose < 0.7:  # decided, and nobody hears of it
                server.later(server.trip_s(), decide)
            # else it is still under way when the next session comes, and decided by its end
            server.later(2.5 * server.trip_s(), lambda: self._break("reset by peer"))
            return
        wait = server.trip_s()
        slow = server.weather.spell("D5")
        if slow is not None:
            server.weather.seen("D5", "a statement")
            wait += min(1.0 + 30.0 * slow.dose**4, 30.0)
        if server.unreachable:
            server.weather.seen("N1", "a statement met a dead line")
            self._under_way = None
            return
        server.later(wait, decide)

    def _statement(
        self, answer: asyncio.Future[T], run: Callable[[], T], batch: Sequence[Linked]
    ) -> Callable[[], None]:
        """Decides the statement, once, and sends what came of it back."""

        def decide() -> None:
            if self._under_way is not decide:
                return
            self._under_way = None
            found: T | Refused
            try:
                found = run()
            except Refused as refused:
                found = refused
            self._server.later(self._server.trip_s(), lambda: self._answered(answer, found, batch))

        return decide

    def _fail_over(self, strike: Strike, decide: Callable[[], None], run: Callable[[], object]) -> None:
        """D3: the primary has written it, and is gone before it could say so.

        What it had not passed on yet is lost with it, unless the standby had it just then. In a healed
        world nothing happens to it, and a backend that has ended has decided it already.
        """
        server = self._server
        if self._under_way is not decide or server.weather.healed:
            decide()
            return
        if kept := strike.dose >= _LOST_BELOW:
            with suppress(Refused):
                run()
        server.weather.seen("D3", "the standby had it" if kept else "lost with the primary")
        server.fail_over(strike)

    def _answered(self, answer: asyncio.Future[T], found: T | Refused, batch: Sequence[Linked]) -> None:
        if self._broken or answer.done():
            return
        if batch and not isinstance(found, Refused):
            self._die_after_commit(batch)
        if isinstance(found, Refused):
            answer.set_exception(found)
        else:
            answer.set_result(found)
            if any(is_order(linked) for linked in batch):
                self._server.at_the_door.pop(self.process.name, lambda: None)()

    def _break(self, why: str) -> None:
        if self._broken:
            return
        self._broken = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Lost(why))
        for call in self._on_end:
            call()

    # -- deaths around a commit

    def _die_in_commit(self, batch: Sequence[Linked]) -> None:
        """Death with the statement on its way: the server decides it all the same, or never gets it."""
        weather = self._server.weather
        for fault, concerns in (("C2", has_receipt), ("C9", is_outcome), ("C12", is_reconciliation)):
            if not any(concerns(linked) for linked in batch):
                continue
            if (strike := weather.strike(fault)) is not None:
                if strike.dose < 0.5:
                    self._under_way = lambda: self._write(batch)
                weather.seen(fault, "applied" if strike.dose < 0.5 else "not applied")
                self.process.die(fault, "while a statement was on its way")
                return

    def _write(self, batch: Sequence[Linked]) -> None:
        self._server.write(batch)

    def _die_after_commit(self, batch: Sequence[Linked]) -> None:
        """Death with the commit's answer at the door."""
        weather = self._server.weather
        for fault, concerns in (("C3", has_receipt), ("C10", is_outcome)):
            if any(concerns(linked) for linked in batch) and weather.strike(fault) is not None:
                weather.seen(fault, f"{len(batch)} units")
                self.process.die(fault, "after a commit")
                return


def has_receipt(linked: Linked) -> bool:
    return linked.unit.receipt is not None


def is_order(linked: Linked) -> bool:
    """True of a unit after which an order leaves."""
    return any(isinstance(entry.event, OrderAccepted) for entry in linked.unit.entries)


def is_outcome(linked: Linked) -> bool:
    return _correlation(linked).startswith("dispatch.")


def is_reconciliation(linked: Linked) -> bool:
    return _correlation(linked) == "reconciliation"


def _correlation(linked: Linked) -> str:
    entries = linked.unit.entries
    return entries[0].correlation if entries else ""
