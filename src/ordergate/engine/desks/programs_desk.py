"""Where keys of programs are made, bounded, replaced and taken away, within one tenant.

What narrows a key or ends it holds at once. What makes one, or lets one reach further, takes a login of a
moment ago, and another person in live and wherever the key could itself be that other person. Nobody gives
more than they have. A secret is told once, to whoever asked for it, and never waits for anybody: where a key
takes two persons, the program proves itself with a key that it has published.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from ordergate.core.access import Principal, Scope, Sender
from ordergate.core.approvals import Change, ChangeApproved
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.money import text
from ordergate.core.programs import (
    OVERLAP_S_MAX,
    Program,
    beyond,
    moment,
    of_plain,
    plain,
    takes_two,
    widenings,
)
from ordergate.core.refusals import Code, Refusal
from ordergate.core.two_persons import KEY, Wish, same_person, stale_login
from ordergate.ports.clock import Clock
from ordergate.ports.journal import AnyEvent
from ordergate.telemetry.log import logger
from ordergate.telemetry.secret import Secret

log = logger("programs")

Asking = Callable[..., Awaitable[Change | Refusal]]


class ProgramBook(Protocol):
    """Whoever keeps the programs. A change is durable and in force here when it returns.

    All raise Fault, and ValueError for nonsense. `noted` goes into the record of the change.
    """

    def of_tenant(self, tenant: str) -> list[Program]: ...

    def get(self, client_id: str) -> Program | None: ...

    def misfit(self, program: Program) -> str | None:
        """What is wrong with it, if anything, in words."""
        ...

    async def put(self, program: Program, noted: Mapping[str, str], seen: Program | None) -> bool:
        """False when it is not what was `seen` any more: then nothing changed."""
        ...

    async def carry_out(self, program: Program, noted: Mapping[str, str], change: str) -> None:
        """Of an approved change, whose id makes a second time the same as once."""
        ...

    async def give_secret(
        self, program: Program, old_until: int | None, noted: Mapping[str, str], seen: Program | None
    ) -> Secret | None:
        """None when it is not what was `seen` any more: then nothing changed."""
        ...


class ProgramView(msgspec.Struct, frozen=True, kw_only=True):
    """A program's key as it stands. `key_ids` are of the keys that it proves itself with."""

    client_id: str
    enabled: bool
    scopes: tuple[Scope, ...]
    accounts: tuple[AccountId, ...]
    instruments: tuple[Symbol, ...]
    strategies: tuple[str, ...]
    max_notional: str | None
    networks: tuple[str, ...]
    expires_at: datetime | None
    signed_requests: bool
    sender: Sender
    has_secret: bool
    old_secret_until: datetime | None
    key_ids: tuple[str, ...]


class Made(msgspec.Struct, frozen=True):
    """A program and its secret, which is told this once."""

    program: ProgramView
    secret: Secret


