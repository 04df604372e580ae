"""What the last orders of an account would have got under other rules, replayed from its journal.

The past is folded anew beside the living books, and every new order of the last ones is judged twice where
it stood: by the rules as they are and by the rules as they would be. What differs is the rules' doing.
Prices are those that the journal has; the broker's own figures, and how fresh the account was, are not in
it, so own funds count and the account is taken to have been current. Nothing is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from ordergate.core.accounts.events import AccountEvent
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import Instrument, by_any_name
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import Terms, asked_as
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.fx import AGE_MAX, Fx, Quoted, rates_of
from ordergate.core.risk.judge import verdicts
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.recent import RecentOrders
from ordergate.core.risk.view import BuyingPower, Freshness, ReferencePrice, RiskView
from ordergate.engine.accounts.books import Books, order_from
from ordergate.engine.accounts.lanes import Narrower
from ordergate.ports.journal import Journal, Stored
from ordergate.telemetry.log import logger

log = logger("limits")

BREATH_EVENTS: Final = 100
SHOWN_MAX: Final = 500
PLENTY: Final = Decimal(10) ** 17

NewOrder = e.OrderAccepted | e.OrderDenied
_MESSAGES = NewOrder | e.OrderHeld | e.HeldReplaced | e.ReplaceRequested | e.ReplaceDenied


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One order on which the rules differ. `recorded` is what it got; `newly` are the controls that would

    refuse it and do not now, `no_longer` those that do now and would not.
    """

    order_id: str
    at: datetime
    symbol: str
    side: str
    quantity: Decimal
    recorded: str
    newly: tuple[e.FailedControl, ...]
    no_longer: tuple[str, ...]


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """`would_refuse` counts accepted orders, `would_accept` denied ones. The latest differences are shown."""

    account_id: str
    orders: int
    would_refuse: int
    would_accept: int
    differences: tuple[Difference, ...]


def _asked(event: NewOrder) -> Terms:
    return asked_as(event.terms, event.converted_from) if isinstance(event, e.OrderAccepted) else event.terms


class _Judge:
    """One set of rules, with what risk remembers of messages and orders under it."""

    def __init__(self, limits: Narrower) -> None:
        self._limits = limits
        self._buckets = MessageBuckets(limits.limits(None, None))
        self._recent = RecentOrders()

    def failures(
        self, event: NewOrder, seen: RiskView, prices: Mapping[Symbol, Decimal]
    ) -> dict[str, e.FailedControl]:
        limits = self._limits.limits(event.actor, event.terms.strategy)
        view = msgspec.structs.replace(
            seen,
            limits=limits,
            buckets=self._buckets,
            recent=self._recent,
            fx=_converted(seen, limits, prices),
        )
        judged = [one for one in verdicts(event.terms, view, asked_as=_asked(event)) if not one.shadow]
        failed = {one.control.id: one.failed for one in judged if one.failed}
        if limits is not None and not failed:
            self._recent.remember(_asked(event), seen.now, limits.duplicate_memory)
        return failed

    def message(self, at: datetime) -> None:
        self._buckets.order_sent(at)


class Rehearsal:
    """One at a time: it reads an account's whole past."""

    def __init__(self, journal: Journal, instruments: Mapping[Symbol, Instrument]) -> None:
        self._journal = journal
        self._instruments = by_any_name(instruments)
        self._busy = False

    async def of(
        self, account: AccountId, now: Narrower, would: Narrower, *, orders: int
    ) -> Rehearsed | Refusal:
        """The last `orders` new orders, under both."""
        if self._busy:
            return Refusal(Code.UNAVAILABLE, "another dry run is under way")
        self._busy = True
        try:
            return await self._replayed(account, _Judge(now), _Judge(would), orders)
        except Fault as fault:
            log.error("rehearsal.failed", account=account, why=str(fault))
            return Refusal(Code.UNAVAILABLE, "the account's past cannot be read now")
        finally:
            self._busy = False

    async def _replayed(self, account: AccountId, now: _Judge, would: _Judge, orders: int) -> Rehearsed:
        total = head = 0
        async for stored in self._past(account, None):
            head = stored.seq
            total += isinstance(stored.event, NewOrder)
        past = _Past(self._journal, self._instruments)
        found: list[Difference] = []
        number = 0
        async for stored in self._past(account, head):
            event = stored.event
            if isinstance(event, NewOrder):
                number += 1
                seen = past.view(event) if number > total - orders else None
                if seen is not None:
                    prices = past.prices
                    had, has = now.failures(event, seen, prices), would.failures(event, seen, prices)
                    found += _differences(event, had, has)
            if isinstance(event, _MESSAGES):
                now.message(event.at)
                would.message(event.at)
            await past.take(stored)
        return Rehearsed(
            account_id=account,
            orders=min(total, orders),
            would_refuse=sum(1 for one in found if one.recorded == "accepted" and one.newly),
            would_accept=sum(1 for one in found if one.recorded == "denied" and not one.newly),
            differences=tuple(found[-SHOWN_MAX:]),
        )

    async def _past(self, account: AccountId, upto: int | None) -> AsyncIterator[Stored]:
        """The account's events; everybody else gets a turn in between."""
        count = 0
        async for stored in self._journal.read(account, after=0, upto=upto):
            yield stored
            count += 1
            if count % BREATH_EVENTS == 0:
                await asyncio.sleep(0)


