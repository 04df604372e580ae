"""The market behind the brokers: prices that wander, and fills that nobody asked for.

It also does to the ledger what brokers do: takes executions back, corrects them, fills too much, and
holds orders that somebody placed elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from ordergate.brokers.paper.orders import Kind, PaperOrder
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.simulation.brokerage import Brokerage
from ordergate.simulation.ground import Ground
from ordergate.simulation.listing import FIRST_PRICE
from ordergate.simulation.plan import Strike

_STEP_S: Final = 0.4
_AGAIN: Final = "-again-"


def first_told_as(exec_id: str) -> str:
    """The venue's own id of an execution that was told again under another one."""
    return exec_id.partition(_AGAIN)[0]


class Market:
    def __init__(
        self, ground: Ground, brokerages: Sequence[Brokerage], instruments: Mapping[Symbol, Instrument]
    ) -> None:
        self.prices: dict[Symbol, Decimal] = dict(FIRST_PRICE)
        self._ground = ground
        self._brokerages = brokerages
        self._instruments = instruments
        self._chance = ground.chance("market")
        self._open = True
        self._manual = 0
        self._restated = 0
        self._opened: Callable[[], Collection[AccountId]] = lambda: ()
        ground.weather.on("B8", self._restate)
        ground.weather.on("B14", self._amend)
        ground.weather.on("B15", self._meddle)
        ground.weather.on("B10", self._meddle_unseen)

    def begin(self, opened: Callable[[], Collection[AccountId]]) -> None:
        """`opened` tells which accounts the gateway has opened."""
        self._opened = opened
        for brokerage in self._brokerages:
            for symbol, price in self.prices.items():
                brokerage.exchange.mark(symbol, price)
        self._ground.later(_STEP_S, self._step)

    def close(self) -> None:
        """Trade nothing more: what is open stays open."""
        self._open = False

    def _step(self) -> None:
        if not self._open:
            return
        for symbol in sorted(self.prices):
            self._move(symbol)
        for brokerage in self._brokerages:
            self._nibble(brokerage)
        self._ground.later(_STEP_S * self._chance.uniform(0.5, 1.5), self._step)

    def _move(self, symbol: Symbol) -> None:
        tick = self._instruments[symbol].tick
        steps = round(self._chance.gauss(0, 4 * self._ground.plan.setting.volatility))
        low, high = FIRST_PRICE[symbol] * Decimal("0.97"), FIRST_PRICE[symbol] * Decimal("1.03")
        price = min(max(self.prices[symbol] + steps * tick, low), high)
        self.prices[symbol] = price - price % tick
        for brokerage in self._brokerages:
            brokerage.exchange.mark(symbol, self.prices[symbol])

    def _nibble(self, brokerage: Brokerage) -> None:
        """Some of an order trades, expires, or is refused behind the broker."""
        working = [order for order in brokerage.exchange.orders() if order.is_open]
        if not working:
            return
        order = self._chance.choice(working)
        dice = self._chance.random()
        if dice < 0.35:
            brokerage.fill_some(order, self._chance.choice((0.3, 0.5, 1.0)))
        elif dice < 0.39:
            brokerage.exchange.expire(order.id)
        elif dice < 0.42 and order.cum_qty == 0:
            brokerage.exchange.reject(order.id, "refused by the market")

    # -- what a broker does to its own books

    def _restate(self, strike: Strike) -> None:
        """B8: an execution is told again, under an id that nobody has seen."""
        exchange = self._brokerages[strike.account].exchange
        live = [one for one in exchange.executions if one.quantity]
        if not live:
            return
        known = live[-1 - int(strike.dose * min(len(live), 5)) % min(len(live), 5)]
        self._restated += 1
        exchange.restate(known.exec_id, f"{known.exec_id}{_AGAIN}{self._restated}")
        self._ground.weather.seen("B8", known.exec_id)

    def _amend(self, strike: Strike) -> None:
        """B14: an execution is taken back, or its quantity and price are corrected."""
        exchange = self._brokerages[strike.account].exchange
        live = [one for one in exchange.executions if one.quantity]
        if not live:
            return
        known = live[int(strike.dose * len(live)) % len(live)]
        if strike.number % 3 == 0:
            exchange.bust(known.exec_id)
        elif strike.number % 3 == 1:
            tick = self._instruments[known.order.terms.symbol].tick
            exchange.bust(known.exec_id)
            put_back = partial(self._put_back, strike, known.exec_id, known.quantity, known.price + tick)
            self._ground.later(1.0, put_back)
        else:
            tick = self._instruments[known.order.terms.symbol].tick
            quantity = known.quantity if known.quantity < 2 else known.quantity - 1
            exchange.correct(known.exec_id, quantity, known.price + tick)
        self._ground.weather.seen("B14", known.exec_id)

    def _put_back(self, strike: Strike, exec_id: str, quantity: Decimal, price: Decimal) -> None:
        """A bust is corrected: the execution stands after all, at another price."""
        self._brokerages[strike.account].exchange.correct(exec_id, quantity, price)

    def _meddle(self, strike: Strike) -> None:
        """B15: an order placed elsewhere, maybe of a kind beyond our terms, or one that fills too much."""
        brokerage = self._brokerages[strike.account]
        if brokerage.account not in self._opened():
            # A broker tells the average price alone of what was held before: no books can equal lots by it.
            self._ground.later(_STEP_S, lambda: self._meddle(strike))
            return
        working = [order for order in brokerage.exchange.orders() if order.is_open]
        if strike.number % 3 == 0 and working:
            self._overfill(brokerage, working[int(strike.dose * len(working)) % len(working)])
        else:
            self._manual += 1
            terms = self._manual_terms(brokerage, strike)
            brokerage.exchange.submit(f"by-hand-{self._manual}", terms, _kind_of(strike))
        self._ground.weather.seen("B15")

    def _meddle_unseen(self, cut: Strike) -> None:
        """Now and then somebody trades elsewhere while the line is cut, and is not found when it is back."""
        brokerage = self._brokerages[cut.account]
        lag_s = brokerage.setting.visibility_lag_s
        if lag_s and int(cut.dose * 100) % 2:
            self._ground.later(max(cut.lasts - lag_s / 2, 0.0), partial(self._trade_unseen, brokerage, cut))

    def _trade_unseen(self, brokerage: Brokerage, cut: Strike) -> None:
        if not self._ground.weather.healed and brokerage.account in self._opened():
            self.trade_unseen(brokerage, self._manual_terms(brokerage, cut), _kind_of(cut))
            self._ground.weather.seen("B15", "while the line was cut")

    def trade_unseen(self, brokerage: Brokerage, terms: Terms, kind: Kind = Kind.PLAIN) -> None:
        """Somebody trades elsewhere, at once and whole; no question finds it for a while."""
        self._manual += 1
        tick = self._instruments[terms.symbol].tick
        through = self.prices[terms.symbol] + terms.side.sign * 40 * tick
        order = brokerage.exchange.submit(
            f"by-hand-{self._manual}", msgspec.structs.replace(terms, limit_price=through), kind
        )
        if isinstance(order, PaperOrder):
            brokerage.hide(order, 1.0)

    def _overfill(self, brokerage: Brokerage, order: PaperOrder) -> None:
        price = order.terms.limit_price or self.prices[order.terms.symbol]
        if brokerage.fill_some(order):
            brokerage.exchange.fill_beyond(order.id, Decimal(1), price)

    def _manual_terms(self, brokerage: Brokerage, strike: Strike) -> Terms:
        symbol = sorted(self.prices)[strike.number % len(self.prices)]
        away = -40 if strike.dose < 0.5 else 40
        return Terms(
            account=brokerage.account,
            symbol=symbol,
            side=Side.BUY if strike.number % 2 else Side.SELL,
            type=OrderType.LIMIT,
            quantity=Decimal(1 + strike.number % 3),
            limit_price=self.prices[symbol] + away * self._instruments[symbol].tick,
            time_in_force=TimeInForce.GTC,
        )


def _kind_of(strike: Strike) -> Kind:
    """Half of what is placed elsewhere is as our own orders are; the other half our terms cannot say."""
    kinds = (Kind.PLAIN, Kind.TRAILING, Kind.PLAIN, Kind.BY_VALUE, Kind.PLAIN, Kind.LEGGED)
    return kinds[int(strike.dose * 1000) % len(kinds)]
