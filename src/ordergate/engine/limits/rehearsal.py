"""What the last orders of an account would have got under other rules, replayed from its journal.

The past is folded anew beside the living books, and every new order of the last ones is judged twice where
it stood: by the rules as they are and by the rules as they would be. What differs is the rules' doing.
Prices are those that the journal has. The broker's own figures are not in it, nor how fresh the account was
where that refused nothing: own funds count, and the account is taken to have been current. What a control
asks for and the journal lacks makes no refusal: it is said that it was not judged. Nothing is written.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import Instrument, by_any_name
from ordergate.core.orders import events as e
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.view import HoursOf
from ordergate.engine.accounts.lanes import Narrower
from ordergate.engine.limits.past import NewOrder, Others, Past
from ordergate.engine.limits.trying import Judged, Trial
from ordergate.ports.journal import Journal, Stored
from ordergate.telemetry.log import logger

log = logger("limits")

BREATH_EVENTS: Final = 100
SHOWN_MAX: Final = 500
LONGEST_LOCK: Final = timedelta(days=8)
"""A loss limit that was reached so long ago stops nobody any more."""

_MESSAGES = NewOrder | e.OrderHeld | e.HeldReplaced | e.ReplaceRequested | e.ReplaceDenied


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One order on which the rules differ. `recorded` is what it got; `newly` are the controls that would

    refuse it and do not now, `no_longer` those that do now and would not. `not_judged` are those of which
    the journal does not say.
    """

    order_id: str
    at: datetime
    symbol: str
    side: str
    quantity: Decimal
    recorded: str
    newly: tuple[e.FailedControl, ...]
    no_longer: tuple[str, ...]
    not_judged: tuple[str, ...]


class NotJudged(msgspec.Struct, frozen=True, kw_only=True):
    """A control, and for how many of the orders the journal lacks what it asks for."""

    control: str
    orders: int


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """`would_refuse` counts accepted orders, `would_accept` denied ones. The latest differences are shown.

    `unlisted` of the orders are in what is not listed any more: no control judged them. What is
    `not_judged` counts as no refusal.
    """

    account_id: str
    orders: int
    would_refuse: int
    would_accept: int
    unlisted: int
    not_judged: tuple[NotJudged, ...]
    differences: tuple[Difference, ...]


class Rehearsal:
    """One at a time: it reads an account's whole past."""

    def __init__(
        self,
        journal: Journal,
        instruments: Mapping[Symbol, Instrument],
        hours: HoursOf,
        others: Callable[[AccountId], Others],
    ) -> None:
        self._journal = journal
        self._instruments = by_any_name(instruments)
        self._hours = hours
        self._others = others
        self._busy = False

    async def of(
        self, account: AccountId, now: Narrower, would: Narrower, *, orders: int, asked_at: datetime
    ) -> Rehearsed | Refusal:
        """The last `orders` new orders, under both."""
        if self._busy:
            return Refusal(Code.UNAVAILABLE, "another dry run is under way")
        self._busy = True
        try:
            past = Past(self._journal, self._instruments, self._hours, self._others(account))
            as_is, as_would_be = (Trial(one, past, asked_at=asked_at) for one in (now, would))
            return await self._replayed(account, past, as_is, as_would_be, orders)
        except Fault as fault:
            log.error("rehearsal.failed", account=account, why=str(fault))
            return Refusal(Code.UNAVAILABLE, "the account's past cannot be read now")
        finally:
            self._busy = False

    async def _replayed(
        self, account: AccountId, past: Past, now: Trial, would: Trial, orders: int
    ) -> Rehearsed:
        last = await self._last(account, orders)
        found = _Found()
        async for stored in self._past(account, last.head):
            event = stored.event
            looks = last.looks_from is not None and stored.at >= last.looks_from
            if looks and (due := past.due(stored.at)) is not None:
                now.look(due)
                would.look(due)
            if isinstance(event, NewOrder):
                if stored.seq >= last.begins:
                    found.compare(event, past, now, would)
                else:
                    now.follow(event)
                    would.follow(event)
            if isinstance(event, e.OrderHeld):
                now.keep(event)
                would.keep(event)
            if isinstance(event, _MESSAGES):
                now.message(event.at)
                would.message(event.at)
            await past.take(stored)
        return found.said(account, last.orders)

    async def _last(self, account: AccountId, orders: int) -> _Last:
        latest: deque[Stored] = deque(maxlen=orders)
        head = 0
        async for stored in self._past(account, None):
            head = stored.seq
            if isinstance(stored.event, NewOrder):
                latest.append(stored)
        if not latest:
            return _Last(head, 0, head + 1, None)
        return _Last(head, len(latest), latest[0].seq, latest[0].at - LONGEST_LOCK)

    async def _past(self, account: AccountId, upto: int | None) -> AsyncIterator[Stored]:
        """The account's events; everybody else gets a turn in between."""
        count = 0
        async for stored in self._journal.read(account, after=0, upto=upto):
            yield stored
            count += 1
            if count % BREATH_EVENTS == 0:
                await asyncio.sleep(0)


class _Last(NamedTuple):
    """How far the past goes, how many orders are judged, and from which event and moment on."""

    head: int
    orders: int
    begins: int
    looks_from: datetime | None


class _Found:
    """What came of the orders so far."""

    def __init__(self) -> None:
        self._differences: list[Difference] = []
        self._unlisted = 0
        self._not_judged: Counter[str] = Counter()

    def compare(self, event: NewOrder, past: Past, now: Trial, would: Trial) -> None:
        with past.met(event) as met:
            if met is None:
                self._unlisted += 1
                return
            had, has = now.judged(met), would.judged(met)
        self._not_judged.update(had.unknown | has.unknown)
        self._differences += _differences(event, had, has)

    def said(self, account: AccountId, orders: int) -> Rehearsed:
        found = self._differences
        return Rehearsed(
            account_id=account,
            orders=orders,
            would_refuse=sum(1 for one in found if one.recorded == "accepted" and one.newly),
            would_accept=sum(1 for one in found if one.recorded == "denied" and not one.newly),
            unlisted=self._unlisted,
            not_judged=tuple(
                NotJudged(control=control, orders=count)
                for control, count in sorted(self._not_judged.items())
            ),
            differences=tuple(found[-SHOWN_MAX:]),
        )


def _differences(event: NewOrder, now: Judged, would: Judged) -> list[Difference]:
    """Nothing where both say the same, or where what refused the order then would do so still."""
    newly = tuple(failed for control, failed in would.failed.items() if control not in now.failed)
    no_longer = tuple(one for one in now.failed if one not in would.failed and one not in would.unknown)
    denied = isinstance(event, e.OrderDenied)
    if denied and not newly and not _freed(event, no_longer):
        return []
    if not newly and not no_longer:
        return []
    return [
        Difference(
            order_id=event.order_id,
            at=event.at,
            symbol=event.terms.symbol,
            side=event.terms.side,
            quantity=event.terms.quantity,
            recorded="denied" if denied else "accepted",
            newly=newly,
            no_longer=no_longer,
            not_judged=tuple(sorted(now.unknown | would.unknown)),
        )
    ]


def _freed(event: NewOrder, no_longer: tuple[str, ...]) -> bool:
    """Whether every control that refused the order then would not do so any more."""
    if isinstance(event, e.OrderAccepted):
        return False
    return {failed.control for failed in event.failed} <= set(no_longer)
