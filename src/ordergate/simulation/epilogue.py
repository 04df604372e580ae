"""What brokers still do in a house that is whole: answer a call badly, fill, correct, lose their line once.

Every world ends with it, so that what is rare while everything goes wrong at once is seen in each. It judges
nothing: whether the journal has it in time, and the two sides agree, is for the invariants.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Final, Protocol

import msgspec

from ordergate.brokers.paper.fates import Call
from ordergate.brokers.paper.orders import PaperExecution, PaperOrder
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.risk.trading_state import Grade
from ordergate.ports.broker import DedupClass
from ordergate.simulation.brokerage import Brokerage
from ordergate.simulation.ground import Ground
from ordergate.simulation.group_epilogue import GroupEpilogue
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.manners import FALSE, HIDDEN, LATE, SILENT, UNCLEAR, Manner
from ordergate.simulation.market import Market
from ordergate.simulation.mishaps import Mishaps
from ordergate.simulation.operators import Operators
from ordergate.simulation.plan import Setting
from ordergate.simulation.trader import Trader

CALM_S: Final = 3.0
_SHORTLY_S: Final = 0.2
_PLACED_S: Final = 0.8
_UNANSWERED_FILL_S: Final = 1.2
_REPLACED_FILL_S: Final = 1.5
_STOP_AFTER_S: Final = 0.4
_STOP_S: Final = 4.0
_JUMP_AFTER_S: Final = 5.5
_JUMP_S: Final = 3.5
_LATE_LAG_S: Final = 2.0
_STOPPED: Final = 0.3
_RACED: Final = 0.7
_REPLACED_LATE: Final = 0.3
_ROUND_TRIP: Final = 0.5
_FEE: Final = Decimal("0.65")
_TOO_MANY: Final = Decimal(1000)  # more than any limit of a run allows
_CUT_S: Final = 1.0
_LISTED_LATE_S: Final = 2.5


class Place(Protocol):
    """Where it happens."""

    ground: Ground
    brokerages: list[Brokerage]
    traders: list[Trader]
    market: Market
    mishaps: Mishaps
    operators: Operators
    sight: Sight


class Epilogue:
    def __init__(self, town: Place) -> None:
        self._town = town
        self._ground = town.ground
        self._groups = [
            GroupEpilogue(town.ground, town.sight, brokerage, trader)
            for brokerage, trader in zip(town.brokerages, town.traders, strict=True)
        ]

    def begin(self) -> None:
        """While every line stands."""
        for group in self._groups:
            group.begin()
        for brokerage, trader in zip(self._town.brokerages, self._town.traders, strict=True):
            dice = self._ground.chance(f"epilogue {brokerage.number}")
            ours = [one for one in brokerage.exchange.executions if self._is_ours(one)]
            some = dice.sample(ours, min(len(ours), 2))
            for number, (known, amend) in enumerate(zip(some, (_correct, _bust), strict=False), start=1):
                self._ground.later(number * _SHORTLY_S, partial(amend, brokerage, known))
            nameless = brokerage.setting.dedup is DedupClass.C
            answer = partial(self._answer_well if nameless else self._answer_badly, brokerage, trader, dice)
            if self._working(brokerage):
                answer()
            else:
                trader.place_one()
                self._ground.later(_PLACED_S, answer)

    def _is_ours(self, execution: PaperExecution) -> bool:
        subject = execution.order.cl_ord_id
        return bool(execution.quantity) and self._town.sight.order_id_of(subject) is not None

    def _answer_well(self, brokerage: Brokerage, trader: Trader, dice: random.Random) -> None:
        """A replace that the broker answers, and a fill of what it made: it has another name there."""
        working = self._working(brokerage)
        old = dice.choice(working) if working else None
        order = None if old is None else self._town.sight.order_id_of(old.cl_ord_id)
        if old is not None and order is not None:
            trader.replace_one(order, old.terms.quantity + old.filled_before + 1)
            self._ground.later(_REPLACED_FILL_S, partial(self._fill_newest, brokerage, old.id))

    def _fill_newest(self, brokerage: Brokerage, broker_order_id: str) -> None:
        order = brokerage.exchange.order(broker_order_id)
        if order is not None and order.replaced_by is not None:
            brokerage.fill_some(brokerage.exchange.order(order.replaced_by), 0.5)

    def _answer_badly(self, brokerage: Brokerage, trader: Trader, dice: random.Random) -> None:
        """One order, and one replace, that the broker takes and does not say so."""
        manner = self._manner(brokerage.setting, dice)
        working = self._working(brokerage)
        if working:
            old = dice.choice(working)
            order = self._town.sight.order_id_of(old.cl_ord_id)
            if order is not None:
                hides = brokerage.setting.visibility_lag_s and dice.random() < 0.5
                late = self._ground.chance(f"late replace {brokerage.number}").random() < _REPLACED_LATE
                brokerage.manners[Call.REPLACE] = HIDDEN if hides else LATE if late else UNCLEAR
                raced = self._ground.chance(f"race {brokerage.number}").random() < _RACED
                brokerage.races = int(raced and bool(self._ground.plan.strikes))
                trader.replace_one(order, _TOO_MANY)
                trader.replace_one(order, old.terms.quantity + old.filled_before + 1)
        brokerage.manners[Call.PLACE] = manner
        trader.place_one()
        if manner is SILENT:
            self._ground.later(_UNANSWERED_FILL_S, partial(self._fill, brokerage))
        elif manner is HIDDEN and dice.random() < 0.5:
            self._ground.later(_STOP_AFTER_S, partial(self._town.operators.stop_trading_for, _STOP_S))
        elif manner is LATE:
            self._ground.later(_JUMP_AFTER_S, partial(self._town.mishaps.be_wrong_for, _JUMP_S))

    def _manner(self, setting: Setting, dice: random.Random) -> Manner:
        """What tells most of this broker: whether it may be told twice, and how long it may hide an order."""
        resends = setting.dedup is DedupClass.A and setting.resend_is_safe
        if resends and setting.visibility_lag_s and dice.random() < 0.7:
            return HIDDEN
        if not resends and setting.visibility_lag_s < _LATE_LAG_S and dice.random() < 0.5:
            return LATE
        return dice.choice((SILENT, FALSE))

    def _fill(self, brokerage: Brokerage) -> None:
        """A fill is the first that anybody hears of an order."""
        brokerage.fill_some(brokerage.order_of(brokerage.answered_badly), 0.5)

    def _working(self, brokerage: Brokerage) -> Sequence[PaperOrder]:
        """Those that nobody but their application asks about: a group minds its own."""
        known, grouped = self._town.sight.order_id_of, self._town.sight.audit.bundles.of
        return [
            one
            for one in brokerage.exchange.orders()
            if one.is_open and (order := known(one.cl_ord_id)) and grouped(order) is None
            if not brokerage.is_double(one)
        ]

    def cut(self) -> None:
        """The line is lost for a moment, in which trades happen that nothing but the lists can tell."""
        for group in self._groups:
            group.cut()
        for brokerage in self._town.brokerages:
            for stream in brokerage.streams.values():
                stream.cut("epilogue")
            first = len(brokerage.exchange.executions)
            known = [one for one in self._working(brokerage) if one.cl_ord_id not in brokerage.denied_falsely]
            for order in known[:2]:  # a fill would show that a no was not so
                brokerage.fill_some(order, 0.5, fee=_FEE)
            lags = bool(brokerage.setting.visibility_lag_s)
            if lags and self._ground.chance(f"round trip {brokerage.number}").random() < _ROUND_TRIP:
                self._ground.later(_CUT_S / 2, partial(self._there_and_back, brokerage))
            else:
                late = [one.cursor for one in brokerage.exchange.executions[first:-1]]
                brokerage.listed_late.update(late)
                self._ground.later(_CUT_S + _LISTED_LATE_S, brokerage.listed_late.clear)
                if lags:
                    trade = partial(self._town.market.trade_unseen, brokerage, self._elsewhere(brokerage))
                    self._ground.later(_CUT_S / 2, trade)
            self._ground.later(_CUT_S, brokerage.reconnect)

    def _there_and_back(self, brokerage: Brokerage) -> None:
        """Somebody buys elsewhere and sells again at the same price: no figure of the account shows it."""
        bought = self._elsewhere(brokerage, of=-1)
        for side in Side:
            self._town.market.trade_unseen(brokerage, msgspec.structs.replace(bought, side=side))

    def stop(self) -> bool:
        """In some worlds trading is stopped, and the gateway has to start anew with that. Whether in this."""
        dice = self._ground.chance("epilogue").random()
        if dice >= _STOPPED:
            return False
        self._town.operators.restart_stopped(Grade.CANCEL_ALL if dice < _STOPPED / 2 else Grade.BLOCK_NEW)
        return True

    def _elsewhere(self, brokerage: Brokerage, *, of: int = 0) -> Terms:
        symbol = sorted(self._town.market.prices)[of]
        return Terms(
            account=brokerage.account,
            symbol=symbol,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal(1),
            limit_price=self._town.market.prices[symbol],
            time_in_force=TimeInForce.GTC,
        )


def _correct(brokerage: Brokerage, known: PaperExecution) -> None:
    quantity = known.quantity if known.quantity < 2 else known.quantity - 1
    brokerage.exchange.correct(known.exec_id, quantity, known.price + 1)


def _bust(brokerage: Brokerage, known: PaperExecution) -> None:
    brokerage.exchange.bust(known.exec_id)
