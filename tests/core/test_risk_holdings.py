"""The controls of the whole account, below, at and above each limit."""

import pytest

from ordergate.core.accounts.account import Account
from ordergate.core.ids import Symbol
from ordergate.core.orders.terms import Side
from tests.core.examples import (
    FUTURE,
    SHARE,
    account,
    later,
    terms,
    working,
)
from tests.core.risk_examples import SAID_OF_PRICE, failures, limits, replace_failures, replacement, view


@pytest.mark.parametrize(
    ("side", "position", "quantity", "passes"),
    [
        (Side.BUY, 0, 99, True),
        (Side.BUY, 0, 100, True),
        (Side.BUY, 0, 101, False),
        (Side.BUY, 60, 40, True),
        (Side.BUY, 60, 41, False),
        (Side.BUY, -50, 150, True),
        (Side.BUY, -50, 151, False),
        (Side.SELL, 0, 50, True),
        (Side.SELL, 0, 51, False),
        (Side.SELL, 10, 60, True),
        (Side.SELL, 10, 61, False),
        (Side.SELL, 200, 10, True),  # beyond the limit already: getting smaller is allowed
        (Side.BUY, -200, 10, True),
    ],
)
def test_r11_position(side: Side, position: int, quantity: int, passes: bool) -> None:
    limited = limits(share={"max_long": "100", "max_short": "50"})
    holding = account(positions={SHARE: (position, 100)}) if position else account()
    failed = failures(terms(side, quantity, 100), view(limited, holding=holding))
    assert ("R11" not in failed) is passes
    if not passes:
        limit = "100" if side is Side.BUY else "50"
        assert (failed["R11"].reason, failed["R11"].limit) == ("position", limit)
        assert failed["R11"].headroom == "-1"


@pytest.mark.parametrize(("quantity", "passes"), [(29, True), (30, True), (31, False)])
def test_r11_counts_what_is_open_on_the_same_side_and_not_what_might_offset_it(
    quantity: int, passes: bool
) -> None:
    open_orders = [working(terms(quantity=50), 1), working(terms(Side.SELL, 40, 100), 2)]
    seen = view(
        limits(share={"max_long": "100"}), holding=account(positions={SHARE: (20, 100)}), orders=open_orders
    )
    failed = failures(terms(quantity=quantity), seen)
    assert ("R11" not in failed) is passes
    if not passes:
        assert failed["R11"].inputs == {"position": "20", "open": "50", "added": "31"}


def funds(cash: int, **positions: tuple[int, int]) -> Account:
    return account(cash, {Symbol(symbol): held for symbol, held in positions.items()})


@pytest.mark.parametrize(
    ("holding", "power", "passes"),
    [
        (funds(1001), 10_000, True),
        (funds(1000), 10_000, True),
        (funds(999), 10_000, False),
        (funds(10_000), 1001, True),
        (funds(10_000), 1000, True),
        (funds(10_000), 999, False),
        (funds(1112), None, True),  # 10 % haircut without the broker's figure
        (funds(1111), None, False),
    ],
)
def test_r13_a_share_needs_its_price(holding: Account, power: int | None, passes: bool) -> None:
    failed = failures(terms(quantity=10, limit=100), view(holding=holding, power=power))
    assert ("R13" not in failed) is passes
    if not passes:
        assert failed["R13"].reason == "buying-power"
        assert failed["R13"].value == "1000"


@pytest.mark.parametrize(("seconds", "passes"), [(60, True), ("60.000001", False)])
def test_r13_a_stale_figure_of_the_broker_leaves_only_our_own_less_the_haircut(
    seconds: int | str, passes: bool
) -> None:
    seen = view(limits({"reference_price_max_age_s": "3600"}), holding=funds(1000), now=later(seconds))
    failed = failures(terms(quantity=10, limit=100), seen)
    assert ("R13" not in failed) is passes
    if not passes:
        assert failed["R13"].limit == "900"
        assert failed["R13"].inputs["source"] == "own less haircut"


@pytest.mark.parametrize(
    ("side", "quantity", "position", "cash", "passes"),
    [
        (Side.SELL, 10, (10, 90), 0, True),  # closing needs nothing
        (Side.SELL, 11, (10, 90), 1099, False),  # turning over needs the whole side
        (Side.SELL, 11, (10, 90), 1100, True),
        (Side.SELL, 10, None, 999, False),  # selling what is not there
        (Side.SELL, 10, None, 1000, True),
        (Side.BUY, 10, (-10, 90), 0, True),  # covering needs nothing
        (Side.BUY, 11, (-10, 90), 2899, False),  # twice the proceeds stay tied up, and this side
        (Side.BUY, 11, (-10, 90), 2900, True),
    ],
)
def test_r13_closing_needs_nothing_and_turning_over_needs_the_whole_side(
    side: Side, quantity: int, position: tuple[int, int] | None, cash: int, passes: bool
) -> None:
    holding = account(cash, {SHARE: position} if position else None)
    assert ("R13" not in failures(terms(side, quantity, 100), view(holding=holding))) is passes


@pytest.mark.parametrize(("cash", "passes"), [(2999, False), (3000, True)])
def test_r13_counts_what_is_reserved_in_this_and_other_instruments(cash: int, passes: bool) -> None:
    others = [working(terms(quantity=10), 1), working(terms(quantity=10, symbol=SHARE), 2)]
    seen = view(holding=account(cash), orders=others)
    assert ("R13" not in failures(terms(quantity=10, limit=100), seen)) is passes