class _Past:
    """The books as they were, and the last price that the journal has of everything."""

    def __init__(self, journal: Journal, instruments: dict[Symbol, Instrument]) -> None:
        self._journal = journal
        self._instruments = instruments
        self._books = Books(instruments)
        self.prices: dict[Symbol, Decimal] = {}

    def view(self, event: NewOrder) -> RiskView | None:
        """The account where the order met it; None for what is not listed any more."""
        terms, account = event.terms, self._books.account
        instrument = self._instruments.get(terms.symbol)
        if account is None or instrument is None or instrument.symbol != terms.symbol:
            return None
        if self._books.order(event.order_id) is not None:
            return None  # it was kept for this session: when it came the market was closed
        price = self._price(event, terms)
        return RiskView(
            now=event.at,
            account=account,
            instrument=instrument,
            exposure=self._books.exposure,
            limits=None,
            reference=None if price is None else ReferencePrice(price, event.at, "journal"),
            kill=None,
            buying_power=BuyingPower(PLENTY, event.at),
            buckets=_NO_BUCKETS,
            recent=_NOTHING_RECENT,
            freshness=Freshness(None),
        )

    def _price(self, event: NewOrder, terms: Terms) -> Decimal | None:
        """What risk judged by, or the latest before it: a denial does not say."""
        if isinstance(event, e.OrderAccepted) and event.reference_price is not None:
            self.prices[terms.symbol] = event.reference_price
        return self.prices.get(terms.symbol)

    async def take(self, stored: Stored) -> None:
        event = stored.event
        begins = isinstance(event, NewOrder | e.OrderAdopted)
        if isinstance(event, e.OrderEvent) and not begins and self._books.order(event.order_id) is None:
            await self._recall(event, stored.seq)
        if isinstance(event, e.OrderEvent | AccountEvent):
            self._books.fold(event)

    async def _recall(self, event: e.AnyOrderEvent, before: int) -> None:
        """An order that ended so long ago that the books have let go of it."""
        past = [one.event for one in await self._journal.history(event.order_id) if one.seq < before]
        found = order_from([one for one in past if isinstance(one, e.OrderEvent)])
        if found is not None:
            self._books.remember(found)


def _converted(seen: RiskView, limits: Limits | None, prices: Mapping[Symbol, Decimal]) -> Fx | None:
    """By the rates of the limits as if they had been current, or the last price that the journal has."""
    if limits is None:
        return None
    home = limits.currency or seen.account.currency

    def quoted(symbol: Symbol) -> Quoted | None:
        price = prices.get(symbol)
        return None if price is None else Quoted(price, seen.now, "journal")

    held = (seen.exposure.instruments.get(symbol) for symbol in seen.account.positions)
    needed = {seen.account.currency, seen.instrument.currency, *seen.account.foreign_cash}
    needed |= seen.exposure.values.keys() | {one.currency for one in held if one is not None}
    if needed == {home}:
        return None
    rates = rates_of(limits.fx_rates, quoted, home, sorted(needed))
    return Fx(home, {name: one._replace(at=seen.now) for name, one in rates.items()}, AGE_MAX)


def _differences(
    event: NewOrder, now: dict[str, e.FailedControl], would: dict[str, e.FailedControl]
) -> list[Difference]:
    """Nothing where both say the same, or where what refused the order then would do so still."""
    newly = tuple(failed for control, failed in would.items() if control not in now)
    no_longer = tuple(control for control in now if control not in would)
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
        )
    ]


def _freed(event: NewOrder, no_longer: tuple[str, ...]) -> bool:
    """Whether every control that refused the order then would not do so any more."""
    if isinstance(event, e.OrderAccepted):
        return False
    return {failed.control for failed in event.failed} <= set(no_longer)


_NO_BUCKETS: Final = MessageBuckets(None)
_NOTHING_RECENT: Final = RecentOrders()