class ProgramsDesk:
    def __init__(self, env: Env, book: ProgramBook, clock: Clock, ask: Asking) -> None:
        """`ask` lets a wish wait for another person."""
        self._env = env
        self._book = book
        self._clock = clock
        self._ask = ask

    def listed(self, principal: Principal) -> list[ProgramView]:
        found = self._book.of_tenant(principal.tenant)
        return [view(one) for one in sorted(found, key=lambda one: one.client_id)]

    def show(self, principal: Principal, client_id: str) -> ProgramView | Refusal:
        found = self._own(principal, client_id)
        return found if isinstance(found, Refusal) else view(found)

    async def create(
        self, principal: Principal, program: Program, *, reason: str, correlation: str
    ) -> Made | ProgramView | Change | Refusal:
        """A new program, with a secret unless it brings keys."""
        no = self._may_not_give(principal, program)
        if no is not None:
            return no
        if self._book.get(program.client_id) is not None:
            return Refusal(Code.CLIENT_EXISTS, f"there is a client {program.client_id}")
        if takes_two(self._env, program):
            if program.keys is None:
                return _KEY_REQUIRED
            return await self._wish(principal, None, program, reason=reason, correlation=correlation)
        noted = _noted(principal, reason)
        if program.keys is not None:
            return await self._put(program, noted, None)
        return await self._give_secret(program, None, noted, None)

    async def change(
        self, principal: Principal, wanted: Program, *, reason: str, correlation: str
    ) -> ProgramView | Change | Refusal:
        """Other bounds for a program, as a whole; how it proves itself, and whether it may at all, stay."""
        standing = self._own(principal, wanted.client_id)
        if isinstance(standing, Refusal):
            return standing
        wanted = msgspec.structs.replace(
            wanted,
            enabled=standing.enabled,
            keys=standing.keys,
            has_secret=standing.has_secret,
            old_secret_until=standing.old_secret_until,
        )
        if wanted == standing:
            return Refusal(Code.NOTHING_TO_CHANGE, f"{wanted.client_id} has those bounds already")
        if not widenings(standing, wanted):
            return await self._put(wanted, _noted(principal, reason), standing)
        no = self._may_not_give(principal, wanted)
        if no is not None:
            return no
        if takes_two(self._env, wanted):
            return await self._wish(principal, standing, wanted, reason=reason, correlation=correlation)
        return await self._put(wanted, _noted(principal, reason), standing)

    async def rotate(
        self, principal: Principal, client_id: str, *, overlap_s: int, reason: str
    ) -> Made | Refusal:
        """A new secret; the one before it serves `overlap_s` more."""
        standing = self._own(principal, client_id)
        if isinstance(standing, Refusal):
            return standing
        no = self._may_not_give(principal, standing)
        if no is not None:
            return no
        if standing.keys is not None or takes_two(self._env, standing):
            return _KEY_REQUIRED
        if not standing.has_secret:
            return Refusal(Code.INVALID, f"{client_id} acts for people alone, and keeps no secret")
        if not 0 <= overlap_s <= OVERLAP_S_MAX:
            return Refusal(Code.INVALID, f"two secrets serve for {OVERLAP_S_MAX} s at most")
        until = int(self._clock.now().timestamp()) + overlap_s if overlap_s else None
        return await self._give_secret(standing, until, _noted(principal, reason), standing)

    async def publish(
        self, principal: Principal, client_id: str, keys: str, *, reason: str, correlation: str
    ) -> ProgramView | Change | Refusal:
        """The keys that the program proves itself with from now on, instead of any secret or other keys."""
        standing = self._own(principal, client_id)
        if isinstance(standing, Refusal):
            return standing
        no = self._may_not_give(principal, standing)
        if no is not None:
            return no
        wanted = msgspec.structs.replace(standing, keys=keys, has_secret=False, old_secret_until=None)
        wrong = self._book.misfit(wanted)
        if wrong is not None:
            return Refusal(Code.INVALID, wrong)
        if wanted == standing:
            return Refusal(Code.NOTHING_TO_CHANGE, f"{client_id} has published those keys already")
        if takes_two(self._env, standing):
            return await self._wish(principal, standing, wanted, reason=reason, correlation=correlation)
        return await self._put(wanted, _noted(principal, reason), standing)

    async def disable(self, principal: Principal, client_id: str, *, reason: str) -> ProgramView | Refusal:
        """No more tokens, and those that are out end. It is let in again at the gateway's own console."""
        standing = self._own(principal, client_id)
        if isinstance(standing, Refusal):
            return standing
        if not standing.enabled:
            return Refusal(Code.NOTHING_TO_CHANGE, f"{client_id} is disabled already")
        ended = msgspec.structs.replace(standing, enabled=False)
        return await self._put(ended, _noted(principal, reason), standing)

    # What waited for another person

    def checked(
        self, principal: Principal, change: Change, approved: ChangeApproved
    ) -> Sequence[AnyEvent] | Refusal:
        """Nothing more is journalled than the yes; but the program must still be what it was."""
        content = change.proposed.content
        wanted = of_plain(content["program"])
        words = f"{wanted.client_id} gets it: another person must approve"
        no = same_person(principal, wanted.client_id, words)
        if no is not None:
            return no
        standing = self._book.get(wanted.client_id)
        if (None if standing is None else plain(standing)) != content["was"]:
            return _outdated(wanted)
        return []

    async def carry_out(self, change: Change) -> None:
        """Once, however often it is asked. Raises Fault."""
        proposed, decided = change.proposed, change.settled_by
        noted = {"by": proposed.by.subject, "client": proposed.by.client, "reason": proposed.reason}
        approver = "" if decided is None else decided.subject
        wanted = of_plain(proposed.content["program"])
        try:
            await self._book.carry_out(wanted, {**noted, "approved_by": approver}, change.id)
        except ValueError as wrong:  # an older release let it be asked for
            log.error("program.not_changed", change=change.id, why=str(wrong))
            return
        log.warning("program.changed", change=change.id, what=proposed.summary)

    # Parts

    def _own(self, principal: Principal, client_id: str) -> Program | Refusal:
        found = self._book.get(client_id)
        if found is None or found.tenant != principal.tenant:
            return Refusal(Code.NOT_FOUND, f"there is no client {client_id}")
        return found

    def _may_not_give(self, principal: Principal, program: Program) -> Refusal | None:
        no = beyond(principal, program) or stale_login(principal, self._clock.now())
        if no is not None:
            return no
        wrong = self._book.misfit(program)
        return None if wrong is None else Refusal(Code.INVALID, wrong)

    async def _wish(
        self,
        principal: Principal,
        standing: Program | None,
        wanted: Program,
        *,
        reason: str,
        correlation: str,
    ) -> Change | Refusal:
        content: dict[str, Any] = {
            "tenant": principal.tenant,
            "program": plain(wanted),
            "was": None if standing is None else plain(standing),
        }
        wish = Wish(summary=_in_words(standing, wanted), content=content, reason=reason)
        return await self._ask(principal, KEY, wish, correlation=correlation)

    async def _put(
        self, program: Program, noted: Mapping[str, str], seen: Program | None
    ) -> ProgramView | Refusal:
        try:
            if not await self._book.put(program, noted, seen):
                return _outdated(program)
        except ValueError as wrong:
            return Refusal(Code.INVALID, str(wrong))
        except Fault as fault:
            return _not_known(fault)
        return view(self._book.get(program.client_id) or program)

    async def _give_secret(
        self, program: Program, old_until: int | None, noted: Mapping[str, str], seen: Program | None
    ) -> Made | Refusal:
        try:
            secret = await self._book.give_secret(program, old_until, noted, seen)
        except ValueError as wrong:
            return Refusal(Code.INVALID, str(wrong))
        except Fault as fault:
            return _not_known(fault)
        if secret is None:
            return _outdated(program)
        return Made(view(self._book.get(program.client_id) or program), secret)


