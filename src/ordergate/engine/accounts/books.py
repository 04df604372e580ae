"""One account folded to its head in memory: books, orders, and what risk needs of both.

Mutable, and owned by exactly one lane. `fold` is the only way in: the same events in the same
order make the same books, whether they were just decided or are read back at start-up.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

import msgspec

from ordergate.core.accounts import account as accounts
from ordergate.core.accounts.account import Account
from ordergate.core.accounts.breaks import Break
from ordergate.core.accounts.events import (
    AccountEvent,
    AccountOpened,
    AnyAccountEvent,
    AnyBreakEvent,
    PositionAdjusted,
)
from ordergate.core.contingent.events import AnyGroupEvent, GroupEvent
from ordergate.core.faults import InvariantBroken
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.money import ZERO
from ordergate.core.orders import events as e
from ordergate.core.orders import order as orders
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.risk.exposure import Exposure
from ordergate.core.risk.memories import Strategies
from ordergate.core.risk.profit import ProfitLog
from ordergate.core.risk.resting import Resting
from ordergate.core.risk.tally import Executed, Tally, is_error
from ordergate.core.risk.valuation import Valuation
from ordergate.engine.accounts.broker_ids import BrokerIds
from ordergate.engine.accounts.group_books import GroupBooks
from ordergate.engine.accounts.labels import Labels
from ordergate.engine.accounts.pictures import Picture, Unreadable

FINAL_ORDERS_KEPT_MAX: Final = 20_000
RECALLED_KEPT_MAX: Final = 1_000
MESSAGES_KEPT_MAX: Final = 20_000


class Change(msgspec.Struct, frozen=True, gc=False):
    """What one event did: the order before and after it, or the break after it, if it was one's."""

    before: Order | None
    after: Order | None
    account: Account | None
    broken: Break | None = None

    @property
    def reached(self) -> Status | None:
        """The status that the order came to by this event; None where it stayed in its own."""
        if self.after is None or (self.before is not None and self.before.status is self.after.status):
            return None
        return self.after.status


