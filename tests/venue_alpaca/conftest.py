"""A venue for each test, the official SDK in front of it, and its admin face."""

from collections.abc import Iterator

import httpx
import pytest
from alpaca.trading.client import TradingClient

from ordergate.venue.server import Venue
from tests.venue_alpaca import floor


@pytest.fixture
def venue() -> Iterator[Venue]:
    with floor.venue_on_a_thread() as running_venue:
        yield running_venue


@pytest.fixture
def alice(venue: Venue) -> Iterator[TradingClient]:
    with floor.sdk(venue.base_url, floor.ALICE) as client:
        yield client


@pytest.fixture
def bob(venue: Venue) -> Iterator[TradingClient]:
    with floor.sdk(venue.base_url, floor.BOB) as client:
        yield client


@pytest.fixture
def http(venue: Venue) -> Iterator[httpx.Client]:
    with floor.http(venue.base_url) as client:
        yield client


@pytest.fixture
def admin(venue: Venue) -> Iterator[httpx.Client]:
    with floor.admin(venue.base_url) as client:
        yield client
