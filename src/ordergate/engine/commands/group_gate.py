"""Where commands about groups of orders come in, and where groups are shown.

The same promises as the gate for single orders: permission first, a key buys one decision, an answer
is given when it is durable. A group and its first order are one unit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from ordergate.core.access import Principal, Scope
from ordergate.core.contingent import events as g
from ordergate.core.contingent import group as groups
from ordergate.core.contingent.admission import admit_group
from ordergate.core.contingent.group import Group
from ordergate.core.contingent.steps import Release
from ordergate.core.contingent.terms import (
    GroupId,
    GroupKind,
    GroupTerms,
    Role,
    entry_terms,
    group_id,
    is_group_id,
    misfits,
)
from ordergate.core.contingent.views import group_view
from ordergate.core.faults import Fault
from ordergate.core.idempotency import Receipt
from ordergate.core.ids import ENTROPY_BITS, AccountId, Env, OrderId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.key_bounds import refuse_scope
from ordergate.core.orders.commands import CancelOrder
from ordergate.core.orders.decide import decide_cancel
from ordergate.core.orders.events import AnyOrderEvent, FailedControl
from ordergate.core.orders.order import Order
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.limits import config_hash
from ordergate.core.risk.trading_state import SWITCH
from ordergate.engine.accounts.lane import Recorded
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.accounts.shares import TOO_MUCH_WAITS
from ordergate.engine.answering import envelopes
from ordergate.engine.answering.answers import GroupAnswer
from ordergate.engine.answering.cancels import refuse_nothing
from ordergate.engine.answering.envelopes import Asker, Request, Route, group_fields
from ordergate.engine.answering.misuse import misused
from ordergate.engine.answering.once import ATTEMPTS_MAX, Once, stands, until_ready
from ordergate.engine.commands.contingent import Contingent, release
from ordergate.engine.commands.judging import Judging
from ordergate.engine.commands.key_guard import Asked, KeyGuard
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.journal import Journal
from ordergate.ports.views import Page
from ordergate.telemetry.log import logger

log = logger("group_gate")

DEADLINE_S: Final = 5.0
_encode: Final = msgspec.json.Encoder().encode
_UNPROVED: Final = Refusal(Code.NOT_READY, "what there is to show is not yet known to be durable; ask again")

Decide = Callable[[], tuple[GroupId, Recorded] | Refusal]
Unit = Sequence[AnyOrderEvent | g.AnyGroupEvent]


class GroupGate:
    def __init__(
        self,
        env: Env,
        *,
        lanes: Lanes,
        judging: Judging,
        contingent: Contingent,
        once: Once,
        journal: Journal,
        instruments: Mapping[Symbol, Instrument],
        keys: KeyGuard,
        clock: Clock,
        chance: Chance,
        closes: Callable[[], bool],
        is_full_for: Callable[[AccountId], bool],
        audit: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`closes` says whether two persons have the kill switch close something just now.

        `is_full_for` whether too much of an account waits to be sent.
        """
        self._closes = closes
        self._is_full_for = is_full_for
        self._audit = audit
        self._env = env
        self._lanes = lanes
        self._judging = judging
        self._keys = keys
        self._contingent = contingent
        self._once = once
        self._journal = journal
        self._instruments = instruments
        self._clock = clock
        self._chance = chance

    async def place(
        self, principal: Principal, terms: GroupTerms, *, key: str, correlation: str
    ) -> GroupAnswer | Refusal:
        """Accept a group, or say why not. A denial by risk is an answer with `failed`."""
        seat = self._seat(principal, Scope.ORDERS_WRITE, terms.account)
        if isinstance(seat, Refusal):
            return seat
        if wrong := misfits(terms):
            return Refusal(Code.INVALID, "the legs do not make a group", wrong)
        if (unproved := self._audit()) is not None:
            return Refusal(Code.AUDIT_UNAVAILABLE, unproved)
        if seat.lane.is_crowded or self._is_full_for(terms.account):
            return TOO_MUCH_WAITS
        asker = Asker(principal, key, correlation)
        request = envelopes.request(
            self._env, asker, envelopes.PLACE_GROUP, terms.account, group_fields(terms)
        )

        def decide() -> tuple[GroupId, Recorded] | Refusal:
            if terms.symbol not in self._instruments:
                return Refusal(Code.UNKNOWN_INSTRUMENT, f"{terms.symbol} is not listed here")
            no = self._keys.refuse_group(Asked(seat.lane, principal, correlation), terms)
            return self._place(seat, terms, request) if no is None else no

        return await self._decided(seat, request, decide)

    async def cancel(
        self, principal: Principal, group: str, *, key: str, correlation: str
    ) -> GroupAnswer | Refusal:
        """Ask for the cancel of everything that is left of a group. Never refused by risk."""
        found = await self._find(principal, Scope.ORDERS_WRITE, group)
        if isinstance(found, Refusal):
            return found
        seat, _ = found
        asker = Asker(principal, key, correlation)
        request = self._request(asker, envelopes.CANCEL_GROUP, seat, {"id": group})
        return await self._decided(seat, request, lambda: self._cancel(seat, GroupId(group), request))

    async def flatten(
        self,
        principal: Principal,
        account: AccountId,
        *,
        key: str,
        correlation: str,
        symbol: Symbol | None = None,
    ) -> GroupAnswer | Refusal:
        """Cancel every open order of the account, or of a symbol in it, and close what is then held."""
        seat = self._seat(principal, Scope.ORDERS_WRITE, account)
        if isinstance(seat, Refusal):
            return seat
        if (unproved := self._audit()) is not None:
            return Refusal(Code.AUDIT_UNAVAILABLE, unproved)
        asker = Asker(principal, key, correlation)
        request = self._request(asker, envelopes.FLATTEN, seat, {"symbol": symbol})

        def decide() -> tuple[GroupId, Recorded] | Refusal:
            within = None if symbol is None else seat.lane.books.present_name(symbol)
            no = refuse_nothing(seat, within, self._instruments)
            no = no or self._keys.refuse_flatten(Asked(seat.lane, principal, correlation), within)
            return self._flatten(seat, within, request) if no is None else no

        return await self._decided(seat, request, decide)

    async def show(self, principal: Principal, group: str) -> bytes | Refusal:
        """One group as it stands, as JSON."""
        found = await self._find(principal, Scope.ORDERS_READ, group)
        if isinstance(found, Refusal):
            return found
        body = self._body(found[0], found[1])
        return body if await stands(found[0], DEADLINE_S) else _UNPROVED

    async def latest(
        self,
        principal: Principal,
        accounts: Sequence[AccountId],
        *,
        active: bool | None,
        before: GroupId | None,
        limit: int,
    ) -> Page | Refusal:
        """Groups in memory, newest first: every active one, and those that ended lately."""
        listed: list[tuple[Seat, Group]] = []
        for account in accounts:
            seat = self._seat(principal, Scope.ORDERS_READ, account)
            if isinstance(seat, Refusal):
                return seat
            if (refusal := await until_ready(seat)) is not None:
                return refusal
            found = seat.lane.books.groups.all()
            listed += [(seat, one) for one in found if active is None or one.is_active is active]
        listed = [one for one in listed if before is None or one[1].id < before]
        listed.sort(key=lambda one: one[1].id, reverse=True)
        shown = listed[:limit]
        goes_on = shown[-1][1].id if len(listed) > limit else None
        page = Page(tuple(self._body(seat, one) for seat, one in shown), goes_on)
        for seat in {id(seat): seat for seat, _ in shown}.values():
            if not await stands(seat, DEADLINE_S):
                return _UNPROVED
        return page

    def _place(self, seat: Seat, terms: GroupTerms, request: Request) -> tuple[GroupId, Recorded]:
        if terms.symbol is None:
            raise Fault("a group without a symbol is a flatten")
        view = self._judging.view(seat, terms.symbol, user=request.actor, strategy=terms.strategy)
        new_id = self._new_id()
        event = admit_group(terms, new_id, request.actor, view)
        unit: list[AnyOrderEvent | g.AnyGroupEvent] = [event]
        failed: tuple[FailedControl, ...] = ()
        if isinstance(event, g.GroupDenied):
            failed = event.failed
        elif (first := entry_terms(terms)) is not None:
            group = groups.first(event)
            step = Release(Role.ENTRY, group.next_order_id(Role.ENTRY, terms.symbol), first)
            unit += release(self._judging, seat, group, step, view.now)
        return new_id, self._record(seat, unit, request, new_id, failed=failed)

    def _cancel(self, seat: Seat, group_id: GroupId, request: Request) -> tuple[GroupId, Recorded] | Refusal:
        found = seat.lane.books.groups.guarding(self._clock.now())
        group = next((one for one in found if one.id == group_id), None)
        if group is None:
            return Refusal(Code.ORDER_FINAL, f"group {group_id} has ended")
        if group.actor == SWITCH and self._closes():
            words = "two persons had the kill switch close it: only what they decide ends it"
            return Refusal(Code.ACTION_NOT_ALLOWED, words)
        if group.cancel_requested:
            return Refusal(Code.ORDER_PENDING, f"a cancel of group {group_id} is under way")
        unit = self._canceling(seat, group, request.actor)
        return group_id, self._record(seat, unit, request, group_id, status=202)

    def _flatten(
        self, seat: Seat, symbol: Symbol | None, request: Request
    ) -> tuple[GroupId, Recorded] | Refusal:
        for one in seat.lane.books.groups.active.values():
            if one.terms.kind is not GroupKind.FLATTEN:
                continue
            if _closes_all_of(seat, symbol, one):
                return Refusal(Code.ORDER_PENDING, f"{one.id} flattens the same already")
            if symbol is None and one.actor == SWITCH and self._closes():
                words = f"two persons had the kill switch close {one.terms.symbol}: {one.id} goes first"
                return Refusal(Code.ORDER_PENDING, words)
        new_id = self._new_id()
        unit = self._flattening(seat, symbol, new_id, request.actor)
        recorded = self._record(seat, unit, request, new_id, status=202)
        self._contingent.advance(seat, new_id)  # the cancels go with the same batch
        return new_id, recorded

    def flatten_now(
        self, seat: Seat, symbol: Symbol | None, *, actor: str, correlation: str
    ) -> GroupId | None:
        """The same by the kill switch's own decision; None while one is under way. Raises Fault."""
        active = seat.lane.books.groups.active.values()
        if any(one.terms.kind is GroupKind.FLATTEN and _closes_all_of(seat, symbol, one) for one in active):
            return None
        new_id = self._new_id()
        unit = self._flattening(seat, symbol, new_id, actor)
        seat.lane.record(unit, correlation=correlation)
        self._contingent.advance(seat, new_id)
        return new_id

    def _flattening(self, seat: Seat, symbol: Symbol | None, new_id: GroupId, actor: str) -> Unit:
        """A flatten, and the cancel of every group within its reach: a narrower flatten, too."""
        unit: list[AnyOrderEvent | g.AnyGroupEvent] = [
            g.GroupAccepted(
                account=seat.lane.account,
                at=self._clock.now(),
                group_id=new_id,
                terms=GroupTerms(account=seat.lane.account, kind=GroupKind.FLATTEN, symbol=symbol),
                actor=actor,
                config_hash=config_hash(seat.limits),
            )
        ]
        for one in seat.lane.books.groups.guarding(self._clock.now()):
            if _is_within(seat, symbol, one) and not one.cancel_requested:
                unit.append(self._cancel_requested(seat, one.id, actor))
        return unit

    def _canceling(self, seat: Seat, group: Group, actor: str) -> Unit:
        """The group's cancel, and that of each of its open orders, in one unit."""
        now = self._clock.now()
        unit: list[AnyOrderEvent | g.AnyGroupEvent] = [self._cancel_requested(seat, group.id, actor)]
        for one in group.released:
            order = seat.lane.books.order(one.order_id)
            if order is None:
                continue
            asked = decide_cancel(order, CancelOrder(order_id=order.id, actor=actor, asked_at=now))
            if not isinstance(asked, Refusal):
                unit.append(
                    g.LegRecalled(account=seat.lane.account, at=now, group_id=group.id, order_id=order.id)
                )
                unit.append(asked)
                seat.buckets.cancel_sent(now)
        return unit

    def _cancel_requested(self, seat: Seat, group: GroupId, actor: str) -> g.GroupCancelRequested:
        now = self._clock.now()
        return g.GroupCancelRequested(account=seat.lane.account, at=now, group_id=group, actor=actor)

    def _record(
        self,
        seat: Seat,
        unit: Unit,
        request: Request,
        group: GroupId,
        *,
        failed: tuple[FailedControl, ...] = (),
        status: int = 201,
    ) -> Recorded:
        receipt = Receipt(
            scope=request.scope,
            fingerprint=request.fingerprint,
            account=seat.lane.account,
            order=OrderId(group),
            status=422 if failed else status,
            body=None,
            at=self._clock.now(),
        )
        return seat.lane.record(unit, correlation=request.correlation, receipt=receipt)

    async def _decided(self, seat: Seat, request: Request, decide: Decide) -> GroupAnswer | Refusal:
        """Decide once per key; answer when it is durable."""
        for _ in range(ATTEMPTS_MAX):
            if (refusal := await until_ready(seat)) is not None:
                return refusal
            known = await self._once.recall(seat, request)
            if isinstance(known, Refusal):
                return known
            if known is not None and known.order is not None:
                return await self._answer(seat, GroupId(known.order), replayed=True)
            try:
                decided = decide()
            except Fault as fault:
                log.error("decision.failed", account=seat.lane.account, why=str(fault))
                continue
            if isinstance(decided, Refusal):
                if not await stands(seat, DEADLINE_S):
                    continue
                return decided
            made, recorded = decided
            _, waiting = await asyncio.wait((recorded.committed,), timeout=DEADLINE_S)
            if waiting:
                return Refusal(Code.UNAVAILABLE, "not yet known to be durable; ask again with the same key")
            failure = recorded.committed.exception()
            if failure is None:
                return await self._answer(seat, made, replayed=False)
            if (no := await misused(seat.lane, request, failure)) is not None:
                return no
        return Refusal(Code.NOT_READY, "the account is being recovered; ask again with this key")

    async def _answer(self, seat: Seat, group_id: GroupId, *, replayed: bool) -> GroupAnswer | Refusal:
        group = await self._group(seat, group_id)
        if group is None:
            return Refusal(Code.UNAVAILABLE, f"group {group_id} cannot be shown now")
        return GroupAnswer(
            group_id=group_id, body=self._body(seat, group), replayed=replayed, failed=group.failed
        )

    async def _find(self, principal: Principal, scope: Scope, group: str) -> tuple[Seat, Group] | Refusal:
        if (no := refuse_scope(principal, scope)) is not None:
            return no
        if is_group_id(self._env, group):
            for seat in self._lanes.ready_first(principal.accounts_for(scope)):
                if (refusal := await until_ready(seat)) is not None:
                    return refusal
                found = await self._group(seat, GroupId(group))
                if found is not None:
                    return seat, found
        return Refusal(Code.NOT_FOUND, f"there is no group {group}")

    async def _group(self, seat: Seat, group_id: GroupId) -> Group | None:
        """From memory, or folded from the journal when it ended long ago."""
        if (held := seat.lane.books.groups.get(group_id)) is not None:
            return held
        found: Group | None = None
        for stored in await self._journal.history(OrderId(group_id)):
            if isinstance(stored.event, g.GroupEvent) and stored.event.account == seat.lane.account:
                found = groups.first(stored.event) if found is None else groups.evolve(found, stored.event)
        return found

    def _body(self, seat: Seat, group: Group) -> bytes:
        books = seat.lane.books

        def find(order_id: OrderId) -> Order | None:
            return books.groups.orders.get(order_id) or books.order(order_id)

        return _encode(group_view(group, find))

    def _new_id(self) -> GroupId:
        at_ms = int(self._clock.now().timestamp() * 1000)
        return group_id(self._env, at_ms=at_ms, entropy=self._chance.bits(ENTROPY_BITS))

    def _seat(self, principal: Principal, scope: Scope, account: AccountId) -> Seat | Refusal:
        if (no := refuse_scope(principal, scope)) is not None:
            return no
        seat = self._lanes.get(account)
        if seat is None or not principal.may_on(scope, account):
            return Refusal(Code.NOT_FOUND, f"there is no account {account}")
        return seat

    def _request(self, asker: Asker, route: Route, seat: Seat, fields: Mapping[str, str | None]) -> Request:
        return envelopes.request(self._env, asker, route, seat.lane.account, fields)


def _is_within(seat: Seat, symbol: Symbol | None, group: Group) -> bool:
    """Whether a flatten of the symbol reaches the group, under whichever name it was placed."""
    its = group.terms.symbol
    return symbol is None or its is None or symbol in seat.lane.books.names_of(its)


def _closes_all_of(seat: Seat, symbol: Symbol | None, group: Group) -> bool:
    """Whether a flatten that is under way closes whatever one of the symbol would; None is every symbol."""
    return group.terms.symbol is None or (symbol is not None and _is_within(seat, symbol, group))
