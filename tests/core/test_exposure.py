"""What is reserved is the worst that open orders can do, whichever way one gets there."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.ids import Symbol
from ordergate.core.orders import events as e
from ordergate.core.orders.lifecycle import FINAL, Status
from ordergate.core.orders.order import Order, evolve, first
from ordergate.core.orders.terms import Side
from ordergate.core.risk.exposure import Exposure, OpenInterest, held_by, worst_price
from tests.core.examples import (
    FUTURE,
    NOW,
    SHARE,
    accepted,
    acknowledged,
    completed,
    filled,
    folded,
    ids,
    replace_requested,
    terms,
    working,
)
from tests.core.histories import Step, histories
from tests.core.risk_examples import INSTRUMENTS

UNKNOWN = e.OutcomeUnknown(order_id=ids(), at=NOW, asked=e.Asked.PLACE, why="timeout")
CANCEL_REQUESTED = e.CancelRequested(order_id=ids(), at=NOW, actor="trader")


def exposed(*orders: Order) -> Exposure:
    exposure = Exposure(INSTRUMENTS)
    for order in orders:
        exposure.moved(None, order)
    return exposure


@pytest.mark.parametrize(
    "order",
    [
        folded(accepted()),
        folded(accepted(), UNKNOWN),
        folded(accepted(), acknowledged()),
        folded(accepted(), acknowledged(), CANCEL_REQUESTED),
        folded(accepted(), CANCEL_REQUESTED, UNKNOWN),
        folded(accepted(), UNKNOWN, CANCEL_REQUESTED),
    ],
    ids=lambda order: str(order.status),
)
def test_an_order_that_may_be_alive_is_reserved_in_full(order: Order) -> None:
    exposure = exposed(order)
    assert exposure.of(SHARE) == OpenInterest(buy_quantity=Decimal(10), buy_value=Decimal(1000), orders=1)
    assert (exposure.count, exposure.value) == (1, Decimal(1000))


@pytest.mark.parametrize(
    "end",
    [
        completed(10),
        e.OrderCanceled(order_id=ids(), at=NOW, evidence="b-1"),
        e.OrderExpired(order_id=ids(), at=NOW, evidence="b-1"),
        e.OrderRejected(order_id=ids(), at=NOW, reason="no", evidence="b-1"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_order_that_ended_holds_nothing(end: e.AnyOrderEvent) -> None:
    exposure = exposed(working())
    exposure.moved(working(), evolve(working(), end))
    assert exposure.count == exposure.value == 0
    assert exposure.of(SHARE) == OpenInterest()
    assert list(exposure.symbols()) == []


def test_a_kept_order_that_is_approved_is_reserved_at_the_price_of_its_approval() -> None:
    asked = terms(limit=None)
    kept = folded(
        e.OrderHeld(
            order_id=ids(), at=NOW, terms=asked, actor="trader", config_hash="none",
            reference_price=Decimal(90), until=NOW,
        )
    )  # fmt: skip
    exposure = exposed(kept)
    exposure.moved(kept, evolve(kept, accepted(asked, reference=120)))
    assert exposure.value == 1200


def test_a_partial_fill_gives_back_what_it_filled() -> None:
    exposure = exposed(working())
    exposure.moved(working(), evolve(working(), filled(4)))
    assert exposure.of(SHARE).buy_quantity == 6
    assert exposure.value == 600


@pytest.mark.parametrize(
    ("quantity", "limit", "held", "value"),
    [(20, 100, 20, 2000), (5, 100, 10, 1000), (10, 110, 10, 1100), (10, 90, 10, 1000), (20, 90, 20, 2000),
     (5, 110, 10, 1100)],
)  # fmt: skip
def test_an_unanswered_replace_holds_the_larger_quantity_at_the_dearer_price(
    quantity: int, limit: int, held: int, value: int
) -> None:
    exposure = exposed(evolve(working(), replace_requested(quantity, limit)))
    assert (exposure.of(SHARE).buy_quantity, exposure.value) == (Decimal(held), Decimal(value))


def test_a_fill_during_a_replace_is_given_back_from_the_worst_of_both() -> None:
    exposure = exposed(folded(accepted(), acknowledged(), replace_requested(20), filled(4)))
    assert exposure.of(SHARE).buy_quantity == 16


@pytest.mark.parametrize(
    ("side", "limit", "stop", "reference", "worst"),
    [
        (Side.BUY, 100, None, 90, 100),
        (Side.BUY, 80, None, 90, 80),
        (Side.BUY, None, None, 90, 90),
        (Side.BUY, None, 95, 90, 95),
        (Side.BUY, None, 85, 90, 90),
        (Side.BUY, 96, 95, 90, 96),
        (Side.SELL, 100, None, 90, 100),
        (Side.SELL, 80, None, 90, 90),
        (Side.SELL, 80, None, None, 80),
        (Side.SELL, None, None, None, None),
    ],
)
def test_an_order_is_reserved_at_the_dearest_price_it_can_trade_at(
    side: Side, limit: int | None, stop: int | None, reference: int | None, worst: int | None
) -> None:
    given_prices = [None if price is None else Decimal(price) for price in (limit, stop, reference)]
    assert worst_price(side, *given_prices) == worst


def test_an_order_without_any_price_makes_the_sum_unknown_until_it_ends() -> None:
    order = working(terms(limit=None), reference=None)
    exposure = exposed(order, working(number=1))
    assert exposure.has_unpriced
    assert exposure.unpriced == {order.id}
    assert exposure.value == 1000
    assert exposure.of(SHARE).buy_quantity == 20
    exposure.moved(order, evolve(order, completed(10)))
    assert (exposure.has_unpriced, exposure.count) == (False, 1)


def test_an_unanswered_replace_of_an_unpriced_order_stays_unpriced() -> None:
    order = evolve(working(terms(limit=None), reference=None), replace_requested(20, 100))
    assert exposed(order).has_unpriced


def test_an_order_in_an_instrument_that_is_not_listed_has_no_known_value() -> None:
    assert exposed(working(terms(symbol=Symbol("GONE")))).has_unpriced


def test_an_instrument_listed_later_does_not_disturb_what_was_reserved_before() -> None:
    listed = dict(INSTRUMENTS)
    del listed[SHARE]
    exposure = Exposure(listed)
    exposure.moved(None, working())
    listed[SHARE] = INSTRUMENTS[SHARE]
    exposure.moved(working(), evolve(working(), completed(10)))
    assert exposure.value == exposure.count == 0
    assert not exposure.has_unpriced


SIDES = st.sampled_from(Side)


@given(
    st.lists(
        st.tuples(SIDES, st.sampled_from([SHARE, FUTURE]), st.sampled_from([100, None]), histories()),
        min_size=1,
        max_size=3,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_kept_up_to_date_equals_counted_anew(
    lives: list[tuple[Side, Symbol, int | None, list[Step]]], chance: Random
) -> None:
    exposure = Exposure(INSTRUMENTS)
    orders: dict[int, Order] = {}
    waiting: dict[int, list[Step]] = {}
    for number, (side, symbol, limit, history) in enumerate(lives):
        orders[number] = first(accepted(terms(side, 10, limit, symbol=symbol), number))
        waiting[number] = list(history)
        exposure.moved(None, orders[number])
    while waiting:
        number = chance.choice(sorted(waiting))
        if not waiting[number]:
            del waiting[number]
            continue
        for event in waiting[number].pop(0)(orders[number]):
            after = evolve(orders[number], event)
            exposure.moved(orders[number], after)
            orders[number] = after
        _equals_counted_anew(exposure, list(orders.values()))


def _equals_counted_anew(exposure: Exposure, orders: list[Order]) -> None:
    alive = [order for order in orders if order.status not in FINAL]
    held = [held_by(order, INSTRUMENTS[order.terms.symbol]) for order in alive]
    assert exposure.count == len(alive)
    assert exposure.value == sum(each.value for each in held if each.value is not None)
    assert exposure.unpriced == {
        order.id for order, each in zip(alive, held, strict=True) if each.value is None
    }
    for symbol in INSTRUMENTS:
        here = [each for each in held if each.symbol == symbol]
        assert exposure.of(symbol).orders == len(here)
        bought = [each.quantity for each in here if each.side is Side.BUY]
        sold = [each.quantity for each in here if each.side is Side.SELL]
        assert (exposure.of(symbol).buy_quantity, exposure.of(symbol).sell_quantity) == (
            sum(bought),
            sum(sold),
        )


@given(histories())
def test_what_is_reserved_covers_what_can_still_fill(history: list[Step]) -> None:
    order = first(accepted())
    for step in history:
        for event in step(order):
            order = evolve(order, event)
        held = held_by(order, INSTRUMENTS[SHARE])
        assert held.quantity >= order.leaves_qty
        if order.replacement is not None and order.status not in FINAL:
            assert held.quantity >= order.replacement.quantity - order.cum_qty
        assert order.status is not Status.UNKNOWN or held.quantity == order.leaves_qty
