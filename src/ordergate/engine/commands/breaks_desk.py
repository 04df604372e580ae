"""Where people settle breaks, and ask for a reconciliation.

Permission first, then idempotency, then the broker is asked once more, and what is decided on that
is written as one unit with the actor and the reason. What is not visible does not exist.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.access import Principal, Scope
from ordergate.core.accounts.account import Account, broken
from ordergate.core.accounts.breaks import Action, Nature
from ordergate.core.accounts.commands import AssignBreak, Facts, ResolveBreak
from ordergate.core.accounts.decide import Settling, decide_assign, decide_resolve
from ordergate.core.accounts.events import AnyBreakEvent
from ordergate.core.accounts.views import break_view
from ordergate.core.faults import Fault, InvariantBroken
from ordergate.core.idempotency import Receipt
from ordergate.core.ids import AccountId, Env, OrderId, Symbol
from ordergate.core.money import ZERO
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.accounts.runs import RunView
from ordergate.engine.answering import envelopes
from ordergate.engine.answering.answers import BreakAnswer, RunAsked
from ordergate.engine.answering.cancels import until_durable
from ordergate.engine.answering.envelopes import Asker, Request, Route
from ordergate.engine.answering.misuse import misused
from ordergate.engine.answering.once import Once, until_ready
from ordergate.engine.wire.asking import find_alive, is_denied
from ordergate.ports.broker import BrokerAccount, BrokerUnavailable
from ordergate.ports.clock import Clock
from ordergate.ports.views import Views
from ordergate.telemetry.log import logger

log = logger("breaks")

ASSIGN: Final = Route("POST", "/v1/reconciliation/breaks/{id}/assign")
RESOLVE: Final = Route("POST", "/v1/reconciliation/breaks/{id}/resolve")
DEADLINE_S: Final = 5.0


class BreakDesk:
    def __init__(self, env: Env, *, lanes: Lanes, once: Once, views: Views, clock: Clock) -> None:
        self._env = env
        self._lanes = lanes
        self._once = once
        self._views = views
        self._clock = clock

    async def assign(
        self, principal: Principal, break_id: str, *, owner: str, note: str, key: str, correlation: str
    ) -> BreakAnswer | Refusal:
        """Say who looks after it."""
        seat = await self._seat_of(principal, break_id)
        if isinstance(seat, Refusal):
            return seat
        fields = {"id": break_id, "owner": owner, "note": note}
        asker = Asker(principal, key, correlation)
        request = envelopes.request(self._env, asker, ASSIGN, seat.lane.account, fields)
        known = await self._known(seat, request)
        if known is not None:
            return known

        def decide(account: Account) -> Settling | Refusal:
            asked = AssignBreak(
                break_id=break_id,
                owner=owner,
                note=note,
                actor=principal.subject,
                asked_at=self._clock.now(),
            )
            event = decide_assign(account, asked)
            return event if isinstance(event, Refusal) else [event]

        return await self._decided(seat, request, break_id, decide)

    async def resolve(
        self, principal: Principal, break_id: str, *, action: Action, reason: str, key: str, correlation: str
    ) -> BreakAnswer | Refusal:
        """Settle it by an action that its nature allows, on what the broker says at this moment.

        A cancel at the broker is asked for by the commit, and settles nothing by itself.
        """
        seat = await self._seat_of(principal, break_id)
        if isinstance(seat, Refusal):
            return seat
        fields = {"id": break_id, "action": action.value, "reason": reason}
        asker = Asker(principal, key, correlation)
        request = envelopes.request(self._env, asker, RESOLVE, seat.lane.account, fields)
        known = await self._known(seat, request)
        if known is not None:
            return known
        asked = ResolveBreak(
            break_id=break_id,
            action=action,
            reason=reason,
            actor=principal.subject,
            asked_at=self._clock.now(),
        )
        try:
            facts = await self._facts(seat, asked)
        except BrokerUnavailable as absent:
            return Refusal(Code.UNAVAILABLE, f"the broker could not be asked: {absent}")
        answer = await self._decided(
            seat, request, break_id, lambda account: decide_resolve(account, asked, facts)
        )
        if isinstance(answer, BreakAnswer):
            if action is Action.CANCEL_ORDER:  # looked at once the broker has answered
                log.warning("break.cancel_asked", id=break_id, actor=asked.actor, why=reason)
                return answer
            log.warning("break.resolved", id=break_id, action=action, actor=asked.actor, why=reason)
            seat.suspect(f"break {break_id} was resolved")
        return answer

    async def ask_run(
        self, principal: Principal, account: AccountId, *, correlation: str, wait_s: float = 0
    ) -> RunAsked | Refusal:
        """Ask for a reconciliation now. Asking twice is harmless: one run answers both.

        Waits for it for `wait_s` at most; that it takes longer is no error.
        """
        if not principal.may(Scope.ACCOUNTS_WRITE):
            return _forbidden()
        seat = self._lanes.get(account)
        if seat is None or not principal.may_on(Scope.ACCOUNTS_WRITE, account):
            return Refusal(Code.NOT_FOUND, f"there is no account {account}")
        begun, latest = seat.runs.begun, seat.runs.latest  # one under way may have looked already
        seat.suspect(f"asked by {principal.subject}")
        log.info("reconciliation.asked", account=account, actor=principal.subject, correlation_id=correlation)
        run = None
        with contextlib.suppress(TimeoutError):
            if wait_s > 0:
                run = await asyncio.wait_for(seat.runs.answering(begun), wait_s)
        return RunAsked(account_id=account, after=None if latest is None else latest.id, run=run)

    def runs(self, accounts: Sequence[AccountId]) -> list[RunView]:
        """The latest runs of these accounts, newest first."""
        seats = [seat for account in accounts if (seat := self._lanes.get(account)) is not None]
        found = [run for seat in seats for run in seat.runs.newest_first()]
        return sorted(found, key=lambda run: (run.id, run.account_id), reverse=True)

    async def _decided(
        self,
        seat: Seat,
        request: Request,
        break_id: str,
        decide: Callable[[Account], Settling | Refusal],
    ) -> BreakAnswer | Refusal:
        """From here to the record nothing waits; then the commit is awaited."""
        account = seat.lane.books.account
        if account is None or seat.trouble is not None:
            return Refusal(Code.NOT_READY, seat.trouble or "the account is not open yet")
        again = seat.lane.receipts.recall(request.scope, request.fingerprint)
        if again is not None:
            return again if isinstance(again, Refusal) else _told(again)
        if break_id not in account.breaks:
            return Refusal(Code.BREAK_SETTLED, f"{break_id} has been settled")
        events = decide(account)
        if isinstance(events, Refusal):
            return events
        body = _shown_after(account, events)
        receipt = Receipt(
            scope=request.scope,
            fingerprint=request.fingerprint,
            account=account.id,
            order=None,
            status=200,
            body=body.decode(),
            at=self._clock.now(),
        )
        try:
            recorded = seat.lane.record(events, correlation=request.correlation, receipt=receipt)
            await until_durable([recorded], DEADLINE_S)
        except (Fault, TimeoutError) as fault:
            if (no := await misused(seat.lane, request, fault)) is not None:
                return no
            log.error("break.unrecorded", id=break_id, why=str(fault))
            return Refusal(Code.UNAVAILABLE, "not known to be durable; ask again with this key")
        return BreakAnswer(body=body)

    async def _known(self, seat: Seat, request: Request) -> BreakAnswer | Refusal | None:
        """What the key bought before."""
        if (refusal := await until_ready(seat)) is not None:
            return refusal
        known = await self._once.recall(seat, request)
        return known if known is None or isinstance(known, Refusal) else _told(known)

    async def _facts(self, seat: Seat, asked: ResolveBreak) -> Facts:
        """What the action needs to know of the broker now. Raises BrokerUnavailable."""
        account = seat.lane.books.account
        item = None if account is None else account.breaks.get(asked.break_id)
        if item is None or asked.action not in item.allowed_actions:
            return Facts()
        match asked.action:
            case Action.CONFIRM:
                return Facts(fingerprint=(await seat.broker.account()).fingerprint)
            case Action.ADOPT if item.nature is Nature.CASH:
                return Facts(theirs=_cash_in(item.subject, await seat.broker.account()))
            case Action.ADOPT:
                held = (await seat.broker.positions()).get(Symbol(item.subject))
                return Facts(theirs=ZERO) if held is None else Facts(theirs=held.quantity, price=held.avg_px)
            case Action.CLOSE_ORDER | Action.CANCEL_ORDER:
                return await self._order_facts(seat, OrderId(item.subject), asked.action)
            case _:
                return Facts()

    async def _order_facts(self, seat: Seat, order_id: OrderId, action: Action) -> Facts:
        order = await seat.lane.order(order_id)
        if order is None:
            return Facts()
        if action is Action.CANCEL_ORDER:
            shown = await find_alive(seat, order)
            return Facts(order=await seat.lane.order(order_id), shown=shown)
        denies = await is_denied(seat, order)
        return Facts(order=await seat.lane.order(order_id), broker_denies=denies)

    async def _seat_of(self, principal: Principal, break_id: str) -> Seat | Refusal:
        """The account of a break, in memory or long settled."""
        if not principal.may(Scope.ACCOUNTS_WRITE):
            return _forbidden()
        accounts = tuple(sorted(principal.accounts_for(Scope.ACCOUNTS_WRITE)))
        for account in accounts:
            seat = self._lanes.get(account)
            books = None if seat is None else seat.lane.books.account
            if seat is not None and books is not None and break_id in books.breaks:
                return seat
        body = await self._views.one_break(break_id, accounts)
        if body is not None:
            seat = self._lanes.get(msgspec.json.decode(body, type=_OfAccount).account_id)
            if seat is not None:
                return seat
        return Refusal(Code.NOT_FOUND, f"there is no break {break_id}")


def _cash_in(currency: str, theirs: BrokerAccount) -> Decimal | None:
    """What the broker has of it; None where it says nothing of any but another."""
    if currency == theirs.currency:
        return theirs.cash
    return None if theirs.foreign_cash is None else theirs.foreign_cash.get(currency, ZERO)


class _OfAccount(msgspec.Struct):
    account_id: AccountId


def _shown_after(account: Account, events: Settling) -> bytes:
    """The break as the last of the events leaves it."""
    event = events[-1]
    if not isinstance(event, AnyBreakEvent):
        raise InvariantBroken(f"a break was to be settled by {type(event).__name__}")
    return _encode(break_view(broken(account, event)))


_encode: Final = msgspec.json.Encoder(decimal_format="string").encode


def _told(receipt: Receipt) -> BreakAnswer | Refusal:
    if receipt.body is None:
        return Refusal(Code.IDEMPOTENCY_KEY_CONSUMED, "the stored answer has been dropped")
    return BreakAnswer(body=receipt.body.encode(), replayed=True)


def _forbidden() -> Refusal:
    return Refusal(Code.FORBIDDEN, f"the token lacks the scope {Scope.ACCOUNTS_WRITE}")
