"""A key is good for what it was made for: what cannot be judged is a no, and no bound is none."""

from __future__ import annotations

from decimal import Decimal
from ipaddress import ip_network

import pytest

from ordergate.core.access import KeyBounds
from ordergate.core.ids import Symbol
from ordergate.core.key_bounds import refuse_address, refuse_flatten, refuse_use, refuse_value
from ordergate.core.refusals import Code, Refusal
from tests.engine.stage import ES, INSTRUMENT

NOTHING = KeyBounds()


def code(no: Refusal | None) -> Code | None:
    return None if no is None else no.code


@pytest.mark.parametrize("bounds", [None, NOTHING])
def test_without_bounds_nothing_is_refused(bounds: KeyBounds | None) -> None:
    assert refuse_use(bounds, None, None) is None
    assert refuse_value(bounds, INSTRUMENT, Decimal(10**9), ()) is None
    assert refuse_flatten(bounds, None) is None
    assert refuse_address(bounds, "unknown") is None


def test_instruments_and_strategies_are_those_that_were_named() -> None:
    of_es = KeyBounds(instruments=frozenset({ES}))
    assert code(refuse_use(of_es, ES, "any")) is None
    assert code(refuse_use(of_es, Symbol("NQH4"), "any")) is Code.KEY_INSTRUMENT
    assert code(refuse_use(of_es, None, "any")) is Code.KEY_INSTRUMENT
    assert code(refuse_flatten(of_es, None)) is Code.KEY_INSTRUMENT
    assert code(refuse_flatten(of_es, ES)) is None

    of_one = KeyBounds(strategies=frozenset({"mean"}))
    assert code(refuse_use(of_one, ES, "mean")) is None
    assert code(refuse_use(of_one, ES, None)) is Code.KEY_STRATEGY
    assert code(refuse_flatten(of_one, None)) is None


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ((Decimal(100),), None),
        ((Decimal("100.01"),), Code.KEY_NOTIONAL),
        ((Decimal(1), None, Decimal(101)), Code.KEY_NOTIONAL),
        ((Decimal(1), None, Decimal(100)), None),
        ((None, None), Code.KEY_NOTIONAL),
        ((Decimal("NaN"), Decimal(0), Decimal(-1)), Code.KEY_NOTIONAL),
        ((), Code.KEY_NOTIONAL),
    ],
)
def test_the_dearest_known_price_values_an_order(
    prices: tuple[Decimal | None, ...], expected: Code | None
) -> None:
    bounds = KeyBounds(notional_max=Decimal(10_000))  # 2 x 100 x 50

    assert code(refuse_value(bounds, INSTRUMENT, Decimal(2), prices)) is expected


def test_a_key_bounded_in_value_does_not_flatten() -> None:
    assert code(refuse_flatten(KeyBounds(notional_max=Decimal(1)), ES)) is Code.KEY_NOTIONAL


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("2001:db8::7", None),
        ("11.0.0.1", Code.KEY_NETWORK),
        ("2001:db9::7", Code.KEY_NETWORK),
        ("10.1.2.3, 11.0.0.1", Code.KEY_NETWORK),
        ("unknown", Code.KEY_NETWORK),
        ("", Code.KEY_NETWORK),
    ],
)
def test_only_addresses_of_the_networks_pass(peer: str, expected: Code | None) -> None:
    bounds = KeyBounds(networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))

    assert code(refuse_address(bounds, peer)) is expected
