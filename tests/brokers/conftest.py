"""A scripted server for each test that asks, and a clock that only a test moves."""

from collections.abc import AsyncIterator

import pytest

from tests.brokers.sockets import ByteServer, byte_server, hangs
from tests.brokers.world import HandClock


@pytest.fixture
async def server() -> AsyncIterator[ByteServer]:
    async with byte_server(hangs) as running:
        yield running


@pytest.fixture
def clock() -> HandClock:
    return HandClock()