@pytest.mark.parametrize(("cash", "passes"), [(60_999, False), (61_000, True)])
def test_r13_margin_of_futures_elsewhere_is_tied_up(cash: int, passes: bool) -> None:
    holding = account(cash, {FUTURE: (3, 4800)})
    open_orders = [working(terms(Side.BUY, 3, 4800, symbol=FUTURE), 1)]
    seen = view(limits({"max_open_notional": "10000000"}), holding=holding, orders=open_orders)
    assert ("R13" not in failures(terms(quantity=10, limit=100), seen)) is passes


@pytest.mark.parametrize(
    ("side", "quantity", "position", "cash", "passes"),
    [
        (Side.BUY, 2, 0, 20_000, True),
        (Side.BUY, 2, 0, 19_999, False),
        (Side.SELL, 2, 0, 20_000, True),
        (Side.SELL, 2, 0, 19_999, False),
        (Side.SELL, 3, 3, 0, True),  # flat at worst
        (Side.SELL, 6, 3, 0, True),  # as short as it was long: nothing more is needed
        (Side.SELL, 7, 3, 40_000, True),
        (Side.SELL, 7, 3, 39_999, False),
    ],
)
def test_r13_a_future_needs_the_margin_of_the_worst_position(
    side: Side, quantity: int, position: int, cash: int, passes: bool
) -> None:
    holding = account(cash, {FUTURE: (position, 4800)} if position else None)
    seen = view(symbol=FUTURE, price=4800, holding=holding)
    assert ("R13" not in failures(terms(side, quantity, 4800, symbol=FUTURE), seen)) is passes


@pytest.mark.parametrize(
    ("side", "quantity", "position", "cash", "passes"),
    [
        (Side.BUY, 2, 3, 35_000, True),  # 3 held at 5000, and 2 more at 10000
        (Side.BUY, 2, 3, 34_999, False),
        (Side.SELL, 3, 3, 0, True),
        (Side.SELL, 4, 3, 0, True),  # what is freed is enough for the one
        (Side.SELL, 6, 3, 30_000, True),  # as short as it was long, and all of that is new
        (Side.SELL, 6, 3, 29_999, False),
        (Side.BUY, 6, -3, 30_000, True),
        (Side.BUY, 6, -3, 29_999, False),
    ],
)
def test_r13_what_a_future_is_turned_over_into_needs_the_initial_margin(
    side: Side, quantity: int, position: int, cash: int, passes: bool
) -> None:
    holding = account(cash, {FUTURE: (position, 4800)})
    seen = view(limits(future={"maintenance_margin": "5000"}), symbol=FUTURE, price=4800, holding=holding)
    assert ("R13" not in failures(terms(side, quantity, 4800, symbol=FUTURE), seen)) is passes


def test_r13_a_brokers_silence_never_allows_more_than_its_last_word() -> None:
    seen = view(limits({"buying_power_max_age_s": "0"}), holding=funds(10_000), power=999, now=later(1))
    assert failures(terms(quantity=10, limit=100), seen)["R13"].limit == "999"


def test_r13_without_funds_of_our_own_a_haircut_helps_nobody() -> None:
    seen = view(holding=account(-100), power=None)
    assert failures(terms(quantity=1), seen)["R13"].limit == "-100"


@pytest.mark.parametrize(("open_orders", "passes"), [(1, True), (2, True), (3, False)])
def test_r14_number_of_open_orders(open_orders: int, passes: bool) -> None:
    seen = view(limits({"max_open_orders": 3}), orders=[working(number=n) for n in range(1, open_orders + 1)])
    failed = failures(terms(), seen)
    assert ("R14" not in failed) is passes
    if not passes:
        assert (failed["R14"].reason, failed["R14"].limit, failed["R14"].value) == ("open-orders", "3", "4")


@pytest.mark.parametrize(("limit", "passes"), [("99.99", True), ("100", True), ("100.01", False)])
def test_r14_value_of_open_orders(limit: str, passes: bool) -> None:
    seen = view(limits({"max_open_notional": "2000"}), orders=[working(number=1)])
    failed = failures(terms(limit=limit), seen)
    assert ("R14" not in failed) is passes
    if not passes:
        assert (failed["R14"].reason, failed["R14"].value) == ("open-notional", "2000.1")


def test_r14_zero_open_orders_means_none() -> None:
    assert failures(terms(), view(limits({"max_open_orders": 0})))["R14"].headroom == "-1"


@pytest.mark.parametrize(("others", "passes"), [(1, True), (2, False)])
def test_r14_number_of_open_orders_in_one_instrument(others: int, passes: bool) -> None:
    orders = [working(terms(Side.SELL, 1, 100), number) for number in range(others)]
    elsewhere = [working(terms(Side.BUY, 1, 4800, symbol=FUTURE), 9)]
    seen = view(limits(share={"max_open_orders": 2}), orders=[*orders, *elsewhere])
    failed = failures(terms(), seen)
    assert ("R14" not in failed) is passes
    if not passes:
        assert failed["R14"].detail == f"the number of open orders in {SHARE} 3 is over the limit 2"
    order = orders[0]
    assert "R14" not in replace_failures(order, replacement(2), seen)


@pytest.mark.parametrize(("limit", "passes"), [("100", True), ("100.01", False)])
def test_r14_value_of_open_orders_in_one_instrument(limit: str, passes: bool) -> None:
    orders = [working(terms(Side.SELL, 5, 100), 1), working(terms(Side.BUY, 1, 4800, symbol=FUTURE), 9)]
    seen = view(limits(share={"max_open_notional": "1500"}), orders=orders)
    failed = failures(terms(limit=limit), seen)
    assert ("R14" not in failed) is passes
    if not passes:
        told = failed["R14"]
        assert told.detail == f"the value of open orders in {SHARE} 1500.1 is over the limit 1500"
        assert told.inputs == SAID_OF_PRICE | {"open": "500", "added": "1000.1"}
