"""Whatever a broker and a market do, and wherever a crash falls, a group keeps its promises."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordergate.core.contingent.events import End
from ordergate.core.contingent.prices import is_better
from ordergate.core.contingent.terms import EXITS, GroupTerms, Role
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import Side
from tests.core import contingent_world as w
from tests.core.contingent_world import World

KINDS: Final[dict[str, Callable[[], GroupTerms]]] = {
    "bracket": w.bracket,
    "trailing bracket": lambda: w.bracket(trails=True),
    "oco": w.oco,
    "oto": w.oto,
    "trailing stop": w.trailing,
}

Move = tuple[int, int, int]
MOVES: Final = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 7), st.integers(1, 10)), max_size=60)


def honest(world: World, move: Move) -> None:
    """Something a broker that keeps its word may do, or the market, or the clock."""
    what, which, amount = move
    orders = world.open()
    order = orders[which % len(orders)] if orders else None
    if what < 15:
        world.price = Decimal(90 + 2 * amount + which % 2)
    elif what < 25:
        world.wait(amount)
    elif what < 28:
        world.may_place = not world.may_place
    elif order is not None:
        _answer(world, order, what, Decimal(amount))


def _answer(world: World, order: Order, what: int, amount: Decimal) -> None:
    if what < 45:
        world.acknowledge(order)
    elif what < 48:
        world.lose_answer(order)
    elif what < 51:
        world.reject(order)
    elif what < 70:
        world.acknowledge(order)
        now = world.orders[order.id]
        if now.replacement is not None and now.cum_qty + amount >= now.terms.quantity:
            world.end_replace(now, taken=True)  # an honest broker says which of the two it fills
        world.fill(world.orders[order.id], amount)
    elif what < 82:
        world.end_cancel(order)
    elif what < 86:
        world.refuse_cancel(order)
    elif what < 98:
        world.end_replace(order, taken=what % 4 > 0)
    else:
        world.expire(order)


def wild(world: World, move: Move) -> None:
    """The same, and what happens in the real world: late fills, busts, ends that were none."""
    what, which, amount = move
    known = list(world.orders.values())
    if what < 88 or not known:
        honest(world, (what, which, amount))
        return
    order = known[which % len(known)]
    if what < 96:
        if not order.is_final or order.cum_qty or order.acknowledged_at:
            world.acknowledge(order)
            world.fill(world.orders[order.id], Decimal(amount))
    else:
        world.bust_last(order)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("replaces", [True, False])
@settings(max_examples=250, deadline=None)
@given(moves=MOVES, lost=st.sets(st.integers(0, 59)), denied=st.sets(st.integers(0, 59)))
def test_no_two_legs_live_together_and_exits_never_exceed_what_there_is_to_exit(
    kind: str, replaces: bool, moves: list[Move], lost: set[int], denied: set[int]
) -> None:
    world = World(KINDS[kind](), replaces=replaces)
    for number, move in enumerate(moves):
        world.settle(lose_after=number % 3 if number in lost else None, denied=number in denied)
        live = world.live_exits()
        assert len(live) <= 1, live
        sums = world.sums()
        assert sums.done + sum(live.values()) <= sums.allowance
        honest(world, move)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("replaces", [True, False])
@settings(max_examples=250, deadline=None)
@given(moves=MOVES, lost=st.sets(st.integers(0, 59)))
def test_after_any_storm_a_group_comes_to_rest_with_nothing_exited_twice(
    kind: str, replaces: bool, moves: list[Move], lost: set[int]
) -> None:
    world = World(KINDS[kind](), replaces=replaces)
    for number, move in enumerate(moves):
        world.settle(lose_after=number % 3 if number in lost else None)
        wild(world, move)
    world.may_place = True
    world.heal()
    sums = world.sums()
    assert len({role for role, _ in sums.live if role in EXITS}) <= 1
    assert sum(world.live_exits().values()) <= max(sums.need, Decimal(0))
    if world.group.reason is not End.LEG_REFUSED:
        assert sums.need >= 0, "what was exited too much has been undone"
    if not world.group.is_active:
        assert not sums.live


@settings(max_examples=250, deadline=None)
@given(moves=MOVES, lost=st.sets(st.integers(0, 59)))
def test_a_canceled_group_ends_with_nothing_open(moves: list[Move], lost: set[int]) -> None:
    world = World(w.bracket())
    for number, move in enumerate(moves):
        world.settle(lose_after=number % 3 if number in lost else None)
        honest(world, move)
    world.cancel()
    world.heal()
    assert not world.open()
    assert not world.group.is_active


@pytest.mark.parametrize("side", list(Side))
@settings(max_examples=250, deadline=None)
@given(moves=MOVES, lost=st.sets(st.integers(0, 59)))
def test_a_trailing_stop_never_loosens(side: Side, moves: list[Move], lost: set[int]) -> None:
    world = World(w.trailing(side=side))
    for number, move in enumerate(moves):
        world.settle(lose_after=number % 3 if number in lost else None)
        honest(world, move)
    leg = world.group.terms.legs[0]
    assert all(
        is_better(leg, after, before) for before, after in zip(world.marks, world.marks[1:], strict=False)
    )


def test_the_role_of_every_leg_is_an_exit_or_the_entry() -> None:
    for terms in (kind() for kind in KINDS.values()):
        assert all(leg.role in EXITS or leg.role is Role.ENTRY for leg in terms.legs)
