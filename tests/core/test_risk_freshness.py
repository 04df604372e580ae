"""R25: an account that is not current, or whose books are in doubt, does not grow."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.accounts import account as accounts
from ordergate.core.accounts.breaks import SEVERITY, Action, Nature
from ordergate.core.accounts.events import BreakAssigned, BreakOpened, BreakResolved
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.view import Freshness, RiskView
from tests.core.examples import ACCOUNT, NOW, SHARE, account, terms, working
from tests.core.risk_examples import failures, limits, replace_failures, replacement, spoiled, view


def stale(seconds: float, seen: RiskView | None = None) -> RiskView:
    freshness = Freshness(NOW - timedelta(seconds=seconds), "the stream is down")
    return spoiled(view() if seen is None else seen, freshness=freshness)


def with_break(nature: Nature, subject: str = "XYZ", seen: RiskView | None = None) -> RiskView:
    seen = view() if seen is None else seen
    opened = BreakOpened(
        account=ACCOUNT,
        at=NOW,
        break_id="b-1",
        nature=nature,
        severity=SEVERITY[nature],
        subject=subject,
        ours="1",
        theirs="2",
    )
    return spoiled(seen, account=accounts.evolve(seen.account, opened))


def reason(asked: Terms, seen: RiskView) -> str | None:
    failed = failures(asked, seen).get("R25")
    return None if failed is None else failed.reason


@pytest.mark.parametrize(
    ("seconds", "refused"), [(0, None), (10, None), (10.000001, "stale-account"), (3600, "stale-account")]
)
def test_an_account_is_stale_beyond_its_limit_and_not_before(seconds: float, refused: str | None) -> None:
    assert reason(terms(), stale(seconds)) == refused


def test_the_limit_is_the_accounts_own() -> None:
    assert reason(terms(), stale(1, view(limits({"stream_stale_max_s": "0"})))) == "stale-account"
    assert reason(terms(), stale(60, view(limits({"stream_stale_max_s": "60"})))) is None


def test_a_clock_that_stepped_back_is_no_licence() -> None:
    assert reason(terms(), stale(-1)) == "stale-account"


def test_what_is_not_known_is_a_no() -> None:
    assert reason(terms(), spoiled(view(), freshness=None)) == "freshness-unknown"


@pytest.mark.parametrize("nature", list(Nature), ids=str)
def test_an_open_break_stops_an_order_exactly_when_it_is_severe(nature: Nature) -> None:
    severe = SEVERITY[nature] == "severe"
    assert reason(terms(), with_break(nature)) == ("open-break" if severe else None)


def test_an_assigned_break_still_blocks_and_a_dismissed_one_does_not() -> None:
    seen = with_break(Nature.POSITION)
    assigned = BreakAssigned(account=ACCOUNT, at=NOW, break_id="b-1", owner="anna", actor="ben")
    seen = spoiled(seen, account=accounts.evolve(seen.account, assigned))
    assert reason(terms(), seen) == "open-break"
    dismissed = BreakResolved(
        account=ACCOUNT, at=NOW, break_id="b-1", action=Action.DISMISS, actor="ben", reason="r"
    )
    seen = spoiled(seen, account=accounts.evolve(seen.account, dismissed))
    assert seen.account.breaks  # it is still watched
    assert reason(terms(), seen) is None


def test_a_severe_break_is_told_before_staleness() -> None:
    assert reason(terms(), stale(60, with_break(Nature.POSITION))) == "open-break"


REDUCING = {"reduce_when_stale": True}


@pytest.mark.parametrize(
    ("held", "side", "quantity", "passes"),
    [
        (10, Side.SELL, 10, True),
        (10, Side.SELL, 11, False),
        (10, Side.BUY, 1, False),
        (0, Side.SELL, 1, False),
        (0, Side.BUY, 1, False),
        (-10, Side.BUY, 10, True),
        (-10, Side.BUY, 11, False),
        (-10, Side.SELL, 1, False),
    ],
)
def test_where_the_limits_say_so_only_what_reduces_a_position_passes(
    held: int, side: Side, quantity: int, passes: bool
) -> None:
    holding = account(100_000, {SHARE: (held, 100)} if held else {})
    seen = stale(60, view(limits(REDUCING), holding=holding))
    assert (reason(terms(side, quantity), seen) is None) is passes
    assert reason(terms(side, quantity), stale(60, view(holding=holding))) == "stale-account"


def test_what_is_open_on_the_same_side_counts_against_what_may_be_reduced() -> None:
    holding = account(100_000, {SHARE: (10, 100)})
    open_sell = working(terms(Side.SELL, 4), 1)
    seen = stale(60, view(limits(REDUCING), holding=holding, orders=[open_sell]))
    assert reason(terms(Side.SELL, 6), seen) is None
    assert reason(terms(Side.SELL, 7), seen) == "stale-account"
    # The order itself may be enlarged by what is left, and no further.
    assert "R25" not in replace_failures(open_sell, replacement(10), seen)
    assert "R25" in replace_failures(open_sell, replacement(11), seen)


@pytest.mark.parametrize(
    ("nature", "subject", "passes"),
    [
        (Nature.POSITION, "OTHER", True),
        (Nature.POSITION, SHARE, False),
        (Nature.ENVIRONMENT, ACCOUNT, False),
        (Nature.ORDER_STATUS, "P-1", False),
        (Nature.EXECUTION_MISSING, "P-1", False),
    ],
)
def test_a_position_in_doubt_is_not_reduced(nature: Nature, subject: str, passes: bool) -> None:
    holding = account(100_000, {SHARE: (10, 100)})
    seen = with_break(nature, subject, view(limits(REDUCING), holding=holding))
    assert (reason(terms(Side.SELL, 5), seen) is None) is passes


@given(st.integers(-20, 20), st.sampled_from(Side), st.integers(1, 25), st.integers(0, 12))
def test_whatever_passes_while_stale_can_never_enlarge_a_position(
    held: int, side: Side, quantity: int, opened: int
) -> None:
    holding = account(1_000_000, {SHARE: (held, 100)} if held else {})
    orders = [working(terms(side, opened), 1)] if opened else []
    seen = stale(60, view(limits(REDUCING), holding=holding, orders=orders))
    if reason(terms(side, quantity), seen) is None:
        after = held + side.sign * (opened + quantity)
        assert abs(after) < abs(held)
        assert after == 0 or (after > 0) == (held > 0)


def test_the_fresh_account_of_the_examples_passes() -> None:
    assert reason(terms(), view()) is None


def test_a_refusal_for_a_break_says_which_one_since_when_and_how_the_sides_differ() -> None:
    failed = failures(terms(), with_break(Nature.POSITION))["R25"]
    assert failed == FailedControl(
        control="R25",
        reason="open-break",
        detail="position of XYZ differs: ours 1, theirs 2",
        limit="0",
        value="1",
        inputs={"break": "b-1", "opened_at": NOW.isoformat()},
    )


def test_of_several_severe_breaks_the_oldest_is_told_and_all_are_counted() -> None:
    seen = view()
    for name, nature, seconds in (
        ("b-2", Nature.ENVIRONMENT, 5),
        ("b-3", Nature.POSITION, 3),
        ("b-1", Nature.POSITION, 3),
        ("b-0", Nature.CASH, 1),
    ):
        opened = BreakOpened(
            account=ACCOUNT,
            at=NOW + timedelta(seconds=seconds),
            break_id=name,
            nature=nature,
            severity=SEVERITY[nature],
            subject=name,
            ours="1",
            theirs="2",
        )
        seen = spoiled(seen, account=accounts.evolve(seen.account, opened))
    failed = failures(terms(), seen)["R25"]
    assert (failed.inputs["break"], failed.value) == ("b-1", "3")


def test_a_refusal_for_staleness_says_for_how_long_and_why() -> None:
    failed = failures(terms(), stale(12.5))["R25"]
    assert failed == FailedControl(
        control="R25",
        reason="stale-account",
        detail="the account has not been current for 12.5 s: the stream is down",
        limit="10",
        value="12.5",
        headroom="-2.5",
        inputs={"stale_since": (NOW - timedelta(seconds=12.5)).isoformat()},
    )
