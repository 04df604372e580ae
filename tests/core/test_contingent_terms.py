"""What makes a group, what orders stand for its legs, and what risk says to it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from ordergate.core import admission
from ordergate.core.contingent.admission import admit_group
from ordergate.core.contingent.events import GroupAccepted, GroupDenied
from ordergate.core.contingent.prices import is_touched, stop_level
from ordergate.core.contingent.terms import (
    GroupId,
    GroupTerms,
    Leg,
    LegType,
    Role,
    group_id,
    is_group_id,
    leg_order_id,
    misfits,
    order_terms,
)
from ordergate.core.ids import Env, is_order_id
from ordergate.core.orders.events import OrderAccepted, OrderDenied
from ordergate.core.orders.terms import OrderType, Side, TimeInForce
from tests.core.contingent_world import GROUP, bracket, leg, oco, oto, trailing
from tests.core.examples import NOW, SHARE, account, place, terms
from tests.core.risk_examples import limits, view


def changed(asked: GroupTerms, role: Role, **fields: object) -> GroupTerms:
    legs = tuple(msgspec.structs.replace(one, **fields) if one.role is role else one for one in asked.legs)
    return msgspec.structs.replace(asked, legs=legs)


@pytest.mark.parametrize("asked", [bracket(), bracket(trails=True), oco(), oto(), trailing()])
def test_the_ordinary_groups_fit(asked: GroupTerms) -> None:
    assert misfits(asked) == {}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (bracket(0), "quantity"),
        (changed(bracket(), Role.STOP_LOSS, stop_price=None), "stop_loss.stop_price"),
        (changed(bracket(), Role.ENTRY, limit_price=Decimal(0)), "entry.limit_price"),
        (changed(bracket(), Role.ENTRY, type=LegType.MARKET), "entry.limit_price"),
        (changed(bracket(), Role.TAKE_PROFIT, trail_amount=Decimal(1)), "take_profit.trail_amount"),
        (changed(bracket(), Role.TAKE_PROFIT, time_in_force=TimeInForce.IOC), "take_profit.time_in_force"),
        (changed(bracket(), Role.STOP_LOSS, extended_hours=True), "stop_loss.extended_hours"),
        (changed(trailing(), Role.TRAIL, extended_hours=True), "trail.extended_hours"),
        (changed(bracket(), Role.STOP_LOSS, side=Side.BUY), "legs"),
        (changed(bracket(), Role.TAKE_PROFIT, limit_price=Decimal(94)), "legs"),
        (changed(bracket(trails=True), Role.STOP_LOSS, trail_percent=Decimal(1)), "stop_loss.trail_amount"),
        (changed(trailing(), Role.TRAIL, trail_percent=Decimal(100)), "trail.trail_amount"),
        (changed(oto(), Role.THEN, type=LegType.MARKET, stop_price=None), "then.type"),
        (msgspec.structs.replace(oco(), legs=oco().legs[:1]), "legs"),
        (msgspec.structs.replace(oco(), legs=oco().legs * 2), "legs"),
    ],
)
def test_what_makes_no_group_is_named_by_its_field(asked: GroupTerms, field: str) -> None:
    assert field in misfits(asked)


@pytest.mark.parametrize(
    ("kind", "triggered", "becomes"),
    [
        (LegType.LIMIT, False, (OrderType.LIMIT, "105", None)),
        (LegType.LIMIT, True, (OrderType.LIMIT, "105", None)),
        (LegType.STOP, False, (OrderType.STOP, None, "95")),
        (LegType.STOP, True, (OrderType.MARKET, None, None)),
        (LegType.STOP_LIMIT, False, (OrderType.STOP_LIMIT, "105", "95")),
        (LegType.STOP_LIMIT, True, (OrderType.LIMIT, "105", None)),
        (LegType.TRAILING_STOP, True, (OrderType.MARKET, None, None)),
    ],
)
def test_a_stop_that_was_reached_is_placed_without_its_stop(
    kind: LegType, triggered: bool, becomes: tuple[OrderType, str | None, str | None]
) -> None:
    guard = Leg(
        role=Role.STOP_LOSS,
        side=Side.SELL,
        type=kind,
        limit_price=Decimal(105),
        stop_price=Decimal(95),
    )
    order = order_terms(bracket(), guard, Decimal(3), triggered=triggered)
    prices = [None if price is None else str(price) for price in (order.limit_price, order.stop_price)]
    assert (order.type, *prices) == becomes
    assert (order.symbol, order.side, order.quantity) == (SHARE, Side.SELL, Decimal(3))


@pytest.mark.parametrize(
    ("one", "touched_at", "not_at"),
    [
        (leg(Role.FIRST, Side.SELL, LegType.LIMIT, limit_price="105"), "105", "104.99"),
        (leg(Role.FIRST, Side.BUY, LegType.LIMIT, limit_price="95"), "95", "95.01"),
        (leg(Role.SECOND, Side.SELL, LegType.STOP, stop_price="95"), "95", "95.01"),
        (leg(Role.SECOND, Side.BUY, LegType.STOP, stop_price="105"), "105", "104.99"),
        (leg(Role.TRAIL, Side.SELL, LegType.TRAILING_STOP, trail_amount="5"), "95", "95.01"),
        (leg(Role.TRAIL, Side.BUY, LegType.TRAILING_STOP, trail_percent="5"), "105", "104.99"),
    ],
)
def test_a_leg_is_reached_at_its_price_and_not_before(one: Leg, touched_at: str, not_at: str) -> None:
    mark = Decimal(100)
    assert is_touched(one, Decimal(touched_at), mark)
    assert not is_touched(one, Decimal(not_at), mark)


def test_a_trailing_stop_without_a_mark_stands_nowhere() -> None:
    one = leg(Role.TRAIL, Side.SELL, LegType.TRAILING_STOP, trail_amount="5")
    assert stop_level(one, None) is None
    assert not is_touched(one, Decimal(1), None)


def test_the_id_of_an_attempt_is_always_the_same_and_never_that_of_another() -> None:
    made = {
        leg_order_id(group, NOW, role, SHARE, attempt)
        for group in (GROUP, GroupId("PG-000000000000000002"))
        for role in Role
        for attempt in (1, 2)
    }
    assert len(made) == 2 * len(Role) * 2
    assert all(is_order_id(Env.PAPER, one) for one in made)
    assert leg_order_id(GROUP, NOW, Role.TRAIL, SHARE, 1) == leg_order_id(GROUP, NOW, Role.TRAIL, SHARE, 1)


def test_a_groups_id_is_no_orders_id_and_belongs_to_one_environment() -> None:
    made = group_id(Env.LIVE, at_ms=1, entropy=2)
    assert is_group_id(Env.LIVE, made)
    assert not is_group_id(Env.PAPER, made)
    assert not is_order_id(Env.LIVE, made)


def test_a_group_within_its_limits_is_accepted_and_remembered_as_a_possible_duplicate() -> None:
    seen = view()
    assert isinstance(admit_group(bracket(), GROUP, "trader", seen), GroupAccepted)
    again = admit_group(bracket(), GROUP, "trader", seen)
    assert isinstance(again, GroupDenied)
    assert {one.control for one in again.failed} == {"R16"}


def test_each_control_that_fails_says_which_leg_it_is_about() -> None:
    denied = admit_group(bracket(1001), GROUP, "trader", view(limits(share={"max_long": "2000"})))
    assert isinstance(denied, GroupDenied)
    assert {one.inputs["leg"] for one in denied.failed if one.control == "R06"} == {
        "entry",
        "take_profit",
        "stop_loss",
    }


def test_an_exit_off_the_tick_is_refused_with_its_group() -> None:
    odd = changed(bracket(), Role.STOP_LOSS, stop_price=Decimal("95.001"))
    denied = admit_group(odd, GROUP, "trader", view())
    assert isinstance(denied, GroupDenied)
    assert [(one.control, one.inputs["leg"]) for one in denied.failed] == [("R05", "stop_loss")]


def test_an_oco_is_judged_as_if_each_leg_were_the_one() -> None:
    tight = view(limits(share={"max_short": "5"}))
    denied = admit_group(oco(10), GROUP, "trader", tight)
    assert isinstance(denied, GroupDenied)
    assert {(one.control, one.inputs["leg"]) for one in denied.failed} == {
        ("R11", "first"),
        ("R11", "second"),
    }


def test_an_oco_that_only_reduces_is_not_refused_for_exposure() -> None:
    tight = limits({"max_open_notional": "1"}, share={"max_short": "1", "max_order_notional": "1"})
    assert isinstance(admit_group(oco(10), GROUP, "trader", view(tight)), GroupDenied)
    held = account(positions={SHARE: (10, 100)})
    assert isinstance(admit_group(oco(10), GROUP, "trader", view(tight, holding=held)), GroupAccepted)


def test_a_leg_may_repeat_and_reduce_beyond_exposure_but_not_past_the_message_rate() -> None:
    tight = limits({"max_open_notional": "1", "message_windows": [[1, 60]]})
    seen = view(tight, holding=account(positions={SHARE: (10, 100)}))
    exit_order = place(terms(Side.SELL, 10, 100))
    assert isinstance(admission.admit_leg(exit_order, seen), OrderAccepted)
    denied = admission.admit_leg(exit_order, seen)
    assert isinstance(denied, OrderDenied)
    assert {one.control for one in denied.failed} == {"R15"}


def test_a_leg_that_would_turn_the_position_over_is_asked_everything() -> None:
    tight = limits({"max_open_notional": "1"})
    seen = view(tight, holding=account(positions={SHARE: (9, 100)}))
    denied = admission.admit_leg(place(terms(Side.SELL, 10, 100)), seen)
    assert isinstance(denied, OrderDenied)
    assert "R14" in {one.control for one in denied.failed}
