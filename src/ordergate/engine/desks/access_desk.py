"""Where roles are given and taken: two persons give, one takes away. Keys of programs wait here too.

A role that is taken, or a subject that is kept out, holds at once; one that is given waits for another
person, who is not the one who gets it. What was approved is carried out once, however often this starts.
Only the principal's own tenant is ever seen or touched. It proves nobody's identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ordergate.core import approvals
from ordergate.core.access import Principal, Role, Scope
from ordergate.core.approvals import Change, ChangeApproved, ChangeEvent, Changes, State
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, Env
from ordergate.core.refusals import Code, Refusal
from ordergate.core.tenancy import Access, Assignment, Reach, Subject, misfit
from ordergate.core.two_persons import KEY, ROLE, Wish, same_person
from ordergate.engine.desks.changes_desk import Carrier, ChangesDesk
from ordergate.engine.desks.control_stream import ControlStream
from ordergate.engine.desks.programs_desk import ProgramBook, ProgramsDesk
from ordergate.ports.access import AccessBook
from ordergate.ports.audience import Audience
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.journal import AnyEvent, Journal
from ordergate.telemetry.log import logger

log = logger("access")

TICK_S: Final = 1.0
UNREAD: Final = "the changes of access have not been read yet"


class AssignmentView(msgspec.Struct, frozen=True):
    role: Role
    reach: Reach
    of: str


class SubjectView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with roles; `version` grows with every change of what it may do."""

    subject: str
    version: int
    enabled: bool
    roles: tuple[AssignmentView, ...]


class AccountView(msgspec.Struct, frozen=True):
    account_id: str
    desk: str | None


