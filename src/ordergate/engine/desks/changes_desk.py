"""Where changes that need two persons wait: asked for, approved, rejected, expired, in one control stream.

It keeps the order of things: who may, that it is another, that what follows is written with the yes. What a
change means to its kind, and who may see it, each kind's carrier knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from ordergate.core import two_persons
from ordergate.core.access import Principal
from ordergate.core.approvals import Change, ChangeApproved, ChangeProposed, Changes, decide_expire, pending
from ordergate.core.faults import Fault
from ordergate.core.refusals import Code, Refusal
from ordergate.core.two_persons import Kind, Wish
from ordergate.engine.desks.control_stream import ControlStream, Decide
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.journal import AnyEvent
from ordergate.telemetry.log import logger

log = logger("changes")

ENTROPY_BITS: Final = 32


class Book(Protocol):
    """Whoever folds the stream."""

    @property
    def changes(self) -> Changes: ...


class Carrier(msgspec.Struct, frozen=True):
    """`shows` says who may see a change; `carry_out` what is journalled with the yes, or why it cannot be."""

    kind: Kind
    shows: Callable[[Principal, Change], bool]
    carry_out: Callable[[Principal, Change, ChangeApproved], Sequence[AnyEvent] | Refusal]


class ChangesDesk:
    def __init__(
        self,
        stream: ControlStream,
        book: Book,
        carriers: Sequence[Carrier],
        *,
        clock: Clock,
        chance: Chance,
        unread: Callable[[], str | None],
    ) -> None:
        """`unread` says why nothing can be decided yet, if so."""
        self._stream = stream
        self._book = book
        self._carriers = {carrier.kind.name: carrier for carrier in carriers}
        self._clock = clock
        self._chance = chance
        self._unread = unread

    def changes(self, principal: Principal, *, only_pending: bool) -> list[Change]:
        """Newest first."""
        found = pending(self._book.changes) if only_pending else list(self._book.changes.values())
        seen = [change for change in found if self._shows(principal, change)]
        return sorted(seen, key=lambda change: (change.proposed.at, change.id), reverse=True)

    def change(self, principal: Principal, change_id: str) -> Change | Refusal:
        change = self._book.changes.get(change_id)
        if change is None or not self._shows(principal, change):
            return Refusal(Code.NOT_FOUND, f"there is no change {change_id}")
        return change

    async def ask(
        self, principal: Principal, kind: Kind, wish: Wish, *, correlation: str
    ) -> Change | Refusal:
        """Let it wait for another person."""

        async def decide() -> Sequence[AnyEvent] | Refusal:
            at = self._clock.now()
            asked = two_persons.decide_ask(
                self._book.changes, kind, principal, wish, change_id=self._new_id(), at=at
            )
            return asked if isinstance(asked, Refusal) else [asked]

        done = await self.recorded(decide, correlation)
        if isinstance(done, Refusal):
            return done
        (proposed,) = done
        assert isinstance(proposed, ChangeProposed)
        log.warning("change.asked", change=proposed.change_id, kind=kind.name, by=principal.subject)
        return self._book.changes[proposed.change_id]

    async def approve(
        self, principal: Principal, change_id: str, *, reason: str, correlation: str
    ) -> Change | Refusal:
        """The second person's yes; what was asked for is in force when it is answered."""

        async def decide() -> Sequence[AnyEvent] | Refusal:
            at = self._clock.now()
            found = self._found(principal, change_id)
            if isinstance(found, Refusal):
                return found
            change, carrier = found
            approved = two_persons.decide_approve(
                self._book.changes, carrier.kind, principal, change_id, at=at, reason=reason
            )
            if isinstance(approved, Refusal):
                return approved
            made = carrier.carry_out(principal, change, approved)
            return made if isinstance(made, Refusal) else [approved, *made]

        return await self._settled(decide, principal, change_id, correlation)

    async def reject(
        self, principal: Principal, change_id: str, *, reason: str, correlation: str
    ) -> Change | Refusal:
        """Anybody's no who has a say in it, the asker's own included."""

        async def decide() -> Sequence[AnyEvent] | Refusal:
            at = self._clock.now()
            found = self._found(principal, change_id)
            if isinstance(found, Refusal):
                return found
            change, carrier = found
            rejected = two_persons.decide_reject(
                self._book.changes, carrier.kind, principal, change.id, at=at, reason=reason
            )
            return rejected if isinstance(rejected, Refusal) else [rejected]

        return await self._settled(decide, principal, change_id, correlation)

    async def expire(self) -> None:
        """Write down what nobody approved in time. Raises Fault."""
        if decide_expire(self._book.changes, self._clock.now()):
            await self._stream.record(self._expiring, "expiry")

    async def recorded(self, decide: Decide, correlation: str) -> Sequence[AnyEvent] | Refusal:
        """Write a decision into the stream; that it is not known to be durable is a refusal."""
        if (unread := self._unread()) is not None:
            return Refusal(Code.NOT_READY, unread)
        try:
            return await self._stream.record(decide, correlation)
        except Fault as fault:
            log.error("change.unrecorded", why=str(fault))
            return Refusal(Code.UNAVAILABLE, "not known to be durable; look before you ask again")

    async def _expiring(self) -> Sequence[AnyEvent]:
        return decide_expire(self._book.changes, self._clock.now())

    async def _settled(
        self, decide: Decide, principal: Principal, change_id: str, correlation: str
    ) -> Change | Refusal:
        done = await self.recorded(decide, correlation)
        if isinstance(done, Refusal):
            return done
        change = self._book.changes[change_id]
        log.warning("change.settled", change=change_id, state=change.state, by=principal.subject)
        return change

    def _found(self, principal: Principal, change_id: str) -> tuple[Change, Carrier] | Refusal:
        change = self.change(principal, change_id)
        if isinstance(change, Refusal):
            return change
        return change, self._carriers[change.proposed.subject]

    def _shows(self, principal: Principal, change: Change) -> bool:
        carrier = self._carriers.get(change.proposed.subject)
        return carrier is not None and carrier.shows(principal, change)

    def _new_id(self) -> str:
        return change_id(self._clock, self._chance)


def change_id(clock: Clock, chance: Chance) -> str:
    """A name for a change; in the order of time."""
    return f"chg-{int(clock.now().timestamp() * 1000):012x}-{chance.bits(ENTROPY_BITS):08x}"
