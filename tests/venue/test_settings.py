"""What a venue cannot be started with is named before it starts."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import ValidationError, convert

from ordergate.venue.settings import VenueSettings

ANN = {"id": "ann", "key": "k1", "secret": "s"}
BOB = {"id": "bob", "key": "k2", "secret": "s"}
ACME = {"symbol": "ACME", "name": "Acme", "asset_class": "us_equity", "tick": "0.01"}
TAPE = {"type": "synthetic", "symbol": "ACME", "price": "10"}
GOOD: dict[str, Any] = {"accounts": [ANN, BOB], "listings": [ACME], "tapes": [TAPE]}


def test_settings_that_can_be() -> None:
    assert convert(GOOD, VenueSettings).listings[0].tick == Decimal("0.01")


def test_one_account_may_have_two_keys() -> None:
    assert len(convert(GOOD | {"accounts": [ANN, BOB | {"id": "ann"}]}, VenueSettings).accounts) == 2


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"accounts": [ANN, BOB | {"key": "k1"}]}, "two accounts share one API key"),
        ({"listings": [ACME, ACME]}, "2 listings of the name ACME"),
        ({"tapes": [TAPE, TAPE]}, "2 tapes of the name ACME"),
        ({"listings": [ACME | {"tick": "0"}]}, "the tick of ACME must be more than 0"),
        ({"listings": [ACME | {"lot": "-1"}]}, "the lot of ACME must be more than 0"),
        ({"listings": [ACME | {"multiplier": "NaN"}]}, "the multiplier of ACME must be more than 0"),
        ({"listings": [ACME | {"margin": "-1"}]}, "the margin of ACME must not be negative"),
    ],
)
def test_settings_that_cannot_be_are_named(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        convert(GOOD | wrong, VenueSettings)
