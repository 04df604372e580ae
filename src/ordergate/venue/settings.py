"""What a venue is started with: its accounts, what it lists, and which tapes play into the books.

Values and the one step from a tape's description to the tape; nothing here runs anything.
"""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Final, assert_never

from msgspec import Struct

from ordergate.venue.tape.csv import CsvTape
from ordergate.venue.tape.dbn import DbnTape
from ordergate.venue.tape.records import Tape
from ordergate.venue.tape.synthetic import SyntheticTape
from ordergate.venue.words import Listing

LOOPBACK: Final = "127.0.0.1"


class AccountSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account and what opens it. `cash` counts when the account is new to the state folder."""

    id: str
    key: str
    secret: str
    token: str = ""
    cash: Decimal = Decimal(1_000_000)


class OAuthClient(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An application that owners of accounts may let in."""

    id: str
    secret: str
    redirect_uris: tuple[str, ...]


class DbnTapeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="dbn"):
    """Recorded market-by-order files, played one after the other."""

    symbol: str
    paths: tuple[Path, ...]
    offset_s: float = 0.0
    loop: bool = True


class CsvTapeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="csv"):
    symbol: str
    quotes: Path | None = None
    trades: Path | None = None
    offset_s: float = 0.0
    loop: bool = True


class SyntheticTapeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="synthetic"):
    """Made-up flow around `price`; without a seed of its own it takes the venue's."""

    symbol: str
    price: Decimal
    lots: int = 10
    rate_hz: float = 20.0
    seed: int | None = None
    packets_max: int | None = None
    offset_s: float = 0.0
    loop: bool = True


TapeSettings = DbnTapeSettings | CsvTapeSettings | SyntheticTapeSettings


class StreamBounds(Struct, frozen=True, kw_only=True):
    """How much a slow stream client may have waiting before it is closed."""

    updates_max: int = 20_000
    trades_max: int = 20_000


class VenueSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a venue is started. Port 0 takes a free one; no data_dir means nothing is remembered.

    It listens on this machine alone unless `host` says otherwise, as it must in a container.

    `speed` is that of all tapes: 1 is real time, 0 as fast as possible; `paused` waits for steps.
    `rate_limit` is requests per minute and account, 0 for none. Without an admin token there is no
    admin face, and so there are no faults.
    """

    accounts: tuple[AccountSettings, ...]
    listings: tuple[Listing, ...]
    tapes: tuple[TapeSettings, ...] = ()
    speed: float = 1.0
    paused: bool = False
    host: str = LOOPBACK
    port: int = 0
    data_dir: Path | None = None
    rate_limit: int = 200
    admin_token: str = ""
    oauth_clients: tuple[OAuthClient, ...] = ()
    oauth_token_s: float = 3_600.0
    seed: int = 0
    stream_bounds: StreamBounds = StreamBounds()

    def __post_init__(self) -> None:
        if len({account.key for account in self.accounts}) < len(self.accounts):
            raise ValueError("two accounts share one API key")
        for what, names in (
            ("listings", [listing.symbol for listing in self.listings]),
            ("tapes", [tape.symbol for tape in self.tapes]),
        ):
            for name, times in Counter(names).items():
                if times > 1:
                    raise ValueError(f"there are {times} {what} of the name {name}")


def tape_of(settings: TapeSettings, listing: Listing, seed: int) -> Tape:
    """Open the tape. Raises OSError, TapeUnreadable or ValueError, each with a sentence."""
    match settings:
        case DbnTapeSettings():
            return DbnTape(listing, *settings.paths)
        case CsvTapeSettings():
            return CsvTape(listing, quotes=settings.quotes, trades=settings.trades)
        case SyntheticTapeSettings():
            return SyntheticTape(
                listing,
                seed=seed if settings.seed is None else settings.seed,
                price=settings.price,
                lots=settings.lots,
                rate_hz=settings.rate_hz,
                packets_max=settings.packets_max,
            )
        case _:
            assert_never(settings)
