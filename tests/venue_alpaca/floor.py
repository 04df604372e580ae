"""The trading floor of these tests: two accounts, three listings, and a venue on a thread of its own.

The official SDK is synchronous, so the venue must not live on the thread that calls it.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final, TypeAlias

import httpx
from alpaca.trading.client import TradingClient
from msgspec.structs import replace

from ordergate.venue.server import Venue, running
from ordergate.venue.settings import AccountSettings, VenueSettings
from ordergate.venue.words import Listing

ALICE: Final = AccountSettings(
    id="alice", key="AKALICE", secret="alice-secret", token="alice-token", cash=Decimal("100000.00")
)
BOB: Final = AccountSettings(id="bob", key="AKBOB", secret="bob-secret", cash=Decimal(10_000_000))
ACME: Final = "ACME"
COIN: Final = "BTC/USD"
EMINI: Final = "ESH4"
LISTINGS: Final = (
    Listing(symbol=ACME, name="Acme Corporation", asset_class="us_equity", tick=Decimal("0.01")),
    Listing(symbol=COIN, name="Bitcoin", asset_class="crypto", tick=Decimal("0.01"), lot=Decimal("0.0001")),
    Listing(
        symbol=EMINI,
        name="E-mini S&P 500 March 2024",
        asset_class="future",
        tick=Decimal("0.25"),
        multiplier=Decimal(50),
        margin=Decimal(12_000),
    ),
)
# The SDK types every answer as a union with its raw form; these tests only ever ask for models.
Sdk: TypeAlias = Any
ADMIN_TOKEN: Final = "admin-token"
SETTINGS: Final = VenueSettings(
    accounts=(ALICE, BOB), listings=LISTINGS, rate_limit=0, admin_token=ADMIN_TOKEN, seed=7
)
START_TIMEOUT_S: Final = 20.0


@contextmanager
def venue_on_a_thread(settings: VenueSettings = SETTINGS, **changes: Any) -> Iterator[Venue]:
    """A venue that answers while this thread waits. Only its `base_url` may be used from here."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stopping = asyncio.Event()
    found: list[Venue] = []
    faults: list[BaseException] = []

    async def live() -> None:
        async with running(replace(settings, **changes)) as venue:
            found.append(venue)
            started.set()
            await stopping.wait()

    def run() -> None:
        try:
            loop.run_until_complete(live())
        except BaseException as fault:
            faults.append(fault)
            started.set()
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="venue", daemon=True)
    thread.start()
    assert started.wait(START_TIMEOUT_S), "the venue did not start"
    if not found:
        thread.join(START_TIMEOUT_S)
        raise faults[0]
    try:
        yield found[0]
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(stopping.set)
        thread.join(START_TIMEOUT_S)
        assert not thread.is_alive(), "the venue did not stop"
    assert not faults, faults


@contextmanager
def sdk(base_url: str, account: AccountSettings = ALICE) -> Iterator[TradingClient]:
    """The official client, as anyone would make it."""
    client = TradingClient(account.key, account.secret, url_override=base_url)
    try:
        yield client
    finally:
        client._session.close()


@contextmanager
def http(base_url: str, account: AccountSettings | None = ALICE) -> Iterator[httpx.Client]:
    """A bare HTTP client with one account's keys, for what the SDK cannot say."""
    headers = (
        {} if account is None else {"APCA-API-KEY-ID": account.key, "APCA-API-SECRET-KEY": account.secret}
    )
    with httpx.Client(base_url=base_url, headers=headers, timeout=20.0) as client:
        yield client


@contextmanager
def admin(base_url: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    with httpx.Client(base_url=base_url + "/_admin", headers=headers, timeout=20.0) as client:
        yield client


def limit_order(name: str, **changes: Any) -> dict[str, Any]:
    """A limit order that rests, unless the changes say otherwise."""
    order: dict[str, Any] = {
        "client_order_id": name,
        "symbol": ACME,
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "qty": "10",
        "limit_price": "10.00",
    }
    return {key: value for key, value in (order | changes).items() if value is not None}