def view(program: Program) -> ProgramView:
    reach, keys = program.reach, program.keys
    return ProgramView(
        client_id=program.client_id,
        enabled=program.enabled,
        scopes=tuple(sorted(program.scopes)),
        accounts=tuple(sorted(program.accounts)),
        instruments=tuple(sorted(reach.instruments)),
        strategies=tuple(sorted(reach.strategies)),
        max_notional=None if reach.notional_max is None else text(reach.notional_max),
        networks=tuple(map(str, reach.networks)),
        expires_at=moment(reach.expires_at),
        signed_requests=reach.signed_requests,
        sender=program.sender,
        has_secret=program.has_secret,
        old_secret_until=moment(program.old_secret_until),
        key_ids=() if keys is None else tuple(key["kid"] for key in msgspec.json.decode(keys)["keys"]),
    )


def _in_words(standing: Program | None, wanted: Program) -> tuple[str, ...]:
    if standing is None:
        scopes, accounts = " ".join(sorted(wanted.scopes)), " ".join(sorted(wanted.accounts))
        return (f"a key for {wanted.client_id}: {scopes} on {accounts or 'no account'}",)
    if wanted.keys != standing.keys:
        return (f"{wanted.client_id} proves itself with {', '.join(view(wanted).key_ids)}",)
    return tuple(f"{wanted.client_id}: {words}" for words in widenings(standing, wanted))


def _noted(principal: Principal, reason: str) -> dict[str, str]:
    return {"by": principal.subject, "client": principal.client_id, "reason": reason}


def _outdated(program: Program) -> Refusal:
    return Refusal(Code.CHANGE_OUTDATED, f"{program.client_id} is another by now; look again")


def _not_known(fault: Fault) -> Refusal:
    log.error("programs.unrecorded", why=str(fault))
    return Refusal(Code.UNAVAILABLE, "not known to be durable; look before you ask again")


_KEY_REQUIRED: Final = Refusal(
    Code.KEY_REQUIRED, "this program proves itself with a key that it has published, and not with a secret"
)
