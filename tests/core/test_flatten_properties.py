"""Whatever is filled, refused or lost on the way, a flatten closes what is held and turns nothing over."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from ordergate.core.contingent import events as g
from ordergate.core.contingent import flatten
from ordergate.core.contingent import group as groups
from ordergate.core.contingent import steps as s
from ordergate.core.contingent.events import End
from ordergate.core.contingent.tally import Situation
from ordergate.core.contingent.terms import GroupKind, GroupTerms
from ordergate.core.ids import OrderId, Symbol
from ordergate.core.orders import events as e
from ordergate.core.orders import order as folding
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import Side, Terms
from tests.core.contingent_world import GROUP
from tests.core.examples import ACCOUNT, FUTURE, NOW, SHARE, ids, terms

ROUNDS_MAX: Final = 200

Move = tuple[int, int, int]


class World:
    """An account with positions and open orders, and a broker that answers when it likes."""

    def __init__(self, held: dict[Symbol, int], resting: list[tuple[Symbol, Side, int]]) -> None:
        self.now = NOW
        self.may_place = True
        self.held = {symbol: Decimal(quantity) for symbol, quantity in held.items()}
        self.orders: dict[OrderId, Order] = {}
        self.executions = 0
        self.group = groups.first(
            g.GroupAccepted(
                account=ACCOUNT,
                at=NOW,
                group_id=GROUP,
                terms=GroupTerms(account=ACCOUNT, kind=GroupKind.FLATTEN),
                actor="test",
                config_hash="c",
            )
        )
        for number, (symbol, side, quantity) in enumerate(resting):
            self.place(ids(number), terms(side, quantity, 100, symbol=symbol))

    def place(self, order_id: OrderId, asked: Terms, *, denied: bool = False) -> None:
        common = {"order_id": order_id, "at": self.now, "terms": asked, "actor": "t", "config_hash": "c"}
        first = e.OrderDenied(**common, failed=()) if denied else e.OrderAccepted(**common)  # type: ignore[arg-type]  # as named
        self.orders[order_id] = folding.first(first)

    @property
    def own(self) -> set[OrderId]:
        return {one.order_id for one in self.group.released}

    def open(self) -> list[Order]:
        return [order for order in self.orders.values() if not order.is_final]

    def hear(self, event: e.AnyOrderEvent) -> None:
        self.orders[event.order_id] = folding.evolve(self.orders[event.order_id], event)

    def step(self, *, lose_after: int | None = None, denied: bool = False) -> bool:
        """Take every step there is, or lose some; True when one was taken."""
        others = tuple(one for one in self.open() if one.id not in self.own)
        seen = Situation(
            now=self.now,
            orders=self.orders,
            may_place=self.may_place,
            others=others,
            held={str(symbol): quantity for symbol, quantity in self.held.items()},
        )
        taken = False
        for step in flatten.next_steps(self.group, seen):
            if lose_after == 0:
                return taken
            lose_after = None if lose_after is None else lose_after - 1
            taken = self.take(step, denied=denied) or taken
        return taken

    def take(self, step: s.Step, *, denied: bool) -> bool:
        at = {"account": ACCOUNT, "at": self.now, "group_id": GROUP}
        event: g.AnyGroupEvent
        match step:
            case s.Release(role=role, order_id=order_id, terms=asked):
                assert not [one for one in self.open() if one.terms.symbol == asked.symbol]
                assert asked.quantity == abs(self.held[asked.symbol]), "exactly what is held"
                event = g.LegReleased(
                    **at,  # type: ignore[arg-type]  # as named
                    role=role,
                    order_id=order_id,
                    symbol=asked.symbol,
                    side=asked.side,
                    quantity=asked.quantity,
                )
                self.place(order_id, asked, denied=denied)
            case s.Recall(order_id=order_id):
                event = g.LegRecalled(**at, order_id=order_id)  # type: ignore[arg-type]  # as named
                self.hear(e.CancelRequested(order_id=order_id, at=self.now, actor="flatten"))
            case s.Finish(reason=reason):
                event = g.GroupEnded(**at, reason=reason)  # type: ignore[arg-type]  # as named
            case _:
                return False
        self.group = groups.evolve(self.group, event)
        return True

    def fill(self, order: Order, quantity: Decimal) -> None:
        quantity = min(quantity, order.terms.quantity - order.cum_qty)
        if quantity <= 0:
            return
        self.executions += 1
        kind = e.OrderFilled if quantity == order.terms.quantity - order.cum_qty else e.OrderPartiallyFilled
        symbol = order.terms.symbol
        self.held[symbol] = self.held.get(symbol, Decimal(0)) + order.terms.side.sign * quantity
        self.hear(
            kind(
                order_id=order.id,
                at=self.now,
                exec_id=f"x-{self.executions}",
                quantity=quantity,
                price=Decimal(100),
            )
        )

    def answer(self, move: Move) -> None:
        """Something that a broker, a clock or an operator may do."""
        what, which, amount = move
        orders = self.open()
        order = orders[which % len(orders)] if orders else None
        if what < 10:
            self.now += timedelta(seconds=amount)
        elif what < 13:
            self.may_place = not self.may_place
        elif order is None:
            return
        elif what < 40 and order.status is Status.ACCEPTED:
            self.hear(e.OrderAcknowledged(order_id=order.id, at=self.now, broker_order_id="b"))
        elif what < 60:
            self.fill(order, Decimal(amount))
        elif what < 85 and order.cancel_requested:
            self.hear(e.OrderCanceled(order_id=order.id, at=self.now, evidence="proven"))
        elif what < 90 and order.status is Status.PENDING_CANCEL:
            self.hear(e.CancelRejected(order_id=order.id, at=self.now, reason="too late"))
        elif what < 95 and order.status is Status.ACCEPTED:
            self.hear(e.OrderRejected(order_id=order.id, at=self.now, reason="no", evidence="said so"))

    def heal(self) -> None:
        """Everybody answers, and the market takes what is at the market."""
        self.may_place = True
        for _ in range(ROUNDS_MAX):
            self.now += timedelta(seconds=61)
            self.step()
            for order in self.open():
                if order.cancel_requested:
                    self.hear(e.OrderCanceled(order_id=order.id, at=self.now, evidence="proven"))
                elif order.id in self.own:
                    self.fill(order, order.leaves_qty)
            if not self.group.is_active:
                return
        raise AssertionError("it never ends")


HELD: Final = st.dictionaries(st.sampled_from([SHARE, FUTURE]), st.integers(-9, 9), max_size=2)
RESTING: Final = st.lists(
    st.tuples(st.sampled_from([SHARE, FUTURE]), st.sampled_from(list(Side)), st.integers(1, 9)), max_size=4
)
MOVES: Final = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 7), st.integers(1, 9)), max_size=50)


@settings(max_examples=400, deadline=None)
@given(
    held=HELD,
    resting=RESTING,
    moves=MOVES,
    lost=st.sets(st.integers(0, 49)),
    denied=st.sets(st.integers(0, 49)),
)
def test_a_flatten_closes_exactly_what_is_held_and_never_turns_it_over(
    held: dict[Symbol, int],
    resting: list[tuple[Symbol, Side, int]],
    moves: list[Move],
    lost: set[int],
    denied: set[int],
) -> None:
    world = World(held, resting)
    for number, move in enumerate(moves):
        world.step(lose_after=number % 3 if number in lost else None, denied=number in denied)
        for order in world.open():
            if order.id in world.own:
                position = world.held[order.terms.symbol]
                assert position * order.terms.side.sign <= 0
                assert order.leaves_qty <= abs(position)
        world.answer(move)
    world.heal()
    assert not world.open()
    if world.group.reason is End.COMPLETED:
        assert all(quantity == 0 for quantity in world.held.values())


def test_a_closing_order_that_comes_back_to_life_when_all_is_closed_is_canceled() -> None:
    world = World({SHARE: 5}, [])
    world.step()
    (refused,) = world.open()
    world.hear(e.OrderRejected(order_id=refused.id, at=world.now, reason="no", evidence="its answer"))
    world.now += timedelta(seconds=2)
    world.step()
    (closing,) = world.open()
    world.fill(closing, Decimal(5))
    world.step()
    assert world.group.reason is End.COMPLETED
    world.hear(e.OrderAcknowledged(order_id=refused.id, at=world.now, broker_order_id="b"))
    world.step()
    assert world.orders[refused.id].cancel_requested
