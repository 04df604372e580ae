"""An account as each of its orders met it: the books folded up to there, the market as the journal knows it.

Every decision has the price that risk judged by, and an execution has one as well: what is held is valued by
the latest of each instrument. A quote, or since when the account was behind its broker, is in the journal
only where it was a reason to refuse. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import Final, NamedTuple

import msgspec

from ordergate.core.accounts.events import AccountEvent
from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders import events as e
from ordergate.core.risk.fx import Fx, Quoted
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.rates import MessageBuckets
from ordergate.core.risk.recent import RecentOrders
from ordergate.core.risk.valuation import Totals
from ordergate.core.risk.view import BuyingPower, Freshness, HoursOf, ReferencePrice, RiskView, Top
from ordergate.engine.accounts.books import Books, order_from
from ordergate.engine.worth.converting import converted
from ordergate.engine.worth.valuing import LOOK_S
from ordergate.ports.journal import Journal, Stored

PLENTY: Final = Decimal(10) ** 17
JOURNAL: Final = "journal"
RATE: Final = "fx_rate_"
LOOK: Final = timedelta(seconds=LOOK_S)

NewOrder = e.OrderAccepted | e.OrderDenied
Decision = NewOrder | e.OrderHeld | e.ReplaceRequested | e.ReplaceDenied


class Manner(Enum):
    """What an order was when risk was asked: alone, one of a group, or one that was kept and is to leave."""

    ALONE = auto()
    LEG = auto()
    RELEASE = auto()


class Met(msgspec.Struct, frozen=True):
    """An order, and everything that it met. `view` is without limits and what risk remembers under them."""

    event: NewOrder
    manner: Manner
    view: RiskView


class Others(NamedTuple):
    """Who else there is, and not in the account's own past.

    `has_kin`: its owner has other accounts. What the groups are exposed to that it is `alone_in` is its own.
    """

    has_kin: bool
    alone_in: frozenset[str]


class Told(NamedTuple):
    """A rate that the decision `by` that moment converted by."""

    by: datetime
    rate: Quoted


class Past:
    """The books as they were, and the last price that the journal has of everything."""

    def __init__(
        self, journal: Journal, instruments: Mapping[Symbol, Instrument], hours: HoursOf, others: Others
    ) -> None:
        """`instruments` by every name that they have, or had."""
        self.others = others
        self._journal = journal
        self._instruments = dict(instruments)
        self.hours = hours
        self.books = Books(self._instruments)
        self.prices: dict[Symbol, Decimal] = {}
        self._rates: dict[str, Told] = {}
        self._priced_at: datetime | None = None
        self._looked_at: datetime | None = None

    def due(self, now: datetime) -> datetime | None:
        """When losses were last looked up before now, which is once a second; None where nothing is new."""
        priced, looked = self._priced_at, self._looked_at
        if priced is None or (looked is not None and now - looked < LOOK):
            return None
        self._priced_at, self._looked_at = None, min(now, priced + LOOK)
        return self._looked_at

    @contextmanager
    def met(self, event: NewOrder) -> Iterator[Met | None]:
        """The account where the order met it; None for what is not listed any more."""
        kept = self.books.order(event.order_id)
        with nullcontext() if kept is None else self.books.without(kept):
            view = self._view(event)
            yield None if view is None else Met(event, self.manner(event), view)

    def manner(self, event: NewOrder) -> Manner:
        """Before the order is folded."""
        if self.books.order(event.order_id) is not None:
            return Manner.RELEASE
        return Manner.LEG if event.order_id in self.books.groups.of_order else Manner.ALONE

    def _view(self, event: NewOrder) -> RiskView | None:
        account, instrument = self.books.account, self._instruments.get(event.terms.symbol)
        if account is None or instrument is None or instrument.symbol != event.terms.symbol:
            return None
        books = self.books
        if event.reference_price is not None:
            self._learn(instrument.symbol, event.reference_price)
        self._rates.update(_rates_of(event))
        self.look(event.at)
        return RiskView(
            now=event.at,
            account=account,
            instrument=instrument,
            exposure=books.exposure,
            limits=None,
            reference=_reference(event),
            kill=None,
            buying_power=BuyingPower(PLENTY, event.at),
            buckets=_NO_BUCKETS,
            recent=_NOTHING_RECENT,
            freshness=_freshness(event),
            top=_top(event),
            hours=self.hours(instrument.symbol, event.at),
            valuation=books.valuation,
            profit=books.profit,
            strategies=books.strategies,
            rivals=(books.resting,),
            grouped=books.groups.of_order.keys(),
        )

    def look(self, at: datetime) -> None:
        """Everything is valued as of now; what is held and has never had a price cannot be."""
        valuation = self.books.valuation
        symbols = valuation.symbols()
        unknown = [one for one in symbols if valuation.holds(one) and one not in self.prices]
        valuation.looked_up(at, frozenset(unknown))

    def converted(self, limits: Limits | None, at: datetime, currency: str | None = None) -> Fx | None:
        """The rates of the limits as of then; from now on all is valued in their currency."""
        account, valuation = self.books.account, self.books.valuation
        if account is None or limits is None:
            return None
        pairs = _pairs(limits, limits.currency or account.currency)
        fx = converted(account, valuation, limits, lambda symbol: self._quoted(symbol, at, pairs), currency)
        if len(valuation.shared) < len(self.others.alone_in):
            sums = {name: Totals() for name in self.others.alone_in}
            valuation.join(account.id, valuation.home or account.currency, sums)
        return fx

    def lacks_a_rate(self, limits: Limits, at: datetime) -> bool:
        """True where a rate is the price of a symbol, and the journal has none by then."""
        table, account = limits.fx_rates, self.books.account
        if table is None or account is None:
            return False
        pairs = _pairs(limits, limits.currency or account.currency)
        symbols = (Symbol(one.symbol) for one in table.rates.values() if one.symbol is not None)
        return any(self._quoted(symbol, at, pairs) is None for symbol in symbols)

    def _quoted(self, symbol: Symbol, at: datetime, pairs: Mapping[Symbol, str]) -> ReferencePrice | None:
        """What a decision converted by, or the latest price: as fresh as it was, or as if it had been."""
        told = self._rates.get(pairs.get(symbol, ""))
        if told is not None and told.rate.source.endswith(f" {symbol}"):
            return ReferencePrice(told.rate.rate, told.rate.at if told.by == at else at, JOURNAL)
        price = self.prices.get(symbol)
        return None if price is None else ReferencePrice(price, at, JOURNAL)

    @property
    def has_unlisted(self) -> bool:
        """True while something is held or open that is not listed any more: what it is worth nobody knows."""
        account = self.books.account
        positions = {} if account is None else account.positions
        held = (symbol for symbol, position in positions.items() if position.quantity)
        return any(one not in self._instruments for one in (*held, *self.books.exposure.symbols()))

    async def take(self, stored: Stored) -> None:
        """Fold one event."""
        event = stored.event
        if not isinstance(event, e.OrderEvent | AccountEvent):
            return
        begins = isinstance(event, NewOrder | e.OrderHeld | e.OrderAdopted)
        if isinstance(event, e.OrderEvent) and not begins and self.books.order(event.order_id) is None:
            await self._recall(event, stored.seq)
        self.books.fold(event)
        if isinstance(event, NewOrder):
            self._rates.update(_rates_of(event))
        if isinstance(event, e.Fill):
            self._learn_of(event, event.price)
        elif isinstance(event, Decision):
            self._learn_of(event, event.reference_price)

    def _learn_of(self, event: e.OrderEvent, price: Decimal | None) -> None:
        order = self.books.order(event.order_id)
        listed = None if order is None else self._instruments.get(order.terms.symbol)
        if listed is not None and price is not None:
            self._learn(listed.symbol, price)
            self._priced_at = event.at

    def _learn(self, symbol: Symbol, price: Decimal) -> None:
        self.prices[symbol] = price
        self.books.valuation.mark(symbol, price)

    async def _recall(self, event: e.OrderEvent, before: int) -> None:
        """An order that ended so long ago that the books have let go of it."""
        past = [one.event for one in await self._journal.history(event.order_id) if one.seq < before]
        found = order_from([one for one in past if isinstance(one, e.OrderEvent)])
        if found is not None:
            self.books.remember(found)


def as_of_then(limits: Limits, symbol: Symbol, at: datetime) -> Limits:
    """The same, with what they know as of a later day as if it had been known by then.

    Rates, the restricted list and the daily volume are renewed day by day: those of today are tried.
    """
    changes: dict[str, object] = {}
    if limits.restricted is not None and limits.restricted.as_of > at:
        changes["restricted"] = msgspec.structs.replace(limits.restricted, as_of=at)
    table = limits.fx_rates
    if table is not None and any(one.as_of is not None and one.as_of > at for one in table.rates.values()):
        rates = {
            name: msgspec.structs.replace(one, as_of=min(one.as_of, at)) if one.as_of is not None else one
            for name, one in table.rates.items()
        }
        changes["fx_rates"] = msgspec.structs.replace(table, rates=rates)
    its = limits.instruments.get(symbol)
    if its is not None and its.average_daily_volume_at is not None and its.average_daily_volume_at > at:
        its = msgspec.structs.replace(its, average_daily_volume_at=at)
        changes["instruments"] = {**limits.instruments, symbol: its}
    return msgspec.structs.replace(limits, **changes) if changes else limits


def said_of(event: NewOrder, control: str) -> e.FailedControl | None:
    """What the control itself said of the order, if it refused it then or would have."""
    failed = event.failed if isinstance(event, e.OrderDenied) else ()
    return next((one for one in (*failed, *event.noted) if one.control == control), None)


def _pairs(limits: Limits, home: str) -> dict[Symbol, str]:
    """The pair of currencies that a symbol's price is the rate of, where it is so as it stands."""
    table = limits.fx_rates
    if table is None or table.base != home:
        return {}
    return {Symbol(one.symbol): f"{name}{home}" for name, one in table.rates.items() if one.symbol}


