"""Alpaca's market data stream: quotes and trades of the symbols asked for.

Prices keep every digit of the wire. A lost link is mended quietly: a price that does not come
grows old by its time of receipt, and risk judges its age. Sizes are the feed's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import aclosing
from datetime import datetime
from enum import StrEnum
from typing import Final, Generic, assert_never

import aiohttp
import msgspec
from yarl import URL

from ordergate.brokers._shared.documents import UNREADABLE
from ordergate.brokers._shared.socket import (
    Down,
    Garbled,
    Link,
    LinkLost,
    Patience,
    Renewal,
    Up,
    lifeline,
    stream_session,
)
from ordergate.brokers.alpaca import wire
from ordergate.brokers.alpaca.access import Access, Bearer, Credentials, Keys, websocket
from ordergate.brokers.alpaca.translate import Contradiction, ticks
from ordergate.core.ids import E, Symbol
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.market_data import Quote, Trade

_FRAME_S: Final = 10.0


class Feed(StrEnum):
    """The streams that carry quotes and trades."""

    IEX = "v2/iex"
    SIP = "v2/sip"
    DELAYED_SIP = "v2/delayed_sip"
    BOATS = "v2/boats"
    TEST = "v2/test"
    CRYPTO_US = "v1beta3/crypto/us"
    CRYPTO_GLOBAL = "v1beta3/crypto/global"


class AlpacaPrices(Generic[E]):
    """MarketData over one feed. One connection, as the free plan allows no more."""

    def __init__(
        self,
        access: Access[E],
        feed: Feed,
        symbols: Sequence[Symbol],
        *,
        clock: Clock,
        chance: Chance,
        patience: Patience | None = None,
    ) -> None:
        if not symbols:
            raise ValueError("give at least one symbol")
        self._conversation: _Ticks[E] = _Ticks(access, feed, symbols, clock)
        self._clock = clock
        self._chance = chance
        self._patience = patience or Patience()
        self._renewal = Renewal(two_at_once=False)
        self._access: Access[E] = access
        self._session: aiohttp.ClientSession | None = None

    def use(self, credentials: Credentials[E]) -> None:
        """At once: prices pause for a moment, because a second connection is not allowed."""
        if credentials == self._access.credentials:
            return
        self._access = msgspec.structs.replace(self._access, credentials=credentials)
        self._conversation.use(self._access)
        self._renewal.ask()

    @property
    def earlier_in_use(self) -> bool:
        return self._renewal.pending

    async def prices(self) -> AsyncIterator[Quote | Trade]:
        if self._session is None:
            self._session = stream_session(self._access.tls)
        line = lifeline(
            self._session,
            self._conversation,
            patience=self._patience,
            clock=self._clock,
            chance=self._chance,
            renewal=self._renewal,
        )
        async with self._renewal, aclosing(line):
            async for item in line:
                if not isinstance(item, Up | Down):
                    yield item

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class _Ticks(Generic[E]):
    """The conversation; see `_shared.socket.Conversation`."""

    def __init__(self, access: Access[E], feed: Feed, symbols: Sequence[Symbol], clock: Clock) -> None:
        self.url: URL = websocket(access.data).joinpath(feed.value)
        self._login = _login(access)
        wanted = sorted(set(symbols))
        self._subscribe = wire.ENCODER.encode({"action": "subscribe", "trades": wanted, "quotes": wanted})
        self._clock = clock

    async def greet(self, link: Link) -> Sequence[bytes]:
        await _expect(link, "connected")
        await link.send(self._login)
        await _expect(link, "authenticated")
        await link.send(self._subscribe)
        return (await link.receive(_FRAME_S),)

    def use(self, access: Access[E]) -> None:
        """With other credentials, from the next link on."""
        self._login = _login(access)

    def probe(self) -> bytes:
        """Subscribing again changes nothing and is always confirmed."""
        return self._subscribe

    def read(self, frame: bytes) -> Iterable[Quote | Trade]:
        now = self._clock.now()
        try:
            return [price for message in _messages(frame) for price in _prices(message, now)]
        except Contradiction as fault:
            raise Garbled(f"contradictory frame: {fault}") from fault


def _login(access: Access[E]) -> bytes:
    match access.credentials:
        case Keys(key_id=key_id, secret_key=secret_key):
            data = {"action": "auth", "key": key_id.reveal(), "secret": secret_key.reveal()}
        case Bearer(token=token):
            data = {"action": "auth", "key": "oauth", "secret": token.reveal()}
        case _:
            assert_never(access.credentials)
    return wire.ENCODER.encode(data)


async def _expect(link: Link, word: str) -> None:
    for message in _messages(await link.receive(_FRAME_S)):
        if isinstance(message, wire.DataError):
            raise _said_no(message)
        if isinstance(message, wire.DataSuccess) and message.msg == word:
            return
    raise Garbled(f"something else than {word!r}")


def _prices(message: wire.DataMessage, now: datetime) -> Iterator[Quote | Trade]:
    match message:
        case wire.QuoteTick():
            bid, bid_size = ticks.top(message.bp, message.bs)
            ask, ask_size = ticks.top(message.ap, message.ask_size)
            yield Quote(
                symbol=Symbol(message.S), bid=bid, bid_size=bid_size, ask=ask, ask_size=ask_size, at=now
            )
        case wire.TradeTick():
            price, size = ticks.printed(message)
            yield Trade(symbol=Symbol(message.S), price=price, size=size, at=now)
        case wire.DataError():
            raise _said_no(message)
        case wire.CorrectionTick() | wire.CancelTick() | wire.DataSuccess() | wire.DataSubscription():
            return
        case _:
            assert_never(message)


def _said_no(error: wire.DataError) -> LinkLost:
    return LinkLost(f"the feed said no: {error.code} {error.msg}")


def _messages(raw: bytes) -> list[wire.DataMessage]:
    try:
        return wire.DATA_FRAME.decode(raw)
    except UNREADABLE as fault:
        raise Garbled(f"a frame that cannot be read: {fault}") from fault
