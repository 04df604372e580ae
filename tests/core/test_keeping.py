"""What is kept for the next session, by what it is judged then, and what may let it wait longer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.admission import admit_held, admit_held_replace, admit_release, preview
from ordergate.core.ids import Symbol
from ordergate.core.orders.commands import ReplaceOrder
from ordergate.core.orders.events import (
    FailedControl,
    HeldReplaced,
    OrderAccepted,
    OrderDenied,
    OrderHeld,
    ReplaceDenied,
)
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import Side, TimeInForce
from ordergate.core.risk.judge import OF_A_HELD, OF_A_RELEASE, PRECEDENCE, WITHIN_US
from ordergate.core.risk.keeping import NOT_YET, as_closed, kept_until, not_yet
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.trading_state import Grade, Stop
from ordergate.core.risk.view import MarketHours, RiskView, Top
from ordergate.engine.accounts.books import Books
from ordergate.wiring.market_hours import of
from tests.core.examples import FUTURE, NOW, SHARE, account, future, later, place, share, terms
from tests.core.examples import working as working_order
from tests.core.risk_examples import limits, replacement, spoiled, view

QUEUE = {"hours": "session", "outside_session": "queue"}
CLOSED = MarketHours(is_open=False, until=later(3600))


def closed(changes: Mapping[str, object] | None = None, **more: Any) -> RiskView:
    return spoiled(view(limits({**QUEUE, **(changes or {})})), hours=CLOSED, **more)


@pytest.mark.parametrize(
    ("changes", "hours", "life", "kept"),
    [
        ({}, CLOSED, TimeInForce.DAY, True),
        ({}, CLOSED, TimeInForce.GTC, True),
        ({}, CLOSED, TimeInForce.IOC, False),
        ({}, CLOSED, TimeInForce.FOK, False),
        ({"outside_session": "reject"}, CLOSED, TimeInForce.DAY, False),
        ({"hours": "any"}, CLOSED, TimeInForce.DAY, False),
        ({}, None, TimeInForce.DAY, False),
        ({}, MarketHours(is_open=True, until=later(1)), TimeInForce.DAY, False),
        ({}, MarketHours(is_open=False), TimeInForce.DAY, False),
    ],
)
def test_what_is_kept(changes: Any, hours: MarketHours | None, life: TimeInForce, kept: bool) -> None:
    seen = spoiled(closed(changes), hours=hours)
    assert kept_until(terms(life=life), seen) == (later(3600) if kept else None)


def test_what_may_trade_outside_the_session_is_not_kept() -> None:
    extended = msgspec.structs.replace(terms(), extended_hours=True)
    assert kept_until(extended, closed({"extended_hours_allowed": True})) is None
    assert kept_until(extended, closed()) is not None
    assert kept_until(terms(), spoiled(closed(), limits=None)) is None


def test_a_closed_market_s_last_price_and_quote_are_those_of_now() -> None:
    top = Top(Decimal(99), Decimal(101), NOW)
    old = spoiled(closed(), now=later(9999), top=top)
    seen = as_closed(old)
    assert seen.reference is not None
    assert seen.top is not None
    assert (seen.reference.at, seen.top.at) == (later(9999), later(9999))
    assert old.reference is not None
    assert (seen.reference.price, seen.top.bid, seen.top.ask) == (old.reference.price, top.bid, top.ask)
    nothing = as_closed(spoiled(closed(), reference=None, top=None))
    assert (nothing.reference, nothing.top) == (None, None)


def test_every_control_but_the_hours_is_asked_when_it_comes_and_but_the_repetition_when_it_leaves() -> None:
    assert {one.id for one in PRECEDENCE} - {one.id for one in OF_A_HELD} == {"R22"}
    assert {one.id for one in PRECEDENCE} - {one.id for one in OF_A_RELEASE} == {"R16"}


def test_an_order_by_an_old_price_is_kept_and_one_by_no_price_is_not() -> None:
    held = admit_held(place(terms()), spoiled(closed(), now=later(4)), later(3600))
    assert isinstance(held, OrderHeld)
    assert (held.until, held.reference_price) == (later(3600), Decimal(100))
    assert isinstance(admit_held(place(terms()), spoiled(closed(), reference=None), later(3600)), OrderDenied)


@pytest.mark.parametrize("quantity", [1000, 1001])
def test_its_limits_hold_when_it_comes(quantity: int) -> None:
    answer = admit_held(place(terms(quantity=quantity, limit=1)), closed({}), later(3600))
    assert isinstance(answer, OrderHeld if quantity == 1000 else OrderDenied)


def replaced(order: Order, quantity: int) -> ReplaceOrder:
    return ReplaceOrder(
        order_id=order.id,
        actor="anna",
        quantity=Decimal(quantity),
        limit_price=None,
        stop_price=None,
        asked_at=NOW,
    )


def test_other_terms_for_one_that_is_kept_are_judged_like_those_of_a_new_order() -> None:
    order = working_order(terms(quantity=10, limit=100), 1)
    seen = spoiled(closed({"duplicate_window_s": "60"}), now=later(4))
    command = replaced(order, 11)
    assert seen.limits is not None
    seen.recent.remember(terms(quantity=11, limit=100), later(4))
    event = admit_held_replace(order, replacement(11, 100), command, seen)
    assert isinstance(event, HeldReplaced)
    assert (event.order_id, event.quantity, event.limit_price) == (order.id, Decimal(11), Decimal(100))
    refused = admit_held_replace(order, replacement(1001, 100), command, seen)
    assert isinstance(refused, ReplaceDenied)
    assert "R06" in {one.control for one in refused.failed}


def test_a_preview_of_one_that_would_be_kept_asks_everything_but_the_hours() -> None:
    seen = spoiled(closed({"shadow": ["R07"]}), now=later(4))
    told = preview(terms(quantity=1001), seen)
    assert [one.control for one in told] == list(PRECEDENCE)
    failed = {one.control.id: one.failed.reason for one in told if one.failed is not None}
    assert failed["R06"] is Reason.ORDER_QUANTITY
    assert "R22" not in failed
    assert {one.control.id for one in told if one.shadow} == {"R07"}
    unlimited = preview(terms(), spoiled(seen, limits=None))
    assert not [one for one in unlimited if one.shadow]


def no(reason: Reason) -> FailedControl:
    return FailedControl(control="R00", reason=reason, detail="")


@given(st.lists(st.sampled_from(list(Reason)), min_size=1))
def test_one_no_for_good_is_for_good(reasons: list[Reason]) -> None:
    assert not_yet([no(reason) for reason in reasons]) is all(one in NOT_YET for one in reasons)


def test_what_compares_and_finds_too_much_is_never_a_matter_of_waiting() -> None:
    final = {
        Reason.ORDER_QUANTITY, Reason.ORDER_NOTIONAL, Reason.POSITION, Reason.BUYING_POWER, Reason.DAILY_LOSS,
        Reason.PRICE_TOO_AGGRESSIVE, Reason.NOT_PERMITTED, Reason.RESTRICTED, Reason.NOT_ENABLED,
        Reason.NO_LIMITS, Reason.CONTROL_ERROR, Reason.SELF_MATCH, Reason.FLATTEN_BY, Reason.GROSS_EXPOSURE,
    }  # fmt: skip
    assert not final & NOT_YET


def test_waiting_counts_no_message_and_leaving_counts_one() -> None:
    once = {"message_windows": [[1, 60]]}
    open_now = MarketHours(is_open=True)
    waiting = spoiled(closed(once), hours=open_now, kill=Stop(Grade.BLOCK_NEW))
    for _ in range(3):
        assert admit_release(place(terms()), waiting) is None
    free = spoiled(waiting, kill=None)
    assert isinstance(admit_release(place(terms()), free), OrderAccepted)
    assert admit_release(place(terms(), 1), free) is None  # the window is full: a little later


def test_an_order_of_no_known_value_keeps_what_waits_waiting_and_refuses_it_not_for_good() -> None:
    """It is another order that nobody can value, as a market order from elsewhere: it fills, or ends."""
    unpriced = working_order(terms(limit=None), 1, reference=None)
    open_now = MarketHours(is_open=True)
    beside = spoiled(view(limits(QUEUE), orders=[unpriced]), hours=open_now)
    assert admit_release(place(terms()), beside) is None
    assert isinstance(admit_release(place(terms()), spoiled(closed(), hours=open_now)), OrderAccepted)


SIZES = st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(1, 50)), min_size=1, max_size=8)


@given(SIZES, st.integers(0, 7))
def test_setting_one_aside_and_back_leaves_every_sum_as_it_was(
    sizes: list[tuple[Side, int]], which: int
) -> None:
    instruments = {SHARE: share(), FUTURE: future()}
    books = Books(instruments)
    books.account = account()
    orders = [working_order(terms(side, size, 100), number + 1) for number, (side, size) in enumerate(sizes)]
    for order in orders:
        books._keep(None, order)
    aside = orders[which % len(orders)]

    def sums() -> tuple[object, ...]:
        own = books.valuation.own
        return (
            books.exposure.of(SHARE), books.exposure.values, books.exposure.count,
            own.gross, own.up, own.down, frozenset(books.profit.untraded),
        )  # fmt: skip

    before = sums()
    before = (before[0], dict(books.exposure.values), *before[2:])
    with books.without(aside):
        others = Books(instruments)
        others.account = account()
        for order in orders:
            if order is not aside:
                others._keep(None, order)
        assert books.exposure.of(SHARE) == others.exposure.of(SHARE)
        assert books.valuation.own.gross == others.valuation.own.gross
        assert books.profit.untraded == others.profit.untraded
    assert sums() == before


@pytest.mark.parametrize(
    ("asked", "opens"),
    [
        (datetime(2026, 3, 6, 22, 0, tzinfo=UTC), datetime(2026, 3, 9, 13, 30, tzinfo=UTC)),
        (datetime(2026, 3, 5, 22, 0, tzinfo=UTC), datetime(2026, 3, 6, 14, 30, tzinfo=UTC)),
        (datetime(2026, 10, 30, 21, 0, tzinfo=UTC), datetime(2026, 11, 2, 14, 30, tzinfo=UTC)),
        (datetime(2026, 11, 25, 22, 0, tzinfo=UTC), datetime(2026, 11, 27, 14, 30, tzinfo=UTC)),
    ],
    ids=["into summer time", "in winter", "out of summer time", "over a holiday"],
)
def test_the_opening_is_the_calendar_s_in_every_season(asked: datetime, opens: datetime) -> None:
    symbol = Symbol("AAPL")
    listed = msgspec.structs.replace(share(), calendar="XNYS")
    hours = of({symbol: listed}, asked - timedelta(days=1))
    seen = spoiled(closed(), now=asked, hours=hours(symbol, asked))
    assert kept_until(terms(), seen) == opens
    session = hours(symbol, opens)
    assert session is not None
    assert session.is_open


def test_a_kept_order_that_was_judged_too_slowly_waits_for_another_look() -> None:
    slow = spoiled(closed(), hours=MarketHours(is_open=True), took_us=lambda: WITHIN_US + 1)
    assert admit_release(place(terms()), slow) is None
