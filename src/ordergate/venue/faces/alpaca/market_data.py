"""The market data streams: authenticate, subscribe, and hear quotes and trades of the chosen symbols.

A slow client gets the newest quote of each symbol instead of every one; trades are never left out,
and one too slow for its bounded queue of them is told so and closed. Bars, statuses and the other
channels may be subscribed to and stay silent, because the venue publishes none.
"""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct, field

from ordergate.venue.faces.alpaca.access import Doorkeeper
from ordergate.venue.faces.alpaca.codec import Codec
from ordergate.venue.faces.alpaca.conversation import POLICY_VIOLATION, Outbox, Saying
from ordergate.venue.faces.alpaca.translate import quote_frame, trade_frame
from ordergate.venue.words import Quote, Trade

STOCK_CHANNELS: Final = (
    "trades",
    "quotes",
    "bars",
    "updatedBars",
    "dailyBars",
    "statuses",
    "lulds",
    "corrections",
    "cancelErrors",
)
CRYPTO_CHANNELS: Final = ("trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars")
SYMBOLS_MAX: Final = 10_000


class _ClientFrame(Struct, rename="camel"):
    action: str
    key: str = ""
    secret: str = ""
    trades: list[str] = []
    quotes: list[str] = []
    bars: list[str] = []
    updated_bars: list[str] = []
    daily_bars: list[str] = []
    statuses: list[str] = []
    lulds: list[str] = []
    orderbooks: list[str] = []
    corrections: list[str] = []
    cancel_errors: list[str] = field(default_factory=list)

    def channel(self, name: str) -> list[str]:
        attribute = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
        symbols: list[str] = getattr(self, attribute)
        return symbols


class MarketOutbox(Outbox):
    """Answers, the newest quote of each symbol, and every trade; told in one array at a time."""

    def __init__(self, codec: Codec, trades_max: int, *, crypto: bool) -> None:
        super().__init__()
        self._codec = codec
        self._crypto = crypto
        self._trades_max = trades_max
        self._trades = 0
        # Quotes by symbol, trades by symbol and id: a newer quote takes the place at the end.
        self._pending: dict[str | tuple[str, int], Quote | Trade] = {}

    def quote(self, quote: Quote) -> None:
        self._pending.pop(quote.symbol, None)
        self._pending[quote.symbol] = quote
        self.ready.set()

    def trade(self, trade: Trade) -> None:
        if self.ended is not None:
            return
        if self._trades >= self._trades_max:
            self.control(self._codec.encode([_error(407, "slow client")]))
            self.end(POLICY_VIOLATION, "slow client")
            return
        self._trades += 1
        self._pending[(trade.symbol, trade.id)] = trade
        self.ready.set()

    def take(self) -> list[Saying]:
        sayings = super().take()
        if self._pending:
            sayings.append(Saying(self._codec.encode(list(self._frames())), True))
            self._pending.clear()
            self._trades = 0
        return sayings

    def _frames(self) -> Iterable[Struct]:
        for item in self._pending.values():
            if isinstance(item, Quote):
                yield quote_frame(item, crypto=self._crypto)
            else:
                yield trade_frame(item, crypto=self._crypto)


class MarketSession:
    """One client of one feed."""

    def __init__(self, doorkeeper: Doorkeeper, codec: Codec, trades_max: int, *, crypto: bool) -> None:
        self.opened_by = ""
        self.account: str | None = None
        self.market = MarketOutbox(codec, trades_max, crypto=crypto)
        self.outbox: Outbox = self.market
        self._doorkeeper = doorkeeper
        self._codec = codec
        self.crypto = crypto
        names = CRYPTO_CHANNELS if crypto else STOCK_CHANNELS
        # Dictionaries for their order: a client is shown its symbols as it gave them.
        self._channels: dict[str, dict[str, None]] = {name: {} for name in names}

    def opened(self) -> None:
        self._answer({"T": "success", "msg": "connected"})

    def late(self) -> None:
        self._answer(_error(404, "auth timeout"))
        self.outbox.end(POLICY_VIOLATION, "auth timeout")

    def heard(self, data: bytes) -> None:
        frame = self._codec.decode(data, _ClientFrame)
        if frame is None:
            self._answer(_error(400, "invalid syntax"))
        elif frame.action == "auth":
            self._authenticate(frame)
        elif frame.action not in ("subscribe", "unsubscribe"):
            self._answer(_error(400, "invalid syntax"))
        elif self.account is None:
            self._answer(_error(401, "not authenticated"))
        else:
            self._subscribe(frame)

    def wants(self, channel: str, symbol: str) -> bool:
        symbols = self._channels[channel]
        return symbol in symbols or "*" in symbols

    def _authenticate(self, frame: _ClientFrame) -> None:
        if self.account is not None:
            self._answer(_error(403, "already authenticated"))
            return
        self.opened_by = frame.secret if frame.key == "oauth" else frame.key
        if frame.key == "oauth":
            self.account = self._doorkeeper.by_token(frame.secret)
        else:
            self.account = self._doorkeeper.by_key(frame.key, frame.secret)
        if self.account is None:
            self._answer(_error(402, "auth failed"))
        else:
            self._answer({"T": "success", "msg": "authenticated"})

    def _subscribe(self, frame: _ClientFrame) -> None:
        asked = {name: frame.channel(name) for name in self._channels}
        count = sum(len(symbols) for symbols in self._channels.values())
        if frame.action == "subscribe" and count + sum(map(len, asked.values())) > SYMBOLS_MAX:
            self._answer(_error(405, "symbol limit exceeded"))
            return
        if not self.crypto:
            # Alpaca gives trades together with their corrections and cancellations.
            asked["corrections"] = asked["cancelErrors"] = asked["trades"]
        for name, symbols in asked.items():
            for symbol in symbols:
                if frame.action == "subscribe":
                    self._channels[name][symbol] = None
                else:
                    self._channels[name].pop(symbol, None)
        self._answer({"T": "subscription"} | {name: list(held) for name, held in self._channels.items()})

    def _answer(self, message: dict[str, Any]) -> None:
        self.outbox.control(self._codec.encode([message]))


class MarketHub:
    """Carries quotes and trades to the sessions that want them."""

    def __init__(self) -> None:
        self._sessions: set[MarketSession] = set()

    def join(self, session: MarketSession) -> None:
        self._sessions.add(session)

    def leave(self, session: MarketSession) -> None:
        self._sessions.discard(session)

    def has_watcher(self, symbol: str) -> bool:
        return any(
            session.wants(channel, symbol) for session in self._sessions for channel in ("quotes", "trades")
        )

    def publish_quote(self, quote: Quote, *, crypto: bool) -> None:
        for session in self._sessions:
            if session.crypto == crypto and session.wants("quotes", quote.symbol):
                session.market.quote(quote)

    def publish_trade(self, trade: Trade, *, crypto: bool) -> None:
        for session in self._sessions:
            if session.crypto == crypto and session.wants("trades", trade.symbol):
                session.market.trade(trade)


def _error(code: int, message: str) -> dict[str, Any]:
    return {"T": "error", "code": code, "msg": message}
