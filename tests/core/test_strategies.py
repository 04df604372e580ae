"""Which strategies may trade where a tenant has registered some."""

from __future__ import annotations

import pytest

from ordergate.core.refusals import Code
from ordergate.core.strategies import Strategy, by_tenant, check_strategy, refuse_strategy

LISTED = by_tenant(
    [
        Strategy("acme", "mean", "1", "user:ann"),
        Strategy("acme", "mean", "2", "user:ann", enabled=False),
        Strategy("acme", "trend", "", "user:ben"),
        Strategy("acme", "trend", "9", "user:ben", enabled=False),
        Strategy("acme", "old", "", "user:ben", enabled=False),
        Strategy("zeta", "pairs", "", "user:sue"),
    ]
)


@pytest.mark.parametrize(
    ("name", "version", "code"),
    [
        ("mean", "1", None),
        ("mean", "2", Code.STRATEGY_DISABLED),
        ("mean", "3", Code.STRATEGY_UNKNOWN),
        ("mean", None, Code.STRATEGY_UNKNOWN),
        ("mean", "", Code.STRATEGY_UNKNOWN),
        ("trend", None, None),
        ("trend", "1", None),
        ("trend", "9", Code.STRATEGY_DISABLED),
        ("old", None, Code.STRATEGY_DISABLED),
        ("old", "1", Code.STRATEGY_DISABLED),
        ("Mean", "1", Code.STRATEGY_UNKNOWN),
        ("pairs", None, Code.STRATEGY_UNKNOWN),
        (None, None, None),
        (None, "1", None),
    ],
)
def test_an_order_names_one_that_is_registered_and_enabled(
    name: str | None, version: str | None, code: Code | None
) -> None:
    no = refuse_strategy(LISTED.get("acme"), name, version)
    assert (None if no is None else no.code) is code


def test_a_tenant_that_has_registered_none_trades_any() -> None:
    assert refuse_strategy(LISTED.get("nobody"), "mean", "3") is None
    assert by_tenant([]) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        Strategy("acme", "", "1", "ann"),
        Strategy("acme", "a b", "1", "ann"),
        Strategy("acme", "x" * 65, "1", "ann"),
        Strategy("acme", "mean", "1 ", "ann"),
        Strategy("acme", "mean", "1", ""),
        Strategy("acme", "mean", "1", "ann lee"),
        Strategy("acme", "mean", "1", "a" * 256),
    ],
)
def test_what_cannot_be_registered_is_said(wrong: Strategy) -> None:
    check_strategy(Strategy("acme", "mean", "", "user:ann"))
    with pytest.raises(ValueError, match="a strategy"):
        check_strategy(wrong)
