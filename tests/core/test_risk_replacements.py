"""A replacement is judged on the worst of what is and what would be; either may be the one that lives."""

from datetime import timedelta

import pytest

from ordergate.core.admission import admit_leg_resize
from ordergate.core.orders.events import ReplaceDenied, ReplaceRequested
from ordergate.core.orders.order import evolve
from ordergate.core.orders.terms import Side
from ordergate.core.risk.trading_state import Grade, Stop
from ordergate.core.risk.view import Freshness
from tests.core.examples import (
    NOW,
    SHARE,
    account,
    filled,
    replace_requested,
    terms,
    working,
)
from tests.core.risk_examples import failures, limits, replace_failures, replacement, spoiled, view
from tests.core.test_admission import REPLACE


@pytest.mark.parametrize(
    ("quantity", "limit", "refused"),
    [
        (15, 100, set()),
        (16, 100, {"R11", "R13", "R14"}),
        (10, "100", set()),
        (10, "150", set()),  # 10 at 150: 1500, as much as 15 at 100
        (10, "150.01", {"R13", "R14"}),
        (5, "150.01", {"R13", "R14"}),  # smaller and dearer: the old quantity may still fill
    ],
)
def test_a_replacement_is_judged_on_the_worst_of_old_and_new(
    quantity: int, limit: str, refused: set[str]
) -> None:
    order = working()
    limited = limits({"max_open_notional": "1500"}, share={"max_long": "15", "collar_percent": "60"})
    seen = view(limited, holding=account(1500), orders=[order])
    assert set(replace_failures(order, replacement(quantity, limit), seen)) == refused


def test_a_replacement_of_a_partly_filled_order_counts_what_is_left() -> None:
    order = evolve(working(), filled(4))
    limited = limits(share={"max_long": "15"})
    holding = account(positions={SHARE: (4, 100)})
    assert replace_failures(order, replacement(15), view(limited, holding=holding, orders=[order])) == {}
    failed = replace_failures(order, replacement(16), view(limited, holding=holding, orders=[order]))
    assert list(failed) == ["R11"]
    assert failed["R11"].value == "16"


def test_a_replacement_that_makes_nothing_worse_passes_tightened_limits() -> None:
    order = working()
    tight = limits({"max_open_notional": "1", "max_open_orders": 0}, share={"max_long": "1"})
    seen = view(tight, holding=account(0), orders=[order])
    assert replace_failures(order, replacement(5, 99), seen) == {}


def test_an_unanswered_replace_still_holds_its_worst_for_the_next_order() -> None:
    order = evolve(working(), replace_requested(20))
    seen = view(limits(share={"max_long": "25"}), orders=[order])
    assert failures(terms(quantity=5), seen) == {}
    assert list(failures(terms(quantity=6), seen)) == ["R11"]


def test_a_closing_order_that_is_replaced_still_only_closes() -> None:
    order = working(terms(Side.SELL, 10, 100))
    seen = view(holding=account(0, {SHARE: (10, 90)}), orders=[order])
    assert replace_failures(order, replacement(10, 101), seen) == {}
    assert list(replace_failures(order, replacement(11, 100), seen)) == ["R13"]


def test_a_stop_that_is_replaced_is_judged_at_its_new_stop() -> None:
    order = working(terms(limit=None, stop=101))
    limited = limits(share={"max_order_notional": "1100"})
    assert replace_failures(order, replacement(10, None, 110), view(limited, orders=[order])) == {}
    assert list(replace_failures(order, replacement(10, None, 111), view(limited, orders=[order]))) == ["R07"]


def test_what_has_filled_of_an_order_does_not_count_against_what_it_may_still_reduce() -> None:
    order = evolve(working(terms(Side.SELL, 10, 100)), filled(4))
    stale = Freshness(NOW - timedelta(minutes=1), "down")
    holding, limited = account(10**6, {SHARE: (6, 100)}), limits({"reduce_when_stale": True})
    seen = spoiled(view(limited, holding=holding, orders=[order]), freshness=stale)
    assert "R25" not in replace_failures(order, replacement(10, 101), seen)
    assert "R25" in replace_failures(order, replacement(11, 101), seen)
    nobodys = spoiled(seen, exposure=view().exposure)
    assert "R25" not in replace_failures(order, replacement(10, 101), nobodys)
    assert "R25" in replace_failures(order, replacement(11, 101), nobodys)


def test_a_leg_that_is_made_smaller_or_only_reduces_is_held_to_little_and_any_other_to_everything() -> None:
    order = working(terms(Side.SELL, 10, 100))
    tight = limits({"order_types": [], "stream_stale_max_s": "0"}, share={"max_order_quantity": "5"})
    exits = view(tight, holding=account(positions={SHARE: (12, 100)}), orders=[order])
    assert isinstance(admit_leg_resize(order, replacement(12), REPLACE, exits), ReplaceRequested)
    opens = admit_leg_resize(order, replacement(13), REPLACE, exits)
    assert isinstance(opens, ReplaceDenied)
    assert [no.control for no in opens.failed] == ["R03", "R06"]
    killed = spoiled(exits, kill=Stop(Grade.BLOCK_NEW))
    stopped = admit_leg_resize(order, replacement(12), REPLACE, killed)
    assert isinstance(stopped, ReplaceDenied)
    assert [no.control for no in stopped.failed] == ["R01"]
