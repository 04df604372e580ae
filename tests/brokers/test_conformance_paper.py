"""The paper twin keeps every promise of a broker."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from ordergate.brokers.paper.broker import PaperBroker
from ordergate.brokers.paper.exchange import PaperExchange
from ordergate.core.ids import Env
from ordergate.core.orders.terms import Side
from tests.brokers.conformance import BrokerConformance
from tests.brokers.world import HandClock


class PaperFloor:
    """The exchange itself fills what rests at the price."""

    def __init__(self) -> None:
        clock = HandClock()
        self.exchange = PaperExchange(now=clock.now)
        self.broker = PaperBroker(self.exchange, env=Env.PAPER, clock=clock, cancels_all=True)

    async def trade(self, side: Side, quantity: Decimal, price: Decimal) -> None:
        order = next(it for it in self.exchange.orders() if it.is_open and it.terms.side is not side)
        self.exchange.fill(order.id, quantity, price)


class TestPaper(BrokerConformance):
    @pytest.fixture
    async def floor(self) -> AsyncIterator[PaperFloor]:
        floor = PaperFloor()
        yield floor
        await floor.broker.close()
