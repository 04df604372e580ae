"""What each control would say of an order is what refuses it, however the order is asked about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ordergate.core.orders.commands import PlaceOrder
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.judge import (
    PRECEDENCE,
    Approved,
    Denied,
    Verdict,
    judge_held,
    judge_leg,
    judge_place,
    judge_release,
    verdicts,
    verdicts_of_held,
    verdicts_of_leg,
    verdicts_of_release,
)
from ordergate.core.risk.view import RiskView
from tests.core.examples import SHARE, account, place, terms
from tests.core.risk_examples import limits, view

Said = Callable[[Terms, RiskView], tuple[Verdict, ...]]
Judge = Callable[[PlaceOrder, RiskView], Approved[PlaceOrder] | Denied]

WAYS = (
    pytest.param(verdicts, judge_place, id="alone"),
    pytest.param(verdicts_of_held, judge_held, id="kept"),
    pytest.param(verdicts_of_release, judge_release, id="released"),
    pytest.param(verdicts_of_leg, judge_leg, id="of a group"),
)
ORDERS = (
    pytest.param(terms(Side.SELL, 10, 100), id="reduces"),
    pytest.param(terms(Side.SELL, 100_000, 300), id="turns over"),
    pytest.param(terms(Side.BUY, 10, 100), id="grows"),
)


def seen() -> RiskView:
    """Ten are held, no hours are known, nothing more may be open, and each order was there a moment ago."""
    strict = limits({"hours": "session", "max_open_orders": 0, "max_gross_exposure": "1"})
    found = view(strict, holding=account(positions={SHARE: (10, 100)}))
    for asked in (one.values[0] for one in ORDERS):
        assert isinstance(asked, Terms)
        found.recent.remember(asked, found.now)
    return found


@pytest.mark.parametrize(("said", "judge"), WAYS)
@pytest.mark.parametrize("asked", ORDERS)
def test_the_verdicts_are_those_that_refuse(said: Said, judge: Judge, asked: Terms) -> None:
    found, answer = said(asked, seen()), judge(place(asked), seen())
    refusing = {no.control for no in answer.failed} if isinstance(answer, Denied) else set()
    assert [one.control for one in found] == list(PRECEDENCE)
    assert {one.control.id for one in found if one.failed} == refusing
