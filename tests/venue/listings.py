"""Listings and moments the venue's tests share."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from ordergate.venue.tape.dbn import DbnTape
from ordergate.venue.words import Listing

ES: Final = Listing(
    symbol="ESH4",
    name="E-mini S&P 500, March 2024",
    asset_class="future",
    tick=Decimal("0.25"),
    multiplier=Decimal(50),
    margin=Decimal(12_000),
)
AAPL: Final = Listing(symbol="AAPL", name="Apple Inc.", asset_class="us_equity", tick=Decimal("0.01"))
BTC: Final = Listing(
    symbol="BTC/USD", name="Bitcoin", asset_class="crypto", tick=Decimal("0.5"), lot=Decimal("0.0001")
)
NOON: Final = datetime(2024, 3, 1, 12, tzinfo=UTC)


def recorded_file(shared_dir: Path) -> Path:
    return shared_dir / "data" / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"


def recorded_day(shared_dir: Path) -> DbnTape:
    return DbnTape(ES, recorded_file(shared_dir))