class TenantView(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    desks: tuple[str, ...]
    accounts: tuple[AccountView, ...]


class _Fold:
    """Implements `engine.control_stream.Fold`."""

    def __init__(self) -> None:
        self.changes: Changes = {}

    def begin(self) -> None:
        self.changes = {}

    def take(self, event: AnyEvent) -> None:
        if isinstance(event, ChangeEvent):
            self.changes = approvals.evolve(self.changes, event)

    def end(self) -> None: ...


class AccessDesk:
    """One for each process. `keep` is a part for the supervisor."""

    def __init__(
        self,
        env: Env,
        book: AccessBook,
        programs: ProgramBook,
        *,
        journal: Journal,
        audience: Audience,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._env = env
        self._book = book
        self._clock = clock
        self._fold = _Fold()
        self._stream = ControlStream(stream_of(env), journal, audience, self._fold)
        self._carried_out: set[str] = set()
        self._changes = ChangesDesk(
            self._stream,
            self._fold,
            [Carrier(ROLE, _shows, self._checked), Carrier(KEY, _shows, self._program_checked)],
            clock=clock,
            chance=chance,
            unread=lambda: None if self._stream.known else UNREAD,
        )
        self.changes = self._changes.changes
        self.change = self._changes.change
        self.reject = self._changes.reject
        self.programs = ProgramsDesk(env, programs, clock, self._changes.ask)

    async def keep(self) -> None:
        """Read what is decided, carry it out, and let expire what nobody approved. Raises Fault."""
        await self._stream.recover()
        while True:
            for change in tuple(self._fold.changes.values()):
                await self._carry_out(change)
            await self._changes.expire()
            await self._clock.sleep(TICK_S)

    # What is there

    def tenant(self, principal: Principal) -> TenantView:
        access = self._book.access
        return TenantView(
            tenant=principal.tenant,
            desks=tuple(desk.name for desk in access.desks if desk.tenant == principal.tenant),
            accounts=tuple(
                AccountView(place.account, place.desk)
                for place in access.accounts
                if place.tenant == principal.tenant
            ),
        )

    def subjects(self, principal: Principal) -> list[SubjectView]:
        """Everybody of the tenant who has, or ever had, a role."""
        access = self._book.access
        return [_view(access, one) for one in access.subjects if one.tenant == principal.tenant]

    def roles_of(self, principal: Principal) -> tuple[AssignmentView, ...]:
        """Those that the principal has been given: a person, a program, or somebody of another issuer.

        Nothing of a subject that never had any, whose token and key alone bound it.
        """
        return _roles(self._book.access, principal.tenant, principal.subject)

    # Changing it

    async def ask(
        self, principal: Principal, assignment: Assignment, *, reason: str, correlation: str
    ) -> Change | Refusal:
        """Ask another person to give somebody a role."""
        access = self._book.access
        no = misfit(self._env, access, assignment) if _is_of(principal, assignment) else _FOREIGN
        if no is not None:
            return no
        if assignment in access.assignments:
            return Refusal(Code.NOTHING_TO_CHANGE, f"{assignment.subject} has that role already")
        where = f"{assignment.reach} {assignment.of}".rstrip()
        wish = Wish(
            summary=(f"{assignment.subject} {assignment.role} of {where}",),
            content=msgspec.to_builtins(assignment),
            reason=reason,
        )
        return await self._changes.ask(principal, ROLE, wish, correlation=correlation)

    async def approve(
        self, principal: Principal, change_id: str, *, reason: str, correlation: str
    ) -> Change | Refusal:
        """The second person's yes; the role is in force when it is answered."""
        change = await self._changes.approve(principal, change_id, reason=reason, correlation=correlation)
        if isinstance(change, Refusal):
            return change
        try:
            await self._carry_out(change)
        except Fault as fault:
            log.error("access.not_carried_out", change=change_id, why=str(fault))
            return Refusal(Code.UNAVAILABLE, "approved, and in force as soon as the database answers")
        return change

    async def withdraw(
        self, principal: Principal, assignment: Assignment, *, reason: str
    ) -> SubjectView | Refusal:
        """Take a role away, at once: one person is enough for less."""
        if not principal.may(Scope.ACCESS_WRITE):
            return _FORBIDDEN
        if not _is_of(principal, assignment) or assignment not in self._book.access.assignments:
            return Refusal(Code.NOT_FOUND, f"{assignment.subject} has no such role")
        try:
            await self._book.withdraw(assignment, _noted(principal, reason))
        except Fault as fault:
            return _not_known(fault)
        return self._shown(principal, assignment.subject)

    async def keep_out(self, principal: Principal, subject: str, *, reason: str) -> SubjectView | Refusal:
        """Refuse a subject everything, at once. It is let in again at the gateway's own console."""
        if not principal.may(Scope.ACCESS_WRITE):
            return _FORBIDDEN
        try:
            await self._book.keep_out(principal.tenant, subject, _noted(principal, reason))
        except ValueError as wrong:
            return Refusal(Code.NOT_FOUND, str(wrong))
        except Fault as fault:
            return _not_known(fault)
        return self._shown(principal, subject)

    def _checked(
        self, principal: Principal, change: Change, approved: ChangeApproved
    ) -> Sequence[AnyEvent] | Refusal:
        """Nothing more is journalled than the yes; but it must still make sense, and not be to oneself."""
        assignment = msgspec.convert(change.proposed.content, Assignment)
        words = f"{assignment.subject} gets it: another person must approve"
        no = same_person(principal, assignment.subject, words) or misfit(
            self._env, self._book.access, assignment
        )
        return [] if no is None else no

    def _program_checked(
        self, principal: Principal, change: Change, approved: ChangeApproved
    ) -> Sequence[AnyEvent] | Refusal:
        return self.programs.checked(principal, change, approved)

    async def _carry_out(self, change: Change) -> None:
        if change.state is not State.APPROVED or change.id in self._carried_out:
            return
        if change.proposed.subject == KEY.name:
            await self.programs.carry_out(change)
        elif change.proposed.subject == ROLE.name:
            await self._book.assign(msgspec.convert(change.proposed.content, Assignment), change.id)
            log.warning("access.given", change=change.id, what=change.proposed.summary)
        self._carried_out.add(change.id)

    def _shown(self, principal: Principal, subject: str) -> SubjectView | Refusal:
        for one in self.subjects(principal):
            if one.subject == subject:
                return one
        return Refusal(Code.NOT_FOUND, f"{subject} is not known here")


def stream_of(env: Env) -> AccountId:
    """The control stream of access."""
    return AccountId(f"{env.letter}-ACCESS")


def _shows(principal: Principal, change: Change) -> bool:
    return bool(change.proposed.content.get("tenant") == principal.tenant)


def _is_of(principal: Principal, assignment: Assignment) -> bool:
    return assignment.tenant == principal.tenant


def _noted(principal: Principal, reason: str) -> dict[str, str]:
    return {"by": principal.subject, "client": principal.client_id, "reason": reason}


def _not_known(fault: Fault) -> Refusal:
    log.error("access.unrecorded", why=str(fault))
    return Refusal(Code.UNAVAILABLE, "not known to be durable; look before you ask again")


def _view(access: Access, subject: Subject) -> SubjectView:
    return SubjectView(
        subject=subject.name,
        version=subject.version,
        enabled=subject.enabled,
        roles=_roles(access, subject.tenant, subject.name),
    )


def _roles(access: Access, tenant: str, subject: str) -> tuple[AssignmentView, ...]:
    return tuple(
        AssignmentView(one.role, one.reach, one.of)
        for one in access.assignments
        if (one.tenant, one.subject) == (tenant, subject)
    )


_FORBIDDEN: Final = Refusal(Code.FORBIDDEN, f"the token lacks the scope {Scope.ACCESS_WRITE}")
_FOREIGN: Final = Refusal(Code.NOT_FOUND, "there is no such tenant")
