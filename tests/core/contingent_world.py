"""A group of orders in a world of its own: a broker that does anything a broker may, and a market.

The world applies steps as the engine does, events first, and can lose any of them, as a crash does.
It judges nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from ordergate.core.contingent import events as g
from ordergate.core.contingent import group as groups
from ordergate.core.contingent import steps as s
from ordergate.core.contingent.tally import Situation, Tally, tally, worst_leaves
from ordergate.core.contingent.terms import (
    EXITS,
    GroupId,
    GroupKind,
    GroupTerms,
    Leg,
    LegType,
    Role,
    entry_terms,
)
from ordergate.core.ids import OrderId
from ordergate.core.orders import events as e
from ordergate.core.orders import order as folding
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import OrderType, Side, TimeInForce
from tests.core.examples import ACCOUNT, NOW, SHARE

GROUP: Final = GroupId("PG-000000000000000001")
STEPS_MAX: Final = 64


def leg(role: Role, side: Side, kind: LegType, **prices: str) -> Leg:
    exact = {name: Decimal(price) for name, price in prices.items()}
    return Leg(role=role, side=side, type=kind, time_in_force=TimeInForce.GTC, **exact)  # type: ignore[arg-type]  # prices only


def bracket(quantity: int = 10, *, trails: bool = False) -> GroupTerms:
    guard = {"trail_amount": "5"} if trails else {"stop_price": "95"}
    kind = LegType.TRAILING_STOP if trails else LegType.STOP
    legs = (
        leg(Role.ENTRY, Side.BUY, LegType.LIMIT, limit_price="100"),
        leg(Role.TAKE_PROFIT, Side.SELL, LegType.LIMIT, limit_price="105"),
        leg(Role.STOP_LOSS, Side.SELL, kind, **guard),
    )
    return _terms(GroupKind.BRACKET, legs, quantity)


def oco(quantity: int = 10) -> GroupTerms:
    legs = (
        leg(Role.FIRST, Side.SELL, LegType.LIMIT, limit_price="105"),
        leg(Role.SECOND, Side.SELL, LegType.STOP_LIMIT, stop_price="95", limit_price="94"),
    )
    return _terms(GroupKind.OCO, legs, quantity)


def oto(quantity: int = 10) -> GroupTerms:
    legs = (
        leg(Role.ENTRY, Side.SELL, LegType.MARKET),
        leg(Role.THEN, Side.BUY, LegType.STOP, stop_price="105"),
    )
    return _terms(GroupKind.OTO, legs, quantity)


def trailing(quantity: int = 10, *, side: Side = Side.SELL) -> GroupTerms:
    legs = (leg(Role.TRAIL, side, LegType.TRAILING_STOP, trail_percent="5"),)
    return _terms(GroupKind.TRAILING_STOP, legs, quantity)


def _terms(kind: GroupKind, legs: tuple[Leg, ...], quantity: int) -> GroupTerms:
    return GroupTerms(account=ACCOUNT, kind=kind, symbol=SHARE, quantity=Decimal(quantity), legs=legs)


class World:
    """`honest` is a broker whose every end is the end; `taken` counts the steps that were carried out."""

    def __init__(self, terms: GroupTerms, *, replaces: bool = True) -> None:
        self.now: datetime = NOW
        self.price: Decimal | None = Decimal(100)
        self.replaces = replaces
        self.may_place = True
        self.orders: dict[OrderId, Order] = {}
        self.marks: list[Decimal] = []
        self.taken = 0
        self._executions = 0
        accepted = g.GroupAccepted(
            account=ACCOUNT, at=NOW, group_id=GROUP, terms=terms, actor="test", config_hash="c"
        )
        self.group = groups.first(accepted)
        first = entry_terms(terms)
        if first is not None:
            self._apply(s.Release(Role.ENTRY, self.group.next_order_id(Role.ENTRY, SHARE), first))

    # -- the gateway

    def seen(self) -> Situation:
        return Situation(
            now=self.now,
            orders=self.orders,
            price=self.price,
            may_place=self.may_place,
            may_replace=self.replaces,
        )

    def settle(self, *, lose_after: int | None = None, denied: bool = False) -> None:
        """Take steps until there is none; or lose everything after so many, as a crash would."""
        for _ in range(STEPS_MAX):
            steps = [one for one in s.next_steps(self.group, self.seen()) if not isinstance(one, s.Wait)]
            if not steps:
                return
            for step in steps:
                if lose_after == 0:
                    return
                lose_after = None if lose_after is None else lose_after - 1
                self._apply(step, denied=denied)
        raise AssertionError("the steps never end")

    def _apply(self, step: s.Step, *, denied: bool = False) -> None:
        self.taken += 1
        match step:
            case s.Release():
                self._release(step, denied=denied)
            case s.Recall(order_id=order_id):
                self._tell(g.LegRecalled(account=ACCOUNT, at=self.now, group_id=GROUP, order_id=order_id))
                self.hear(e.CancelRequested(order_id=order_id, at=self.now, actor="group"))
            case s.Resize(order_id=order_id, quantity=quantity):
                self._resize(order_id, quantity)
            case s.Trigger(role=role, price=price):
                self._tell(
                    g.LegTriggered(account=ACCOUNT, at=self.now, group_id=GROUP, role=role, price=price)
                )
            case s.MoveMark(role=role, mark=mark):
                self.marks.append(mark)
                self._tell(g.TrailMoved(account=ACCOUNT, at=self.now, group_id=GROUP, role=role, mark=mark))
            case s.Finish(reason=reason):
                self._tell(g.GroupEnded(account=ACCOUNT, at=self.now, group_id=GROUP, reason=reason))
            case s.Wait():
                raise AssertionError("a wait is no step to take")

    def _release(self, step: s.Release, *, denied: bool) -> None:
        assert step.order_id not in self.orders, "the same attempt is never made twice"
        terms = step.terms
        self._tell(
            g.LegReleased(
                account=ACCOUNT,
                at=self.now,
                group_id=GROUP,
                role=step.role,
                order_id=step.order_id,
                symbol=terms.symbol,
                side=terms.side,
                quantity=terms.quantity,
            )
        )
        common = {"order_id": step.order_id, "at": self.now, "terms": terms, "actor": "g", "config_hash": "c"}
        first = e.OrderDenied(**common, failed=()) if denied else e.OrderAccepted(**common)  # type: ignore[arg-type]  # as named
        self.orders[step.order_id] = folding.first(first)

    def _resize(self, order_id: OrderId, quantity: Decimal) -> None:
        order = self.orders[order_id]
        asked = e.ReplaceRequested(
            order_id=order_id,
            at=self.now,
            version=order.versions_used + 1,
            quantity=quantity,
            limit_price=order.terms.limit_price,
            stop_price=order.terms.stop_price,
            actor="group",
            config_hash="c",
        )
        self.hear(asked)

    def _tell(self, event: g.AnyGroupEvent) -> None:
        self.group = groups.evolve(self.group, event)

    def cancel(self) -> None:
        if self.group.is_active and not self.group.cancel_requested:
            self._tell(g.GroupCancelRequested(account=ACCOUNT, at=self.now, group_id=GROUP, actor="client"))

    # -- the broker

    def hear(self, event: e.AnyOrderEvent) -> None:
        self.orders[event.order_id] = folding.evolve(self.orders[event.order_id], event)

    def open(self) -> list[Order]:
        return [order for order in self.orders.values() if not order.is_final]

    def acknowledge(self, order: Order) -> None:
        if order.status in (Status.ACCEPTED, Status.UNKNOWN):
            self.hear(e.OrderAcknowledged(order_id=order.id, at=self.now, broker_order_id=f"b-{order.id}"))

    def lose_answer(self, order: Order) -> None:
        if order.status is Status.ACCEPTED:
            self.hear(
                e.OutcomeUnknown(order_id=order.id, at=self.now, asked=e.Asked.PLACE, why="no answer in time")
            )

    def reject(self, order: Order) -> None:
        if order.status in (Status.ACCEPTED, Status.UNKNOWN):
            self.hear(e.OrderRejected(order_id=order.id, at=self.now, reason="no", evidence="said so"))

    def fill(self, order: Order, quantity: Decimal) -> None:
        left = order.terms.quantity - order.cum_qty
        quantity = min(quantity, left)
        if quantity <= 0:
            return
        self._executions += 1
        kind = e.OrderFilled if quantity == left else e.OrderPartiallyFilled
        self.hear(
            kind(
                order_id=order.id,
                at=self.now,
                exec_id=f"x-{self._executions}",
                quantity=quantity,
                price=Decimal(100),
            )
        )

    def end_cancel(self, order: Order) -> None:
        if order.cancel_requested:
            self.hear(e.OrderCanceled(order_id=order.id, at=self.now, evidence="proven"))

    def refuse_cancel(self, order: Order) -> None:
        if order.cancel_requested and order.status is Status.PENDING_CANCEL:
            self.hear(e.CancelRejected(order_id=order.id, at=self.now, reason="too late"))

    def end_replace(self, order: Order, *, taken: bool) -> None:
        asked = order.replacement
        if asked is None or order.is_final:
            return
        if not taken or asked.quantity <= order.cum_qty:
            self.hear(
                e.ReplaceRejected(order_id=order.id, at=self.now, version=asked.version, reason="too late")
            )
            return
        self.hear(
            e.OrderReplaced(order_id=order.id, at=self.now, version=asked.version, broker_order_id="b2")
        )

    def expire(self, order: Order) -> None:
        if order.status is Status.WORKING:
            self.hear(e.OrderExpired(order_id=order.id, at=self.now, evidence="the day is over"))

    def bust_last(self, order: Order) -> None:
        live = [exec_id for exec_id, one in order.executions.items() if one.quantity]
        if live and order.status is not Status.ACCEPTED:
            self.hear(e.ExecutionBusted(order_id=order.id, at=self.now, exec_id=live[-1]))

    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def heal(self) -> None:
        """Everybody answers, what is asked is done, and the market takes what is at the market."""
        for _ in range(STEPS_MAX):
            self.wait(61)
            self.settle()
            before = self.taken
            for order in self.open():
                self.acknowledge(order)
                self.end_cancel(self.orders[order.id])
                self.end_replace(self.orders[order.id], taken=True)
                now = self.orders[order.id]
                if now.status is Status.WORKING and now.terms.type is OrderType.MARKET:
                    self.fill(now, now.leaves_qty)
            self.settle()
            if self.taken == before and not any(order.cancel_requested for order in self.open()):
                return
        raise AssertionError("it never comes to rest")

    # -- what a test asks

    def sums(self) -> Tally:
        return tally(self.group, self.orders)

    def live_exits(self) -> dict[Role, Decimal]:
        found: dict[Role, Decimal] = {}
        for role, order in self.sums().live:
            if role in EXITS:
                found[role] = found.get(role, Decimal(0)) + worst_leaves(order)
        return found
