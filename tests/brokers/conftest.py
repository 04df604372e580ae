"""A scripted server for each test that asks, an account behind it, and a clock that only a test moves."""

from collections.abc import AsyncIterator

import pytest

from ordergate.brokers.alpaca.client import AlpacaBroker
from ordergate.core.ids import Paper
from tests.brokers.alpaca_account import broker_of
from tests.brokers.sockets import ByteServer, byte_server, hangs
from tests.brokers.world import HandClock


@pytest.fixture
async def server() -> AsyncIterator[ByteServer]:
    async with byte_server(hangs) as running:
        yield running


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def broker(server: ByteServer, clock: HandClock) -> AsyncIterator[AlpacaBroker[Paper]]:
    alpaca = broker_of(server.url, clock)
    yield alpaca
    await alpaca.close()
