"""A rate is what the table says, its inverse or a cross, and never in the trader's favour."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.ids import Symbol
from ordergate.core.risk.fx import Fx, FxRate, FxTable, Quoted, Rate, rates_of
from tests.core.examples import NOW

OLDER = NOW - timedelta(hours=1)


def figure(rate: str, at: datetime = NOW, source: str = "desk") -> FxRate:
    return FxRate(rate=Decimal(rate), as_of=at, source=source)


TABLE = FxTable(
    base="USD",
    rates={
        "EUR": figure("1.25"),
        "GBP": figure("1.5", OLDER, "treasury"),
        "CHF": figure("3"),
        "BTC": FxRate(symbol="BTC/USD"),
    },
)


def no_prices(symbol: Symbol) -> Quoted | None:
    return None


def rate(currency: str, home: str, table: FxTable | None = TABLE) -> Rate | None:
    return rates_of(table, no_prices, home, [currency]).get(currency)


def test_a_rate_into_the_base_is_what_the_table_says() -> None:
    assert rate("EUR", "USD") == Rate(Decimal("1.25"), Decimal("1.25"), NOW, "desk")


def test_the_inverse_is_exact_where_it_can_be_and_else_rounded_both_ways() -> None:
    assert rate("USD", "EUR") == Rate(Decimal("0.8"), Decimal("0.8"), NOW, "desk")
    third = rate("USD", "CHF")
    assert third is not None
    assert third.up == Decimal("0.333333333333333334")
    assert third.down == Decimal("0.333333333333333333")


def test_a_cross_goes_through_the_base_and_is_as_old_as_the_older_of_the_two() -> None:
    assert rate("GBP", "EUR") == Rate(Decimal("1.2"), Decimal("1.2"), OLDER, "treasury and desk")
    assert rate("EUR", "CHF") == rates_of(TABLE, no_prices, "CHF", ["EUR"])["EUR"]
    cross = rate("EUR", "CHF")
    assert cross is not None
    assert (cross.up, cross.down) == (Decimal("0.416666666666666667"), Decimal("0.416666666666666666"))
    assert cross.source == "desk"


def test_what_the_table_lacks_has_no_rate_and_home_needs_none() -> None:
    assert rate("JPY", "USD") is None
    assert rate("EUR", "JPY") is None
    assert rate("USD", "JPY") is None
    assert rate("EUR", "USD", None) is None
    assert rates_of(TABLE, no_prices, "EUR", ["EUR"]) == {}


def test_a_rate_may_be_the_price_of_a_symbol_with_that_price_s_age() -> None:
    prices = {Symbol("BTC/USD"): Quoted(Decimal(60_000), OLDER, "quote")}
    found = rates_of(TABLE, prices.get, "USD", ["BTC"])["BTC"]
    assert found == Rate(Decimal(60_000), Decimal(60_000), OLDER, "quote BTC/USD")
    home = rates_of(TABLE, prices.get, "BTC", ["USD", "GBP"])
    assert home["USD"].source == "quote BTC/USD"
    assert (home["GBP"].up, home["GBP"].at) == (Decimal("0.000025"), OLDER)
    for useless in (Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Infinity")):
        assert rates_of(TABLE, lambda _: Quoted(useless, NOW, "quote"), "USD", ["BTC"]) == {}  # noqa: B023
    assert rates_of(TABLE, no_prices, "USD", ["BTC"]) == {}


def test_the_inputs_of_an_answer_name_the_rate_its_age_and_its_source() -> None:
    fx = Fx("USD", rates_of(TABLE, no_prices, "USD", ["GBP", "EUR"]), timedelta(days=1))
    assert fx.said(NOW) == {
        "fx_rate_EURUSD": "1.25",
        "fx_age_s_EURUSD": "0",
        "fx_source_EURUSD": "desk",
        "fx_rate_GBPUSD": "1.5",
        "fx_age_s_GBPUSD": "3600",
        "fx_source_GBPUSD": "treasury",
    }


AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, places=4)
RATES = st.decimals(min_value=Decimal("0.0001"), max_value=10**6, places=6).filter(bool)


@given(AMOUNTS, RATES, RATES)
def test_no_conversion_is_in_the_trader_s_favour_nor_off_by_more_than_a_rounding(
    amount: Decimal, one: Decimal, other: Decimal
) -> None:
    table = FxTable(base="USD", rates={"AAA": figure(str(one)), "BBB": figure(str(other))})
    found = rate("AAA", "BBB", table)
    assert found is not None
    exact = amount * one  # in the base; times the other rate both sides are compared without a quotient
    assert found.cheap(amount) * other <= exact <= found.dear(amount) * other
    assert abs(found.dear(amount) - found.cheap(amount)) <= abs(amount) * found.up / 10**16


@given(st.lists(AMOUNTS, max_size=20), RATES, RATES)
def test_sums_come_out_the_same_in_whatever_order_they_are_made(
    amounts: list[Decimal], one: Decimal, other: Decimal
) -> None:
    table = FxTable(base="USD", rates={"AAA": figure(str(one)), "BBB": figure(str(other))})
    found = rate("AAA", "BBB", table)
    assert found is not None
    there = sum((found.dear(amount) for amount in amounts), Decimal(0))
    back = sum((found.dear(amount) for amount in reversed(amounts)), Decimal(0))
    assert there == back
    assert there - sum((found.dear(amount) for amount in amounts), Decimal(0)) == 0