class Books:
    """The state of one account. Final orders are forgotten beyond a bound; the journal has them."""

    def __init__(
        self, instruments: dict[Symbol, Instrument], *, reserves: bool = True, nameless: bool = False
    ) -> None:
        """Where a long past is folded first, `reserves` is False until `reserve` is called.

        A `nameless` account's broker knows orders by its own ids alone: these are kept for ever.
        """
        self.account: Account | None = None
        self._reserves = reserves
        self.exposure = Exposure(instruments)
        self.resting = Resting(instruments)
        self.valuation = Valuation()
        self.profit = ProfitLog()
        self.strategies = Strategies()
        self.messages: deque[datetime] = deque(maxlen=MESSAGES_KEPT_MAX)
        self.tally = Tally()
        self.groups = GroupBooks()
        self._instruments = instruments
        self._open: dict[OrderId, Order] = {}
        self._waiting: dict[OrderId, Order] = {}
        self._held: dict[OrderId, Order] = {}
        self._final: OrderedDict[OrderId, Order] = OrderedDict()
        self._recalled: OrderedDict[OrderId, Order] = OrderedDict()
        self._labels = Labels()
        self._by_client_id: dict[str, OrderId] = {}
        self.old_names: dict[Symbol, Symbol] = {}
        self._by_broker_id: dict[str, OrderId] = {}
        self._earlier_broker_ids: dict[OrderId, list[str]] = {}
        self._broker_ids: BrokerIds | None = BrokerIds() if nameless else None

    def order(self, order_id: OrderId) -> Order | None:
        return self._open.get(order_id) or self._final.get(order_id) or self._recalled.get(order_id)

    def order_of_broker(self, broker_order_id: str) -> Order | None:
        """An order in memory by an id that the broker gave it; serves what carries no id of ours."""
        known = self._by_broker_id.get(broker_order_id)
        return None if known is None else self.order(known)

    def id_of_broker(self, broker_order_id: str) -> OrderId | None:
        """Which order the broker calls so, or called so: of a nameless account also when memory let it go."""
        known = self._by_broker_id.get(broker_order_id)
        if known is not None or self._broker_ids is None:
            return known
        return self._broker_ids.order_of(broker_order_id)

    def present_name(self, symbol: Symbol) -> Symbol:
        """What it is called now: an order keeps the name that it was placed under."""
        listed = self._instruments.get(symbol)
        return symbol if listed is None else listed.symbol

    def names_of(self, symbol: Symbol) -> tuple[Symbol, ...]:
        """The present one, and its others."""
        listed = self._instruments.get(symbol)
        return (symbol,) if listed is None else (listed.symbol, *listed.aliases)

    def has_client_order_id(self, client_order_id: str) -> bool:
        """True when an order in memory carries it."""
        return client_order_id in self._by_client_id

    def may_have_client_order_id(self, client_order_id: str) -> bool:
        """False when the account has certainly never used it."""
        return self._labels.may_have(client_order_id)

    def open_orders(self) -> Iterator[Order]:
        return iter(tuple(self._open.values()))

    def waiting_orders(self) -> Iterator[Order]:
        """Open orders with a question to the broker that has no answer yet."""
        return iter(tuple(self._waiting.values()))

    def held_orders(self) -> Iterator[Order]:
        """Open orders that are kept for the next session, in the order in which they came."""
        return iter(tuple(self._held.values()))

    @contextmanager
    def without(self, order: Order) -> Iterator[None]:
        """For as long as it lasts nothing is reserved for an open order, as if it had not come yet."""
        self._reserve(order, msgspec.structs.replace(order, status=Status.CANCELED))
        self.profit.untraded.discard(order.id)
        try:
            yield
        finally:
            self._reserve(None, order)
            self.profit.watch(order)

    def lately_final(self, most: int) -> Iterator[Order]:
        """The orders that ended last, the last one first."""
        return itertools.islice(reversed(self._final.values()), most)

    def orders_accepted(self) -> list[Order]:
        """Orders that risk approved and memory has not let go, oldest first."""
        held = itertools.chain(self._open.values(), self._final.values(), self._recalled.values())
        ours = [one for one in held if not one.external]
        accepted = [one for one in ours if one.status not in (Status.DENIED, Status.HELD)]
        return sorted(accepted, key=lambda order: order.accepted_at)

    @property
    def open_count(self) -> int:
        return len(self._open)

    def remember(self, order: Order, broker_ids: Collection[str] = ()) -> None:
        """Take an old order back into memory, folded from the journal, with what the broker called it.

        However many are: those that ended lately stay.
        """
        self._recalled[order.id] = order
        for one in (*broker_ids, *filter(None, (order.broker_order_id,))):
            self._by_broker_id.setdefault(one, order.id)  # the broker may have given it to another since
        if earlier := [one for one in broker_ids if one != order.broker_order_id]:
            self._earlier_broker_ids[order.id] = earlier
        self._forget(self._recalled, RECALLED_KEPT_MAX)

    def reserve(self) -> None:
        """Reserve what is open now, and from now on whatever changes."""
        self._reserves = True
        for order in self._open.values():
            self.exposure.moved(None, order)
            self.resting.moved(order)
        held = () if self.account is None else self.account.positions
        for symbol in {*held, *self.exposure.symbols()}:
            self._value(symbol)

    def picture(self) -> Picture:
        """All that they know now, as values; the next event changes none of them."""
        errors, executions = self.tally.kept()
        return Picture(
            account=self.account,
            old_names=dict(self.old_names),
            open=tuple(self._open.values()),
            waiting=tuple(self._waiting),
            final=tuple(self._final.values()),
            recalled=tuple(self._recalled.values()),
            by_client_id=dict(self._by_client_id),
            by_broker_id=dict(self._by_broker_id),
            earlier_broker_ids={order: tuple(ids) for order, ids in self._earlier_broker_ids.items()},
            labels=self._labels.pack(),
            broker_ids=b"" if self._broker_ids is None else self._broker_ids.pack(),
            groups=tuple(self.groups.kept()),
            group_of=dict(self.groups.of_order),
            group_orders=tuple(self.groups.orders.values()),
            made=self.profit.kept(),
            made_abroad={currency: log.kept() for currency, log in self.profit.abroad.items()},
            untraded=tuple(sorted(self.profit.untraded)),
            strategies=self.strategies.kept(),
            messages=tuple(self.messages),
            errors=errors,
            executions=executions,
        )

    def show(self, picture: Picture) -> None:
        """Know what the picture knows; for books that know nothing yet. Raises Unreadable."""
        if picture.account is None:
            raise Unreadable("the picture is of no account")
        if self._broker_ids is not None and picture.by_broker_id and not picture.broker_ids:
            raise Unreadable("the picture is of books that did not keep the broker's ids")
        self.account = picture.account
        self.old_names.update(picture.old_names)
        self._open.update((order.id, order) for order in picture.open)
        self._held.update((order.id, order) for order in picture.open if order.status is Status.HELD)
        self._final.update((order.id, order) for order in picture.final)
        self._recalled.update((order.id, order) for order in picture.recalled)
        self._by_client_id.update(picture.by_client_id)
        self._by_broker_id.update(picture.by_broker_id)
        earlier = picture.earlier_broker_ids
        self._earlier_broker_ids.update((order, list(ids)) for order, ids in earlier.items())
        try:
            self._labels = Labels(picture.labels)
            if self._broker_ids is not None:
                self._broker_ids = BrokerIds(picture.broker_ids)
            self._waiting.update((order_id, self._open[order_id]) for order_id in picture.waiting)
        except (KeyError, ValueError) as error:
            raise Unreadable(f"the picture does not fit together: {error!r}") from error
        self.groups.show(picture.groups, picture.group_of, picture.group_orders)
        self.profit.show(picture.made, picture.untraded)
        for currency, quarters in picture.made_abroad.items():
            self.profit.abroad.setdefault(currency, ProfitLog()).show(quarters, ())
        self.strategies.show(picture.strategies)
        self.messages.extend(picture.messages)
        self.tally.show(picture.errors, picture.executions)

    def fold(self, event: e.AnyOrderEvent | AnyAccountEvent | AnyGroupEvent) -> Change:
        """Apply one event. Raises IllegalTransition or InvariantBroken and changes nothing."""
        if isinstance(event, AccountEvent):
            return self._fold_account(event)
        before = self.order(event.order_id)
        after = orders.first(event) if before is None else orders.evolve(before, event)
        account = self._book(before, event)
        self._keep(before, after)
        if isinstance(event, _MESSAGES):
            self.messages.append(event.at)
        elif isinstance(event, _COUNTED):
            self._count(after, event)
        if type(event) is e.OrderAccepted:
            self.strategies.saw(event.terms, event.at)
        return Change(before, after, account)

    def _count(self, order: Order, event: e.AnyOrderEvent) -> None:
        """What breakers count: nothing that others placed, nor by which a flatten closes what is held."""
        if is_error(event):
            self.tally.failed(event.at)
        elif isinstance(event, e.Fill) and not (order.external or self.groups.closes(order.id)):
            self.tally.executed(Executed(event.at, order.terms.strategy, order.actor))

    def _fold_account(self, event: AnyAccountEvent | AnyGroupEvent) -> Change:
        if isinstance(event, GroupEvent):
            self.groups.fold(event)
            return Change(None, None, None)
        if isinstance(event, AccountOpened):
            self.account = accounts.opened(event)
            return Change(None, None, self.account)
        before = self._opened()
        if isinstance(event, PositionAdjusted):
            event = self._by_its_name(event)
        self.account = accounts.evolve(before, event)
        if isinstance(event, PositionAdjusted) and self._reserves:
            self._value(event.symbol)
        broken = accounts.broken(before, event) if isinstance(event, AnyBreakEvent) else None
        return Change(None, None, self.account, broken)

    def _book(self, before: Order | None, event: e.AnyOrderEvent) -> Account | None:
        """Executions move positions and cash; other order events do not."""
        if before is None or not isinstance(event, _MOVES_BOOKS):
            return None
        instrument = self._instruments.get(before.terms.symbol)
        if instrument is None:
            raise InvariantBroken(f"{before.id} trades {before.terms.symbol}, which is not listed")
        if instrument.symbol != before.terms.symbol:
            self.old_names[before.terms.symbol] = instrument.symbol
        account = self._opened()
        self.account = accounts.book(account, instrument, before, event)
        self._profit(account, self.account, instrument, before, event)
        return self.account

    def _profit(
        self, was: Account, now: Account, instrument: Instrument, order: Order, event: e.AnyOrderEvent
    ) -> None:
        """What the execution realised, its fee paid. One taken back takes its profit back, not its fee."""
        realised = now.position(instrument.symbol).realised - was.position(instrument.symbol).realised
        fee = event.fee if isinstance(event, e.Fill) else ZERO
        began = isinstance(event, e.Fill) and not order.executions
        made = realised * instrument.multiplier
        if instrument.currency != now.currency:
            self.profit.book_abroad(event.at, instrument.currency, made)
            made = ZERO
        self.profit.book(event.at, made - fee, began=began)

    def _value(self, symbol: Symbol) -> None:
        """The symbol's part of what the account is worth and exposed to, worked out anew."""
        account = self._opened()
        instrument = self._instruments.get(symbol)
        opened = self.exposure.of(symbol)
        self.valuation.moved(symbol, account.position(symbol), opened, instrument, account.currency)

    def _by_its_name(self, event: PositionAdjusted) -> PositionAdjusted:
        """What was taken over under a name that the instrument no longer has is its position all the same."""
        instrument = self._instruments.get(event.symbol)
        if instrument is None or instrument.symbol == event.symbol:
            return event
        self.old_names[event.symbol] = instrument.symbol
        return msgspec.structs.replace(event, symbol=instrument.symbol)

    def _opened(self) -> Account:
        if self.account is None:
            raise InvariantBroken("the account's first event must be account_opened")
        return self.account

    def _keep(self, before: Order | None, after: Order) -> None:
        self.profit.watch(after)
        if self._reserves:
            self._reserve(before, after)
        if after.id in self.groups.of_order:
            self.groups.saw(after)
        if before is None and after.terms.client_order_id is not None:
            self._labels.add(after.terms.client_order_id)
            self._by_client_id[after.terms.client_order_id] = after.id
        named = None if before is None else before.broker_order_id
        if after.broker_order_id is not None and after.broker_order_id != named:
            self._by_broker_id[after.broker_order_id] = after.id
            if self._broker_ids is not None:
                self._broker_ids.add(after.broker_order_id, after.id)
            if named is not None:
                self._earlier_broker_ids.setdefault(after.id, []).append(named)
        is_final, is_held = after.is_final, after.status is Status.HELD
        if is_held:
            self._held[after.id] = after
        elif self._held:
            self._held.pop(after.id, None)
        if is_final or is_held or (after.status is Status.WORKING and not after.is_asked):
            self._waiting.pop(after.id, None)
        else:
            self._waiting[after.id] = after
        if not is_final:
            self._open[after.id] = after
            self._final.pop(after.id, None)
            self._recalled.pop(after.id, None)
            return
        self._open.pop(after.id, None)
        if after.id in self._recalled:
            self._recalled[after.id] = after
            return
        self._final[after.id] = after
        self._forget(self._final, FINAL_ORDERS_KEPT_MAX)

    def _reserve(self, before: Order | None, after: Order) -> None:
        self.exposure.moved(before, after)
        self.resting.moved(after)
        if self.account is not None:
            self._value(self.present_name(after.terms.symbol))

    def _forget(self, final: OrderedDict[OrderId, Order], most: int) -> None:
        while len(final) > most:
            _, oldest = final.popitem(last=False)
            self._by_client_id.pop(oldest.terms.client_order_id or "", None)
            earlier = self._earlier_broker_ids.pop(oldest.id, ())
            for one in (*earlier, *filter(None, (oldest.broker_order_id,))):
                if self._by_broker_id.get(one) == oldest.id:
                    del self._by_broker_id[one]


_MESSAGES: Final = (
    e.OrderAccepted,
    e.OrderHeld,
    e.HeldReplaced,
    e.OrderDenied,
    e.ReplaceRequested,
    e.ReplaceDenied,
)

_COUNTED: Final = (e.Fill, e.OutcomeUnknown, e.OrderRejected, e.ReplaceRejected)

_MOVES_BOOKS: Final = (
    e.OrderPartiallyFilled,
    e.OrderFilled,
    e.ExecutionBusted,
    e.ExecutionCorrected,
)


def order_from(history: Iterable[e.AnyOrderEvent]) -> Order | None:
    """One order folded from its own events alone."""
    order: Order | None = None
    for event in history:
        order = orders.first(event) if order is None else orders.evolve(order, event)
    return order
