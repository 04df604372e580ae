"""The controls of the order itself, below, at and above each limit, with the numbers of every no."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from ordergate.core.ids import AccountId, Symbol
from ordergate.core.orders.terms import OrderType, Side, Terms
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.trading_state import Grade, Level, Stop
from tests.core.examples import (
    ACCOUNT,
    FUTURE,
    NOW,
    SHARE,
    account,
    future,
    later,
    share,
    terms,
    working,
)
from tests.core.risk_examples import (
    HOPELESS,
    SAID_OF_PRICE,
    failures,
    hopeless,
    limits,
    replace_failures,
    replacement,
    spoiled,
    view,
)


def test_the_catalogue_is_evaluated_in_its_own_order() -> None:
    assert [control.id for control in PRECEDENCE] == [
        "R01", "R02", "R03", "R04", "R05", "R06", "R07", "R08", "R09", "R10", "R11", "R12", "R13",
        "R14", "R15", "R16", "R18", "R19", "R21", "R22", "R25", "R27", "R28",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "symbol", "price"),
    [
        (terms(), SHARE, 100),
        (terms(Side.SELL, 10, 100), SHARE, 100),
        (terms(limit=None), SHARE, 100),
        (terms(limit=None, stop=105), SHARE, 100),
        (terms(limit=106, stop=105), SHARE, 100),
        (terms(Side.SELL, 10, "94", stop=95), SHARE, 100),
        (terms(quantity=5, limit=4800, symbol=FUTURE), FUTURE, 4800),
        (terms(Side.SELL, 5, None, symbol=FUTURE), FUTURE, 4800),
    ],
)
def test_an_ordinary_order_passes_everything(asked: Terms, symbol: Symbol, price: int) -> None:
    assert failures(asked, view(symbol=symbol, price=price)) == {}


@pytest.mark.parametrize("grade", list(Grade), ids=str)
def test_r01_every_grade_of_the_kill_switch_stops_orders_and_replacements_that_open(grade: Grade) -> None:
    order = working()
    seen = spoiled(view(orders=[order]), kill=Stop(grade, Level.STRATEGY, "trend"))
    for failed in (failures(terms(), seen), replace_failures(order, replacement(5), seen)):
        assert list(failed) == ["R01"]
        assert failed["R01"].reason == "kill-switch"
        assert failed["R01"].inputs == {"level": "strategy", "target": "trend", "grade": grade.value}


def test_r02_an_account_that_is_not_enabled_is_refused() -> None:
    failed = failures(terms(), view(limits({"enabled": False})))
    assert list(failed) == ["R02"]
    assert failed["R02"].reason == "not-enabled"


def test_r02_an_instrument_without_limits_is_refused_by_every_control_that_needs_them() -> None:
    failed = failures(terms(), view(limits({"instruments": {}})))
    assert {control: no.reason for control, no in failed.items()} == dict.fromkeys(
        ["R02", "R06", "R07", "R08", "R11", "R19"], "no-limits"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quantity": "0"}, "not-positive"),
        ({"quantity": "-1"}, "not-positive"),
        ({"quantity": "NaN"}, "not-positive"),
        ({"quantity": "sNaN"}, "not-positive"),
        ({"quantity": "Infinity"}, "not-positive"),
        ({"quantity": "1.5"}, "off-lot"),
        ({"quantity": "1E+18"}, "over-precise"),
        ({"quantity": "1.0000000000"}, "over-precise"),
        ({"limit_price": "0"}, "not-positive"),
        ({"limit_price": "-100"}, "not-positive"),
        ({"limit_price": "Infinity"}, "not-positive"),
        ({"limit_price": "100.001"}, "off-tick"),
        ({"limit_price": "100.0000000001"}, "over-precise"),
        ({"limit_price": None}, "price-missing"),
        ({"stop_price": "100"}, "price-misplaced"),
        ({"type": OrderType.MARKET}, "price-misplaced"),
        ({"type": OrderType.STOP, "limit_price": None}, "price-missing"),
        ({"type": OrderType.STOP_LIMIT}, "price-missing"),
        ({"type": OrderType.STOP_LIMIT, "stop_price": "100.005"}, "off-tick"),
        ({"account": AccountId("P-OTHER")}, "wrong-account"),
        ({"symbol": FUTURE}, "wrong-account"),
    ],
    ids=str,
)
def test_r05_what_is_off_the_grid_is_refused_and_never_rounded(
    changes: dict[str, str | None], reason: str
) -> None:
    typed = {
        name: Decimal(value) if name in {"quantity", "limit_price", "stop_price"} and value else value
        for name, value in changes.items()
    }
    failed = failures(msgspec.structs.replace(terms(), **typed), view())
    assert failed["R05"].reason == reason


@pytest.mark.parametrize("quantity", ["123456789.123456789", "123456789012345678", "0.000000001"])
def test_r05_eighteen_digits_nine_of_them_decimals_are_not_too_many(quantity: str) -> None:
    fine = msgspec.structs.replace(share(), lot=Decimal("0.000000001"))
    assert "R05" not in failures(terms(quantity=quantity), spoiled(view(), instrument=fine))


def test_r05_a_replacement_is_held_to_the_same_grid() -> None:
    order = working()
    failed = replace_failures(order, replacement("10.5", "100.001"), view(orders=[order]))
    assert failed["R05"].reason == "off-lot"


@pytest.mark.parametrize(("quantity", "passes"), [(99, True), (100, True), (101, False)])
def test_r06_quantity(quantity: int, passes: bool) -> None:
    failed = failures(terms(quantity=quantity), view(limits(share={"max_order_quantity": "100"})))
    assert ("R06" not in failed) is passes
    if not passes:
        no = failed["R06"]
        assert (no.reason, no.limit, no.value, no.headroom) == ("order-quantity", "100", "101", "-1")


@pytest.mark.parametrize(("limit", "passes"), [("99.99", True), ("100", True), ("100.01", False)])
def test_r07_value_of_a_limit_order_above_the_market(limit: str, passes: bool) -> None:
    seen = view(limits(share={"max_order_notional": "1000"}), price=90)
    seen = spoiled(seen, limits=limits(share={"max_order_notional": "1000", "collar_percent": "50"}))
    failed = failures(terms(quantity=10, limit=limit), seen)
    assert ("R07" not in failed) is passes
    if not passes:
        no = failed["R07"]
        assert (no.reason, no.limit, no.value, no.headroom) == ("order-notional", "1000", "1000.1", "-0.1")
        assert no.inputs == SAID_OF_PRICE | {"quantity": "10", "price": "100.01", "reference_price": "90"}


@pytest.mark.parametrize(("price", "passes"), [("99.99", True), ("100", True), ("100.01", False)])
def test_r07_value_of_a_market_order_at_the_reference_price(price: str, passes: bool) -> None:
    seen = view(limits(share={"max_order_notional": "1000"}), price=price)
    assert ("R07" not in failures(terms(limit=None), seen)) is passes
    # A limit far below the market does not make a large order small.
    assert ("R07" not in failures(terms(limit=96), seen)) is passes


def test_r07_a_stop_above_the_market_counts_at_its_stop() -> None:
    seen = view(limits(share={"max_order_notional": "1000"}))
    assert failures(terms(limit=None, stop=100), seen) == {}
    assert list(failures(terms(limit=None, stop="100.01"), seen)) == ["R07"]


def test_r07_the_multiplier_is_part_of_the_value() -> None:
    seen = view(limits(future={"max_order_notional": "240000"}), symbol=FUTURE, price=4800)
    assert failures(terms(quantity=1, limit=4800, symbol=FUTURE), seen) == {}
    failed = failures(terms(quantity=1, limit="4800.25", symbol=FUTURE), seen)
    assert failed["R07"].value == "240012.5"


@pytest.mark.parametrize(
    ("side", "limit", "passes"),
    [
        (Side.BUY, "104.99", True),
        (Side.BUY, "105", True),
        (Side.BUY, "105.01", False),
        (Side.SELL, "95.01", True),
        (Side.SELL, "95", True),
        (Side.SELL, "94.99", False),
        (Side.BUY, "50", True),  # far on the passive side: soft
        (Side.SELL, "150", True),
    ],
)
def test_r08_collar_in_percent(side: Side, limit: str, passes: bool) -> None:
    failed = failures(terms(side, 10, limit), view())
    assert ("R08" not in failed) is passes
    if not passes:
        no = failed["R08"]
        bound = "105" if side is Side.BUY else "95"
        assert (no.reason, no.limit, no.value, no.headroom) == ("price-too-aggressive", bound, limit, "-0.01")
        assert no.inputs == SAID_OF_PRICE


@pytest.mark.parametrize(("limit", "passes"), [("100.05", True), ("100.06", False)])
def test_r08_the_tighter_of_percent_and_ticks_holds(limit: str, passes: bool) -> None:
    seen = view(limits(share={"collar_percent": "5", "collar_ticks": 5}))
    assert ("R08" not in failures(terms(limit=limit), seen)) is passes


@pytest.mark.parametrize(
    ("side", "limit", "passes"),
    [(Side.BUY, "95", True), (Side.BUY, "94.99", False), (Side.SELL, "105", True),
     (Side.SELL, "105.01", False)],
)  # fmt: skip
def test_r08_the_far_passive_side_is_refused_where_the_limits_say_so(
    side: Side, limit: str, passes: bool
) -> None:
    failed = failures(terms(side, 10, limit), view(limits({"far_passive_refused": True})))
    assert ("R08" not in failed) is passes
    if not passes:
        nearest = "95" if side is Side.BUY else "105"
        assert (failed["R08"].reason, failed["R08"].limit) == ("price-too-passive", nearest)
        assert failed["R08"].headroom == "-0.01"


@pytest.mark.parametrize(
    ("side", "limit", "stop", "passes"),
    [
        (Side.BUY, "125", "120", True),
        (Side.BUY, "125.01", "120", False),
        (Side.BUY, "105", "90", True),
        (Side.BUY, "105.01", "90", False),
        (Side.SELL, "75", "80", True),
        (Side.SELL, "74.99", "80", False),
        (Side.SELL, "95", "110", True),
        (Side.SELL, "94.99", "110", False),
    ],
)
def test_r08_the_limit_behind_a_stop_is_compared_with_the_market_that_triggers_it(
    side: Side, limit: str, stop: str, passes: bool
) -> None:
    assert ("R08" not in failures(terms(side, 10, limit, stop=stop), view())) is passes


def test_every_failure_is_returned_and_not_just_the_first() -> None:
    assert list(failures(HOPELESS, hopeless())) == [control.id for control in PRECEDENCE]


def test_the_numbers_of_a_refusal_are_plain_decimal_strings() -> None:
    failed = failures(terms(quantity="1000000"), view())
    for no in failed.values():
        for number in (no.limit, no.value, no.headroom):
            assert number is None or format(Decimal(number), "f") == number


def test_the_account_of_the_examples_is_the_one_the_terms_are_for() -> None:
    assert view().account.id == ACCOUNT == terms().account
    assert future().symbol == FUTURE


@pytest.mark.parametrize(("side", "passes"), [(Side.BUY, False), (Side.SELL, True)])
def test_r02_past_the_moment_until_which_an_account_is_enabled_it_only_makes_smaller(
    side: Side, passes: bool
) -> None:
    until = NOW + timedelta(minutes=5)
    limited = limits({"enabled_until": until.isoformat()})
    holding = account(100_000, {SHARE: (10, 100)})
    assert "R02" not in failures(terms(side), view(limited, holding=holding, now=NOW))
    failed = failures(terms(side), view(limited, holding=holding, now=until))
    assert ("R02" not in failed) is passes
    if not passes:
        assert failed["R02"].detail == f"account {ACCOUNT} was enabled until {until.isoformat()}"


def test_r02_in_live_an_account_without_such_a_moment_is_not_enabled() -> None:
    books = msgspec.structs.replace(account(), id=AccountId("L-DEMO"))
    asked = msgspec.structs.replace(terms(), account=books.id)
    failed = failures(asked, view(holding=books))
    assert (failed["R02"].reason, "two persons" in failed["R02"].detail) == ("not-enabled", True)
    limited = limits({"enabled_until": later(60).isoformat()})
    assert "R02" not in failures(asked, view(limited, holding=books))
