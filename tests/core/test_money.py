"""Amounts are exact or refused, and written in one way only."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.durations import in_seconds
from ordergate.core.money import NotAnAmount, amount, average, is_multiple, text

AMOUNTS = st.decimals(
    min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False, places=9
).map(lambda value: value.quantize(Decimal("0.000000001")))
POSITIVE = st.decimals(min_value="0.000000001", max_value=10**9, places=9)


@given(AMOUNTS)
def test_an_amount_is_read_back_exactly_as_it_was_written(value: Decimal) -> None:
    assert amount(text(value)) == value


@given(AMOUNTS)
def test_an_amount_is_written_without_exponent_trailing_zeros_or_negative_zero(value: Decimal) -> None:
    written = text(value)
    assert "E" not in written
    assert "e" not in written
    assert written != "-0"
    assert "." not in written or written[-1] not in ".0"


@given(POSITIVE, POSITIVE, POSITIVE)
def test_a_product_of_three_amounts_is_never_rounded(one: Decimal, two: Decimal, three: Decimal) -> None:
    product = one * two * three
    exact = int(one.scaleb(9)) * int(two.scaleb(9)) * int(three.scaleb(9))
    assert int(product.scaleb(27)) == exact


@pytest.mark.parametrize(
    "value",
    ["", " 1", "1 ", "+1", "1e5", "1E-5", ".5", "5.", "00", "01", "1,5", "NaN", "Infinity", "-", "0x1",
     "1_000", "١", "1\n", "1.0000000001", "1234567890123456789", "1234567890123.123456", "--1"],
)  # fmt: skip
def test_what_is_not_a_plain_decimal_of_18_digits_is_refused(value: str) -> None:
    with pytest.raises(NotAnAmount):
        amount(value)


@pytest.mark.parametrize(
    "value", ["0", "-0", "-1.5", "123456789012345678", "0.000000001", "123456789.123456789"]
)
def test_plain_decimals_are_taken(value: str) -> None:
    assert amount(value) == Decimal(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [("1E+3", "1000"), ("1.500", "1.5"), ("-0.00", "0"), ("100", "100"), ("1E-9", "0.000000001")],
)
def test_there_is_one_way_to_write_an_amount(value: str, written: str) -> None:
    assert text(Decimal(value)) == written


@pytest.mark.parametrize(
    ("value", "step", "fits"),
    [("4800.25", "0.25", True), ("4800.26", "0.25", False), ("0", "0.01", True),
     ("3", "1", True), ("3.5", "1", False)],
)  # fmt: skip
def test_off_grid_is_seen_and_never_rounded(value: str, step: str, fits: bool) -> None:
    assert is_multiple(Decimal(value), Decimal(step)) is fits


def test_only_a_shown_average_is_rounded_and_nothing_has_none() -> None:
    assert average(Decimal(10), Decimal(3)) == Decimal("3.333333333")
    assert average(Decimal(10), Decimal(0)) is None


@given(st.integers(-(10**12), 10**12))
def test_a_duration_is_written_in_seconds_exactly_and_as_an_amount(microseconds: int) -> None:
    written = in_seconds(timedelta(microseconds=microseconds))
    assert Decimal(written) * 1_000_000 == microseconds
    assert written == text(Decimal(written))