def _rates_of(event: NewOrder) -> Iterator[tuple[str, Told]]:
    """The rates that a decision says it converted by, by their pairs."""
    said = event.fx if isinstance(event, e.OrderAccepted) else {}
    for failed in event.failed if isinstance(event, e.OrderDenied) else ():
        said = {**said, **failed.inputs}
    for name, value in said.items():
        if name.startswith(RATE):
            pair = name.removeprefix(RATE)
            age = timedelta(seconds=float(said[f"fx_age_s_{pair}"]))
            rate = Quoted(Decimal(value), event.at - age, said[f"fx_source_{pair}"])
            yield pair, Told(event.at, rate)


def _reference(event: NewOrder) -> ReferencePrice | None:
    """What risk judged by. How old it was, releases before this one did not write down."""
    price, basis = event.reference_price, event.basis
    if price is None:
        return None
    at = None if basis is None else basis.reference_at
    source = None if basis is None else basis.reference_source
    return ReferencePrice(price, at or event.at, source or JOURNAL)


def _top(event: NewOrder) -> Top | None:
    """The quote, where it was a reason to refuse: no other decision has it."""
    said = said_of(event, "R10")
    if said is None or not {"bid", "ask", "quoted_at"} <= said.inputs.keys():
        return None
    at = datetime.fromisoformat(said.inputs["quoted_at"])
    return Top(Decimal(said.inputs["bid"]), Decimal(said.inputs["ask"]), at)


def _freshness(event: NewOrder) -> Freshness:
    """Current, unless it was a reason to refuse."""
    said = said_of(event, "R25")
    since = None if said is None else said.inputs.get("stale_since")
    return (
        Freshness(None) if since is None else Freshness(datetime.fromisoformat(since), "as it was told then")
    )


_NO_BUCKETS: Final = MessageBuckets(None)
_NOTHING_RECENT: Final = RecentOrders()
