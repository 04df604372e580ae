"""What adds up: exposure of one account and of several, and how much of it is in one thing."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.ids import AccountId, Symbol
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import Side, Terms
from ordergate.core.risk.exposure import Exposure, OpenInterest
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.valuation import Totals, Valuation
from ordergate.core.risk.view import RiskView
from tests.core.examples import ACCOUNT, FUTURE, NOW, SHARE, account, later, share, terms, working
from tests.core.risk_examples import (
    INSTRUMENTS,
    SAID_OF_PRICE,
    failures,
    limits,
    replace_failures,
    replacement,
    spoiled,
    valued,
    view,
)


def failed(asked: Terms, seen: RiskView, control: str = "R12") -> FailedControl | None:
    return failures(asked, seen).get(control)


GROSS = limits({"max_gross_exposure": "2000"})
NET = limits({"max_net_exposure": "2000"})


@pytest.mark.parametrize(("quantity", "passes"), [(9, True), (10, True), (11, False)])
def test_r12_gross_counts_what_is_held_open_and_asked_for(quantity: int, passes: bool) -> None:
    holding = account(positions={SHARE: (5, 90)})
    seen = view(GROSS, holding=holding, orders=[working(terms(quantity=5), 1)])
    no = failed(terms(quantity=quantity), seen)
    assert (no is None) is passes
    if no is not None:
        assert (no.reason, no.limit, no.value, no.headroom) == ("gross-exposure", "2000", "2100", "-100")
        assert no.inputs == SAID_OF_PRICE | {"scope": "account", "gross": "1000", "added": "1100"}


def test_r12_gross_adds_up_over_symbols_and_directions_and_net_takes_off() -> None:
    both = account(positions={SHARE: (10, 100), FUTURE: (-1, 4800)})
    seen = view(limits({"max_gross_exposure": "242000"}), holding=both)
    assert failed(terms(quantity=10), seen) is None
    assert failed(terms(quantity=11), seen) is not None
    level = view(limits({"max_net_exposure": "0"}), holding=both)
    assert failed(terms(quantity=900), level) is None  # 239 000 short already, and never more than that long


@pytest.mark.parametrize(("side", "quantity", "passes"), [
    (Side.BUY, 10, True), (Side.BUY, 11, False), (Side.SELL, 30, True), (Side.SELL, 31, False),
])  # fmt: skip
def test_r12_net_is_the_worst_of_each_direction(side: Side, quantity: int, passes: bool) -> None:
    seen = view(NET, holding=account(positions={SHARE: (10, 100)}))
    no = failed(terms(side, quantity), seen)
    assert (no is None) is passes
    if no is not None:
        assert no.reason == "net-exposure"
        assert no.inputs["net"] == ("1000" if side is Side.BUY else "-1000")


def test_r12_open_orders_of_the_other_side_are_not_netted() -> None:
    seen = view(NET, orders=[working(terms(Side.SELL, 20), 1), working(terms(quantity=15), 2)])
    assert failed(terms(quantity=5), seen) is None
    assert failed(terms(quantity=6), seen) is not None


def test_r12_what_makes_nothing_larger_passes_above_the_limit() -> None:
    over_it = view(GROSS, holding=account(positions={SHARE: (50, 100)}))
    assert failed(terms(Side.SELL, 50), over_it) is None
    assert failed(terms(Side.SELL, 100), over_it) is None  # as large the other way
    assert failed(terms(Side.SELL, 101), over_it) is not None
    assert failed(terms(quantity=1), over_it) is not None


def test_r12_a_replacement_counts_the_worst_of_old_and_new() -> None:
    order = working(terms(quantity=10))
    seen = view(GROSS, orders=[order])
    assert "R12" not in replace_failures(order, replacement(20), seen)
    assert "R12" in replace_failures(order, replacement(21), seen)
    tight = view(limits({"max_gross_exposure": "500"}), orders=[order])
    assert "R12" not in replace_failures(order, replacement(5), tight)


@pytest.mark.parametrize(("age", "fresh"), [(5, True), (5.000001, False), (-5.000001, False)])
def test_r12_a_value_of_some_time_ago_is_not_known(age: float, fresh: bool) -> None:
    seen = view(GROSS)
    assert seen.valuation is not None
    seen.valuation.looked_up(NOW - timedelta(seconds=age), frozenset())
    no = failed(terms(), seen)
    assert (no is None) is fresh
    assert no is None or no.reason == "valuation-stale"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda seen: spoiled(seen, valuation=None), "valuation-stale"),
        (lambda seen: spoiled(seen, valuation=Valuation()), "valuation-stale"),
        (lambda seen: spoiled(seen, reference=None), "no-reference-price"),
        (lambda seen: spoiled(seen, now=later("4.9"), reference=None), "no-reference-price"),
        (
            lambda seen: spoiled(seen, instrument=msgspec.structs.replace(share(), currency="EUR")),
            "no-fx-rate",
        ),
    ],
)
def test_r12_what_is_missing_is_a_no(spoil: Callable[[RiskView], RiskView], reason: str) -> None:
    no = failed(terms(), spoil(view(GROSS)))
    assert no is not None
    assert no.reason == reason


def test_r12_something_held_without_a_price_or_in_another_currency_is_a_no() -> None:
    seen = view(GROSS)
    assert seen.valuation is not None
    seen.valuation.looked_up(NOW, frozenset({FUTURE}))
    no = failed(terms(), seen)
    assert no is not None
    assert (no.reason, no.detail) == ("valuation-stale", f"no price is known of {FUTURE}")
    abroad = view(GROSS, orders=[working(terms(), 1)])
    assert abroad.valuation is not None
    position = account(positions={FUTURE: (1, 1)}).position(FUTURE)
    abroad.valuation.moved(FUTURE, position, OpenInterest(), None, "USD")
    assert failed(terms(), abroad) is not None
    assert abroad.valuation.has_foreign
    abroad.valuation.moved(FUTURE, account().position(FUTURE), OpenInterest(), None, "USD")
    assert failed(terms(), abroad) is None


def test_r12_an_open_order_without_a_value_is_a_no() -> None:
    no = failed(terms(), view(GROSS, orders=[working(terms(limit=None), 1, reference=None)]))
    assert no is not None
    assert no.reason == "unpriced-exposure"


FIRM = {"shared_exposure": {"firm": {"max_gross": "3000", "max_net": "2500"}}}


def in_firm(seen: RiskView, firm: Totals, name: str = "P-TEST", currency: str = "USD") -> RiskView:
    assert seen.valuation is not None
    seen.valuation.join(AccountId(name), currency, {"firm": firm})
    return seen


def test_r12_accounts_of_one_firm_are_counted_together() -> None:
    firm = Totals([AccountId("P-TEST"), AccountId("P-OTHER")])
    other = in_firm(view(limits(), holding=account(positions={SHARE: (-15, 100)})), firm, "P-OTHER")
    seen = in_firm(view(limits(FIRM), holding=account(positions={SHARE: (5, 100)})), firm)
    assert [firm.gross, firm.up, firm.down] == [2000, -1000, -1000]
    assert failed(terms(quantity=10), seen) is None
    no = failed(terms(quantity=11), seen)
    assert no is not None
    assert (no.reason, no.inputs["scope"], no.inputs["gross"]) == ("gross-exposure", "firm", "2000")
    net = failed(terms(Side.SELL, 16), seen)
    assert net is not None
    assert net.reason == "net-exposure"
    assert other.valuation is not None
    other.valuation.leave()
    assert [firm.gross, firm.up, firm.down] == [500, 500, 500]


def test_r12_a_sum_that_is_not_whole_is_a_no() -> None:
    firm = Totals([AccountId("P-TEST"), AccountId("P-OTHER")])
    apart = view(limits(FIRM))
    assert failed(terms(), apart) is not None
    seen = in_firm(view(limits(FIRM)), firm)
    no = failed(terms(), seen)
    assert no is not None
    assert no.reason == "exposure-unknown"
    in_firm(view(limits()), firm, "P-OTHER", currency="EUR")
    assert failed(terms(), seen) is not None
    in_firm(view(limits()), firm, "P-OTHER")
    assert failed(terms(), seen) is None


def concentrated(percent: str) -> Limits:
    return limits(share={"max_concentration_percent": percent})


@pytest.mark.parametrize(("quantity", "passes"), [(9, True), (10, True), (11, False)])
def test_r19_no_more_of_one_thing_than_a_part_of_what_the_account_is_worth(
    quantity: int, passes: bool
) -> None:
    holding = account(7000, {SHARE: (10, 90), FUTURE: (1, 4780)})
    seen = spoiled(view(concentrated("20"), holding=holding))
    exposure = Exposure(INSTRUMENTS)
    worth = valued(holding, exposure, {SHARE: 100, FUTURE: 4820})
    seen = spoiled(seen, valuation=worth)  # 7000 + 1000 + 2000 of the future's profit
    assert worth.own.worth == 3000
    no = failures(terms(quantity=quantity), seen).get("R19")
    assert (no is None) is passes
    if no is not None:
        assert (no.reason, no.limit, no.value) == ("concentration", "2000", "2100")
        assert no.inputs == SAID_OF_PRICE | {"worth": "10000", "percent": "20"}
    assert "R19" not in failures(terms(Side.SELL, 10), seen)


def test_r19_an_account_that_is_worth_nothing_may_hold_nothing_more() -> None:
    seen = view(concentrated("100"), holding=account(-1000))
    assert failures(terms(quantity=1), seen)["R19"].limit == "0"
    unknown = failures(terms(), spoiled(view(concentrated("100")), valuation=None))["R19"]
    assert unknown.reason == "valuation-stale"


def volume(age_days: int = 0, **changes: Any) -> Limits:
    known = {"max_volume_percent": "5", "average_daily_volume": "400",
             "average_daily_volume_at": (NOW - timedelta(days=age_days)).isoformat()}  # fmt: skip
    return limits(share={name: value for name, value in {**known, **changes}.items() if value is not None})


@pytest.mark.parametrize(("side", "quantity", "passes"), [
    (Side.BUY, 14, True), (Side.BUY, 15, True), (Side.BUY, 16, False), (Side.SELL, 20, True),
    (Side.SELL, 21, False),
])  # fmt: skip
def test_r19_no_more_open_on_a_side_than_a_part_of_a_days_volume(
    side: Side, quantity: int, passes: bool
) -> None:
    no = failures(terms(side, quantity), view(volume(), orders=[working(terms(quantity=5), 1)])).get("R19")
    assert (no is None) is passes
    if no is not None:
        assert (no.reason, no.limit, no.value, no.headroom) == ("volume-share", "20", "21", "-1")


def test_r19_a_replacement_counts_only_what_it_adds() -> None:
    order = working(terms(quantity=10))
    seen = view(volume(), orders=[order])
    assert "R19" not in replace_failures(order, replacement(20), seen)
    assert "R19" in replace_failures(order, replacement(21), seen)
    large = working(terms(quantity=30))
    assert "R19" not in replace_failures(large, replacement(29), view(volume(), orders=[large]))


@pytest.mark.parametrize("limited", [
    volume(average_daily_volume=None), volume(average_daily_volume_at=None), volume(8), volume(-8),
])  # fmt: skip
def test_r19_a_volume_that_is_missing_or_old_is_a_no(limited: Limits) -> None:
    assert failures(terms(), view(limited))["R19"].reason == "volume-unknown"
    assert failures(terms(), view(volume(7))) == {}


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), st.sampled_from([SHARE, FUTURE]), st.integers(-9, 9)),
        st.tuples(st.just("open"), st.sampled_from([SHARE, FUTURE]), st.integers(0, 9)),
        st.tuples(st.just("mark"), st.sampled_from([SHARE, FUTURE]), st.integers(50, 150)),
    ),
    max_size=40,
)


@given(MOVES)
def test_kept_up_to_date_equals_valued_anew(moves: list[tuple[str, Symbol, int]]) -> None:
    firm = Totals()
    kept = Valuation()
    kept.join(AccountId("P-TEST"), "USD", {"firm": firm})
    held: dict[Symbol, int] = {}
    opened: dict[Symbol, int] = {}
    marks: dict[Symbol, int | str] = {}
    for what, symbol, number in moves:
        if what == "mark":
            marks[symbol] = number
            kept.mark(symbol, Decimal(number))
            continue
        (held if what == "hold" else opened)[symbol] = number
        kept.moved(symbol, _books(held).position(symbol), _opened(opened, symbol), INSTRUMENTS[symbol], "USD")
    anew = Valuation()
    for symbol, price in marks.items():
        anew.mark(symbol, Decimal(price))
    for symbol in (SHARE, FUTURE):
        anew.moved(symbol, _books(held).position(symbol), _opened(opened, symbol), INSTRUMENTS[symbol], "USD")
    for name in ("gross", "up", "down", "unrealised", "worth", "open_profit"):
        assert getattr(kept.own, name) == getattr(anew.own, name) == getattr(firm, name)
    kept.leave()
    assert [firm.gross, firm.up, firm.down, firm.worth] == [0, 0, 0, 0]
    assert all(kept.holds(symbol) is bool(held.get(symbol)) for symbol in INSTRUMENTS)


def _books(held: dict[Symbol, int]) -> Any:
    return account(positions={symbol: (quantity, 100) for symbol, quantity in held.items() if quantity})


def _opened(opened: dict[Symbol, int], symbol: Symbol) -> OpenInterest:
    quantity = Decimal(opened.get(symbol, 0))
    return OpenInterest(quantity, quantity, quantity * 100, quantity * 100, 1 if quantity else 0)


def test_r19_what_makes_it_no_larger_passes_above_the_limit() -> None:
    seen = view(concentrated("1"), holding=account(100, {SHARE: (10, 100)}))
    assert "R19" not in failures(terms(Side.SELL, 20), seen)
    assert "R19" in failures(terms(Side.SELL, 21), seen)


def test_a_refusal_of_a_sum_says_what_it_is_of() -> None:
    gross = failed(terms(quantity=21), view(GROSS))
    assert gross is not None
    assert gross.detail == "the gross exposure of account 2100 is over the limit 2000"
    net = failed(terms(Side.SELL, 21), view(NET))
    assert net is not None
    assert net.detail == "the net exposure of account 2100 is over the limit 2000"
    assert net.inputs["added"] == "2100"
    share_of_volume = failures(terms(quantity=21), view(volume()))["R19"]
    assert share_of_volume.detail == "what is open to buy 21 is over the limit 20"
    assert share_of_volume.inputs == {
        "average_daily_volume": "400", "at": NOW.isoformat(), "percent": "5",
    }  # fmt: skip
    unknown = failures(terms(), view(volume(8)))["R19"]
    assert unknown.detail == f"the daily volume of {SHARE} is not known"
    large = failures(terms(quantity=21), view(concentrated("0.2")))["R19"]
    assert large.detail == f"the exposure in {SHARE} 2100 is over the limit 2000"


def test_who_has_left_the_sums_may_join_again() -> None:
    firm = Totals()
    seen = in_firm(view(limits(), holding=account(positions={SHARE: (5, 100)})), firm)
    assert seen.valuation is not None
    seen.valuation.leave()
    assert seen.valuation.shared == {}
    seen.valuation.leave()
    assert firm.gross == 0
    in_firm(seen, firm)
    assert firm.gross == 500


def test_a_valuation_knows_its_symbols_and_a_price_that_stays_moves_nothing() -> None:
    holding = account(0, {SHARE: (10, 100)})
    valuation = view(holding=holding, price=110).valuation
    assert valuation is not None
    assert list(valuation.symbols()) == [SHARE]
    before = valuation.own.worth
    valuation.mark(SHARE, Decimal(110))
    valuation.mark(FUTURE, Decimal(4800))  # nothing is held of it
    assert valuation.own.worth == before == 1_100


def test_a_sum_that_nobody_is_in_any_more_takes_the_next_currency() -> None:
    firm = Totals()
    valuation = view(holding=account(0, {SHARE: (10, 100)})).valuation
    assert valuation is not None
    valuation.express("EUR", {})  # joined nowhere yet: nothing to withdraw from
    valuation.join(ACCOUNT, "EUR", {"firm": firm})
    assert (firm.currency, firm.present) == ("EUR", {ACCOUNT})
    valuation.express("USD", {})
    assert (firm.currency, firm.present, firm.absent) == (None, set(), {ACCOUNT})
    valuation.join(ACCOUNT, "USD", {"firm": firm})
    assert (firm.currency, firm.present, firm.absent) == ("USD", {ACCOUNT}, set())
