"""Names fit every broker, carry their environment and come back as they went."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.ids import (
    VERSION_MAX,
    Env,
    OrderId,
    cl_ord_id,
    is_account_id,
    is_order_id,
    order_id,
    parse_cl_ord_id,
)

ENVS = st.sampled_from(Env)
MILLISECONDS = st.integers(0, 2**42 - 1)
ENTROPY = st.integers(0, 2**48 - 1)
VERSIONS = st.integers(1, VERSION_MAX)


@given(ENVS, MILLISECONDS, ENTROPY, VERSIONS)
def test_a_client_order_id_is_22_characters_that_name_the_order_and_the_version(
    env: Env, at_ms: int, entropy: int, version: int
) -> None:
    order = order_id(env, at_ms=at_ms, entropy=entropy)
    told = cl_ord_id(order, version)
    assert re.fullmatch("[0-9A-Z]{22}", told)
    assert parse_cl_ord_id(env, told) == (order, version)


@given(ENVS, MILLISECONDS, ENTROPY, VERSIONS)
def test_the_other_environments_ids_are_refused(env: Env, at_ms: int, entropy: int, version: int) -> None:
    other = Env.LIVE if env is Env.PAPER else Env.PAPER
    order = order_id(env, at_ms=at_ms, entropy=entropy)
    assert is_order_id(env, order)
    assert not is_order_id(other, order)
    assert parse_cl_ord_id(other, cl_ord_id(order, version)) is None


@given(MILLISECONDS, MILLISECONDS, ENTROPY, ENTROPY)
def test_ids_sort_by_time(first: int, second: int, entropy: int, other: int) -> None:
    earlier, later = sorted((first, second))
    ids = [
        order_id(Env.PAPER, at_ms=earlier, entropy=entropy),
        order_id(Env.PAPER, at_ms=later, entropy=other),
    ]
    assert earlier == later or ids == sorted(ids)


@given(st.text(max_size=30))
def test_what_is_not_ours_is_nobodys(text: str) -> None:
    for env in Env:
        found = parse_cl_ord_id(env, text)
        assert found is None or cl_ord_id(*found) == text


@pytest.mark.parametrize("version", [0, -1, VERSION_MAX + 1])
def test_a_version_that_does_not_fit_is_refused(version: int) -> None:
    with pytest.raises(ValueError, match="version must be 1 to"):
        cl_ord_id(OrderId("P-000000000000000000"), version)


@pytest.mark.parametrize(
    "text",
    ["", "P-", "P-00000000000000000", "P-0000000000000000000", "P-00000000000000000I", "p-000000000000000000",
     "P-000000000000000000\n", "X-000000000000000000", "P-٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠"],
)  # fmt: skip
def test_text_that_only_looks_like_an_order_id_is_refused(text: str) -> None:
    assert not is_order_id(Env.PAPER, text)


@pytest.mark.parametrize(
    ("text", "fits"),
    [("P-DEMO", True), ("P-a1", True), ("L-DEMO", False), ("P-", False), ("P-" + "A" * 24, True),
     ("P-" + "A" * 25, False), ("P-A B", False), ("P-DEMO\n", False)],
)  # fmt: skip
def test_an_account_id_carries_its_environment(text: str, fits: bool) -> None:
    assert is_account_id(Env.PAPER, text) is fits
