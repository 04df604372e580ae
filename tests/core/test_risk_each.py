"""Every control below, at and above its limit; with an input missing or stale; replaced; racing with a fill.

The rows are in `risk_rows`; a control that has none fails. What each says after a restart is asked in
`tests/engine/test_risk_restart.py`.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from ordergate.core.orders.order import evolve
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.view import MarketHours, RiskView
from tests.core.examples import NOW, SHARE, account, filled, replace_requested, terms, working
from tests.core.risk_examples import view
from tests.core.risk_rows import IN_SESSION, ROWS, Asked, new, spoilt


def test_every_control_of_the_catalogue_has_its_row() -> None:
    assert list(ROWS) == [control.id for control in PRECEDENCE]


@pytest.mark.parametrize("control", ROWS)
def test_below_at_and_above_the_limit(control: str) -> None:
    row = ROWS[control]
    assert row.edge(-1).answer(control) is None
    assert (row.edge(0).answer(control) is None) is row.at_passes
    assert row.edge(1).answer(control) is not None


@pytest.mark.parametrize("control", ROWS)
def test_a_replacement_below_at_and_above_the_limit(control: str) -> None:
    replaced, at_passes = ROWS[control].replaced, ROWS[control].at_passes
    if isinstance(replaced, str):
        assert " " in replaced
        return
    assert replaced(-1).answer(control) is None
    assert (replaced(0).answer(control) is None) is at_passes
    assert replaced(1).answer(control) is not None


@pytest.mark.parametrize("control", ROWS)
@pytest.mark.parametrize("how", ["missing", "stale"])
def test_an_input_that_is_missing_or_stale_is_a_no(how: str, control: str) -> None:
    case = getattr(ROWS[control], how)
    if isinstance(case, str):
        assert " " in case
        return
    asked, reason = case
    failed = asked().answer(control)
    assert failed is not None
    assert failed.reason == reason


@pytest.mark.parametrize("control", ROWS)
def test_a_part_that_fills_while_its_order_is_being_replaced_makes_no_room(control: str) -> None:
    """Ten work and shall become twenty; four fill before that is answered."""
    raced = ROWS[control].raced
    if isinstance(raced, str):
        assert " " in raced
        return
    limited, before, after = raced
    asked = evolve(working(number=1), replace_requested(20, number=1))
    cash = 2500 if control == "R13" else 5000
    assert room(control, view(limited, holding=account(cash), orders=[asked], power=None)) == before
    part = evolve(asked, filled(4, number=1))
    held = account(cash - 400, {SHARE: (4, 100)})
    seen = view(limited, holding=held, orders=[part], power=None)
    assert seen.profit is not None
    seen.profit.book(NOW, Decimal(0), began=True)
    assert room(control, seen) == after
    if control == "R18":
        seen.profit.watch(working(terms(quantity=1), 2))
        assert room(control, seen) == 0


def room(control: str, seen: RiskView) -> int:
    """How many more may be bought, up to forty."""
    for quantity in range(1, 41):
        if Asked(seen, terms(quantity=quantity)).answer(control) is not None:
            return quantity - 1
    return 40


def test_outside_its_session_a_market_is_closed() -> None:
    opened = spoilt(new(IN_SESSION), hours=MarketHours(is_open=True))
    closed = spoilt(new(IN_SESSION), hours=MarketHours(is_open=False))
    assert opened.answer("R22") is None
    assert closed.answer("R22") is not None
