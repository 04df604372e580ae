"""A venue in this process, reached over its real sockets, with somebody on the other side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from uuid import uuid4

import msgspec

from ordergate.brokers._shared.lines import HttpLimits
from ordergate.brokers._shared.socket import Patience
from ordergate.brokers.alpaca.access import Access, Keys, paper
from ordergate.brokers.alpaca.client import AlpacaBroker, AlpacaSettings
from ordergate.core.ids import Env, Paper
from ordergate.core.orders.terms import Side
from ordergate.telemetry.secret import Secret
from ordergate.venue.server import Venue, running
from ordergate.venue.settings import AccountSettings, VenueSettings
from ordergate.venue.words import Listing, Refusal, Ticket
from ordergate.wiring.system import SystemChance, SystemClock
from tests.brokers.world import ACCOUNT, ACME

OURS: Final = AccountSettings(
    id="ours", key="AKOURS", secret="our-secret", token="our-token", cash=Decimal(1_000_000)
)
THEIRS: Final = AccountSettings(id="theirs", key="AKTHEIRS", secret="their-secret", cash=Decimal(1_000_000))
SETTINGS: Final = VenueSettings(
    accounts=(OURS, THEIRS),
    listings=(
        Listing(symbol=ACME, name="Acme Corporation", asset_class="us_equity", tick=Decimal("0.01")),
        Listing(symbol="BTC/USD", name="Bitcoin", asset_class="crypto", tick=Decimal("0.01")),
    ),
    rate_limit=0,
    admin_token="admin",
)
TUNED: Final = AlpacaSettings(
    replace_keeps_fills=True,
    requests_per_minute=1_000_000,
    http=HttpLimits(connect_s=2.0, total_s=15.0),
    patience=Patience(retry_first_s=0.1, retry_s_max=0.2),
)


def access_to(venue: Venue) -> Access[Paper]:
    return paper(Keys(Env.PAPER, Secret(OURS.key), Secret(OURS.secret)), trading_url=venue.base_url)


class VenueFloor:
    """The other side trades at the exchange itself; we come by wire."""

    def __init__(self, venue: Venue, settings: AlpacaSettings) -> None:
        self.venue = venue
        self.broker = AlpacaBroker(
            access_to(venue), ACCOUNT, clock=SystemClock(), chance=SystemChance(), settings=settings
        )

    async def trade(self, side: Side, quantity: Decimal, price: Decimal) -> None:
        ticket = Ticket(
            client_order_id=str(uuid4()),
            symbol=ACME,
            side=side.value,
            type="limit",
            qty=quantity,
            limit_price=price,
            time_in_force="ioc",
        )
        outcome = self.venue.exchange.submit(THEIRS.id, ticket, datetime.now(UTC))
        assert not isinstance(outcome, Refusal), outcome
        assert outcome.filled_qty == quantity, outcome


@asynccontextmanager
async def venue_floor(settings: AlpacaSettings = TUNED, *, rate_limit: int = 0) -> AsyncIterator[VenueFloor]:
    async with running(msgspec.structs.replace(SETTINGS, rate_limit=rate_limit)) as venue:
        floor = VenueFloor(venue, settings)
        try:
            yield floor
        finally:
            await floor.broker.close()
