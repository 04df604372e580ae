"""The Alpaca adapter keeps every promise of a broker, against a venue that speaks Alpaca."""

from collections.abc import AsyncIterator

import pytest

from tests.brokers.conformance import BrokerConformance
from tests.brokers.venue_floor import VenueFloor, venue_floor


class TestAlpaca(BrokerConformance):
    @pytest.fixture
    async def floor(self) -> AsyncIterator[VenueFloor]:
        async with venue_floor() as floor:
            yield floor
