"""Nobody trades with himself, and what is new begins small."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.admission import admit, admit_leg, admit_overridden
from ordergate.core.ids import Symbol
from ordergate.core.instruments import by_any_name
from ordergate.core.orders.events import OrderAccepted, OrderDenied
from ordergate.core.orders.order import Order, evolve, first
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.conduct import WAITED_FOR_MAX
from ordergate.core.risk.memories import STRATEGIES_MAX, Met, Strategies
from ordergate.core.risk.resting import Quoted, Resting
from ordergate.core.risk.view import RiskView
from tests.core.examples import (
    NOW,
    SHARE,
    account,
    completed,
    later,
    place,
    replace_requested,
    share,
    terms,
    working,
)
from tests.core.risk_examples import (
    INSTRUMENTS,
    SAID_OF_PRICE,
    failures,
    limits,
    replace_failures,
    replacement,
    spoiled,
    view,
)

APART = limits({"self_match_refused": True})


@pytest.mark.parametrize(
    ("asked", "passes"),
    [
        (terms(limit=101), True),
        (terms(limit="101.99"), True),
        (terms(limit=102), False),
        (terms(limit=103), False),
        (terms(limit=None), False),
        (terms(limit=None, stop=103), True),
        (terms(limit=104, stop=103), True),
        (terms(Side.SELL, 10, "98.01"), True),
        (terms(Side.SELL, 10, 98), False),
        (terms(Side.SELL, 10, 97), False),
        (terms(Side.SELL, 10, None), False),
    ],
)
def test_r21_an_order_that_could_meet_an_own_one_is_refused(asked: Terms, passes: bool) -> None:
    own = [
        working(terms(Side.SELL, 1, 102), 1),
        working(terms(Side.SELL, 1, 105), 2),
        working(terms(limit=98), 3),
    ]
    no = failures(asked, view(APART, orders=own)).get("R21")
    assert (no is None) is passes
    if no is not None:
        met = own[0] if asked.side is Side.BUY else own[2]
        assert (no.reason, no.inputs["order_id"]) == ("self-match", met.id)
        assert no.limit == ("102" if asked.side is Side.BUY else "98")
    assert "R21" not in failures(asked, view(orders=own))


def test_r21_accounts_of_one_owner_do_not_trade_with_each_other() -> None:
    elsewhere = Resting(INSTRUMENTS)
    elsewhere.moved(working(terms(Side.SELL, 1, 100), 1))
    seen = view(APART)
    assert failures(terms(), seen) == {}
    both = spoiled(seen, rivals=(*seen.rivals, elsewhere))
    assert list(failures(terms(), both)) == ["R21"]


def test_r21_a_replacement_may_not_come_to_meet_one_either() -> None:
    order, other = working(terms(limit=98), 1), working(terms(Side.SELL, 1, 102), 2)
    seen = view(APART, orders=[order, other])
    assert "R21" not in replace_failures(order, replacement(10, 101), seen)
    assert "R21" in replace_failures(order, replacement(10, 102), seen)


def test_r21_while_a_replacement_is_unanswered_the_more_aggressive_price_counts() -> None:
    lower = evolve(working(terms(Side.SELL, 10, 103), 1), replace_requested(10, 102, number=1))
    higher = evolve(working(terms(Side.SELL, 10, 103), 1), replace_requested(10, 104, number=1))
    buys = evolve(working(terms(limit=97), 2), replace_requested(10, 98, number=2))
    for order, price in ((lower, 102), (higher, 103), (buys, 98)):
        resting = Resting(INSTRUMENTS)
        resting.moved(order)
        assert resting.best(SHARE, order.terms.side) == Quoted(Decimal(price), order.id)


def test_r21_not_knowing_ones_own_orders_is_a_no() -> None:
    assert failures(terms(), spoiled(view(APART), rivals=()))["R21"].reason == "control-error"


YIELDING = limits({"self_match_refused": True, "self_match_cancels_oldest": True})
OWN_SELLS = [
    working(terms(Side.SELL, 1, 103), 1),
    working(terms(Side.SELL, 1, 102), 2),
    working(terms(Side.SELL, 1, 105), 3),
]


def waits_for(asked: Terms, seen: RiskView) -> list[Order]:
    event = admit(place(asked), seen)
    assert isinstance(event, OrderAccepted), event
    assert first(event).waits_for == event.waits_for
    return [next(own for own in OWN_SELLS if own.id == order) for order in event.waits_for]


@pytest.mark.parametrize(
    ("price", "met"),
    [(101, []), ("101.99", []), (102, [1]), (103, [0, 1]), (105, [0, 1, 2]), (None, [0, 1, 2])],
)
def test_r21_where_the_older_is_to_go_an_order_waits_for_all_that_it_would_meet(
    price: int | str | None, met: list[int]
) -> None:
    seen = view(YIELDING, orders=OWN_SELLS, price=104)
    assert waits_for(terms(limit=price), seen) == [OWN_SELLS[number] for number in met]


def test_r21_a_sell_waits_for_the_own_buys_at_its_price_and_above() -> None:
    buys = [working(terms(limit=price), number) for number, price in ((1, 98), (2, 97), (3, 99))]
    event = admit(place(terms(Side.SELL, 1, 98)), view(YIELDING, orders=buys))
    assert isinstance(event, OrderAccepted)
    assert event.waits_for == (buys[0].id, buys[2].id)


def test_r21_what_waits_triggers_nothing_and_waits_for_nobody() -> None:
    assert waits_for(terms(limit=None, stop=106), view(YIELDING, orders=OWN_SELLS, price=104)) == []


def test_r21_an_order_waits_for_a_few_and_no_more() -> None:
    many = [working(terms(Side.SELL, 1, 100), number) for number in range(1, WAITED_FOR_MAX + 2)]
    few = view(YIELDING, orders=many[:-1])
    assert failures(terms(), few) == {}
    assert failures(terms(), view(YIELDING, orders=many)).keys() == {"R21"}
    event = admit(place(terms()), few)
    assert isinstance(event, OrderAccepted)
    assert len(event.waits_for) == WAITED_FOR_MAX


def test_r21_nothing_of_a_group_or_of_another_account_is_taken_out_of_the_way() -> None:
    seen = view(YIELDING, orders=OWN_SELLS[:1])
    grouped = spoiled(seen, grouped={OWN_SELLS[0].id})
    assert failures(terms(limit=103), grouped).keys() == {"R21"}
    assert failures(terms(limit=103), spoiled(seen, grouped={OWN_SELLS[1].id})) == {}
    elsewhere = spoiled(view(YIELDING), rivals=(Resting(INSTRUMENTS), *seen.rivals))
    assert failures(terms(limit=103), elsewhere).keys() == {"R21"}
    both = spoiled(seen, rivals=(*seen.rivals, *view(orders=OWN_SELLS[:1]).rivals))
    assert failures(terms(limit=103), both).keys() == {"R21"}


def test_r21_a_replacement_and_an_order_of_a_group_cannot_wait() -> None:
    order, other = working(terms(limit=98), 4), OWN_SELLS[1]
    seen = view(YIELDING, orders=[order, other])
    assert "R21" in replace_failures(order, replacement(10, 102), seen)
    leg = admit_leg(place(terms(limit=102)), view(YIELDING, orders=[other]))
    assert isinstance(leg, OrderDenied)
    assert [no.control for no in leg.failed] == ["R21"]


@pytest.mark.parametrize(
    "changes",
    [
        {"self_match_refused": True, "self_match_cancels_oldest": True, "shadow": ["R21"]},
        {"self_match_refused": False, "self_match_cancels_oldest": True},
    ],
)
def test_r21_what_refuses_nobody_cancels_nothing(changes: dict[str, object]) -> None:
    assert waits_for(terms(limit=105), view(limits(changes), orders=OWN_SELLS, price=104)) == []


def test_r21_an_override_that_lifts_it_cancels_nothing() -> None:
    seen = view(limits({"self_match_refused": True, "soft": ["R21"]}), orders=OWN_SELLS)
    event, lifted = admit_overridden(place(terms(limit=105)), seen, ["R21"])
    assert isinstance(event, OrderAccepted)
    assert (event.waits_for, [no.control for no in lifted]) == ((), ["R21"])
    spare, lifted = admit_overridden(place(terms(limit=105)), view(YIELDING, orders=OWN_SELLS), ["R06"])
    assert isinstance(spare, OrderAccepted)
    assert (len(spare.waits_for), lifted) == (3, ())


@pytest.mark.parametrize("soft", [[], ["R21"]], ids=str)
def test_r21_an_override_that_has_nothing_to_lift_of_it_leaves_no_own_order_in_the_way(
    soft: list[str],
) -> None:
    yielding = {"self_match_refused": True, "self_match_cancels_oldest": True, "soft": soft}
    seen = view(limits(yielding), orders=OWN_SELLS)
    event, lifted = admit_overridden(place(terms(limit=105)), seen, ["R21"])
    assert isinstance(event, OrderAccepted)
    assert (len(event.waits_for), lifted) == (3, ())


def test_an_order_under_an_old_name_rests_in_the_instrument() -> None:
    old = Symbol("OLD")
    named = by_any_name({SHARE: msgspec.structs.replace(share(), aliases=(old,))})
    resting = Resting(named)
    resting.moved(working(terms(symbol=old)))
    assert resting.best(SHARE, Side.BUY) is not None


LIVES = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(Side), st.integers(90, 110), st.booleans()), max_size=300
)


@given(LIVES)
def test_the_best_of_each_side_is_what_a_search_would_find(lives: list[tuple[int, Side, int, bool]]) -> None:
    resting, alive = Resting(INSTRUMENTS), dict[int, Order]()
    for number, side, price, ends in lives:
        order = alive.get(number)
        if order is None:
            order = working(terms(side, 10, price), number)
        elif ends:
            resting.moved(evolve(order, completed(10, number=number)))
            del alive[number]
            continue
        else:
            order = msgspec.structs.replace(
                order, terms=msgspec.structs.replace(order.terms, limit_price=Decimal(price))
            )
        alive[number] = order
        resting.moved(order)
        for each in Side:
            prices = [one.terms.limit_price for one in alive.values() if one.terms.side is each]
            known = [one for one in prices if one is not None]
            best = resting.best(SHARE, each)
            wanted = None if not known else (max(known) if each is Side.BUY else min(known))
            assert (None if best is None else best.price) == wanted


def test_what_is_gone_is_not_kept_for_ever() -> None:
    resting = Resting(INSTRUMENTS)
    order = working(terms(limit=50), 1)
    resting.moved(order)
    for price in range(51, 1000):
        moved = msgspec.structs.replace(order.terms, limit_price=Decimal(price))
        resting.moved(msgspec.structs.replace(order, terms=moved))
    (ladder,) = resting._ladders.values()
    assert len(ladder._heap) < 100
    resting.moved(evolve(order, completed(10, number=1)))
    assert resting._ladders == {}
    assert resting.best(SHARE, Side.BUY) is None


CANARY = limits({"canary": {"days": 5, "percent": "10"}})
NEW = {"strategy": "mean-reversion", "strategy_version": "2"}


def newcomer(quantity: int = 10, limit: int | None = 100, side: Side = Side.BUY) -> Terms:
    return msgspec.structs.replace(terms(side, quantity, limit), **NEW)


def knowing(seen: RiskView, age: timedelta) -> RiskView:
    assert seen.strategies is not None
    seen.strategies.saw(newcomer(), seen.now - age)
    return seen


@pytest.mark.parametrize(
    ("share_limits", "value", "most"),
    [
        ({"max_order_quantity": "100"}, "11", "10"),
        ({"max_order_notional": "10000"}, "1100", "1000"),
        ({"max_long": "110"}, "12", "11"),
    ],
)
def test_r27_a_new_version_may_do_a_part_of_each_limit(
    share_limits: dict[str, str], value: str, most: str
) -> None:
    limited = limits({"canary": {"days": 5, "percent": "10"}}, share=share_limits)
    orders = [working(terms(quantity=1), 1)] if "max_long" in share_limits else []
    assert failures(newcomer(10), view(limited, orders=orders)) == {}
    no = failures(newcomer(11), view(limited, orders=orders))["R27"]
    assert (no.reason, no.value, no.limit) == ("canary", value, most)
    assert no.inputs == SAID_OF_PRICE | {"percent": "10", "days": "5"}


def test_r27_short_positions_are_held_to_their_own_limit() -> None:
    limited = limits({"canary": {"days": 5, "percent": "10"}}, share={"max_short": "150"})
    seen = view(limited, holding=account(positions={SHARE: (-5, 100)}))
    assert failures(newcomer(10, side=Side.SELL), seen) == {}
    assert "R27" in failures(newcomer(11, side=Side.SELL), seen)


@pytest.mark.parametrize(
    ("age", "passes"),
    [
        (timedelta(days=5), True),
        (timedelta(days=5) - timedelta(microseconds=1), False),
        (timedelta(0), False),
    ],
)
def test_r27_after_its_first_days_it_may_do_what_all_may(age: timedelta, passes: bool) -> None:
    failed = failures(newcomer(200), knowing(view(CANARY), age))
    assert ("R27" not in failed) is passes
    if not passes:
        assert failed["R27"].inputs["since"] == (NOW - age).isoformat()


def test_r27_another_version_begins_again_and_no_name_is_new_for_ever() -> None:
    seen = knowing(view(CANARY), timedelta(days=30))
    assert failures(newcomer(200), seen) == {}
    for changed in (
        {"strategy_version": "3"},
        {"strategy": "other"},
        {"strategy": None},
        {"strategy_version": None},
    ):
        asked = msgspec.structs.replace(newcomer(200), **changed)
        assert "R27" in failures(asked, seen)


def test_r27_what_makes_a_position_smaller_passes() -> None:
    seen = view(CANARY, holding=account(positions={SHARE: (500, 100)}))
    assert failures(newcomer(200, side=Side.SELL), seen) == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"strategies": None}, "control-error"), ({"reference": None}, "no-reference-price")],
)
def test_r27_what_is_not_known_is_a_no(changes: dict[str, None], reason: str) -> None:
    assert failures(newcomer(1), spoiled(view(CANARY), **changes))["R27"].reason == reason


def test_r27_a_canary_is_a_part_and_not_more() -> None:
    with pytest.raises(ValueError, match="canary percent must be at most 100"):
        limits({"canary": {"days": 5, "percent": "101"}})
    with pytest.raises(ValueError, match=r"canary\.days must be a whole number of at least 1"):
        limits({"canary": {"days": 0, "percent": "10"}})


def test_the_memory_of_strategies_is_bounded_and_what_it_does_not_know_is_new() -> None:
    known = Strategies()
    for number in range(STRATEGIES_MAX + 5):
        known.saw(msgspec.structs.replace(newcomer(), strategy_version=str(number)), NOW)
    assert known.first(msgspec.structs.replace(newcomer(), strategy_version="0")) == NOW
    beyond = msgspec.structs.replace(newcomer(), strategy_version=str(STRATEGIES_MAX))
    assert known.first(beyond) is None
    known.saw(msgspec.structs.replace(newcomer(), strategy_version="0"), later(1))
    assert known.first(msgspec.structs.replace(newcomer(), strategy_version="0")) == NOW


def test_a_refusal_of_conduct_says_which_order_and_what_part() -> None:
    own = working(terms(Side.SELL, 1, 102), 1)
    met = failures(terms(limit=103), view(APART, orders=[own]))["R21"]
    assert (met.detail, met.value) == (f"the own order {own.id} rests at 102", "103")
    assert failures(terms(limit=None), view(APART, orders=[own]))["R21"].value == "market"
    large = failures(newcomer(101), view(CANARY))["R27"]
    assert large.detail == "the quantity of a newcomer 101 is over the limit 100"


def test_half_a_name_is_none() -> None:
    known = Strategies()
    for half in ({"strategy": None}, {"strategy_version": None}):
        asked = msgspec.structs.replace(newcomer(), **half)
        known.saw(asked, NOW)
        assert known.first(asked) is None


def test_an_order_that_changes_without_its_price_stays_where_it_was() -> None:
    resting = Resting(INSTRUMENTS)
    for _ in range(3):
        resting.moved(working(terms(limit=50), 1))
    assert resting.best(SHARE, Side.BUY) == Quoted(Decimal(50), working(terms(), 1).id)


def test_whom_one_memory_has_met_another_can_be_shown() -> None:
    met, other = Strategies(), Strategies()
    for name, seconds in (("mean", 0), ("trend", 5), ("mean", 9)):
        met.saw(msgspec.structs.replace(terms(), strategy=name, strategy_version="1"), later(seconds))
    assert met.kept() == (Met("mean", "1", NOW), Met("trend", "1", later(5)))
    other.show(met.kept())
    assert other.kept() == met.kept()
    nameless = terms()
    met.saw(nameless, NOW)
    assert met.first(nameless) is None
    assert met.first(msgspec.structs.replace(nameless, strategy="mean")) is None
