"""What every test of the venue may ask for."""

import pytest

from tests.venue.pit import Pit


@pytest.fixture
def pit() -> Pit:
    return Pit()
