"""Everybody who listens: told of each event after its commit, without ever being waited for.

The hub knows the feeds of accounts and the watchers of prices. Joining an account reads its past a page at
a time and no faster than the client takes it, while the present goes on. All that a client is told of the
past it is told through its own views, which show it nothing of anybody else's, and no feed is joined that
they do not show. The present comes from the engine, and the hub's own views tell it where that begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import msgspec

from ordergate.api.stream import frames
from ordergate.api.stream.channels import Channel, mask_of
from ordergate.api.stream.feed import Feed, Noted, Subscriber, is_contiguous
from ordergate.api.stream.outbox import Outbox
from ordergate.api.stream.prices import quote_frame, trade_frame
from ordergate.api.stream.wire import framed
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId
from ordergate.ports.market_data import Quote, Trade
from ordergate.ports.views import Snapshot, Views
from ordergate.telemetry.log import logger

log = logger("stream")

ATTEMPTS_MAX: Final = 10
READERS_MAX: Final = 8
READ_TIMEOUT_S: Final = 10.0
GOING_AWAY: Final = 1001


class Closable(Protocol):
    """A client's connection, as far as the hub ends it."""

    def follows(self, account: str) -> bool: ...
    def close(self, code: int, reason: str) -> None: ...


class CannotFollow(Exception):
    """The account's past could not be read, or the client did not keep up with it."""


class Hub:
    """Implements ports.audience.Audience. One for each process."""

    def __init__(
        self,
        views: Views,
        *,
        replay_events_max: int = 100_000,
        page_events: int = 250,
        state_hash_events: int = 100,
        state_hash_s: float = 5.0,
    ) -> None:
        self._views = views
        self._replay_events_max = replay_events_max
        self._page_events = page_events
        self._state_hash_events = state_hash_events
        self._state_hash_s = state_hash_s
        self._state_hash_at = 0.0
        self._feeds: dict[str, Feed] = {}
        self._opening: dict[str, asyncio.Task[Feed]] = {}
        self._unopened: dict[str, int] = {}
        self._proving: set[asyncio.Task[None]] = set()
        self._readers = asyncio.Semaphore(READERS_MAX)
        self._quotes: dict[str, dict[Outbox, None]] = {}
        self._trades: dict[str, dict[Outbox, None]] = {}
        self._connections: dict[Closable, None] = {}

    # Who is there

    @property
    def sessions(self) -> int:
        return len(self._connections)

    def add(self, connection: Closable) -> None:
        self._connections[connection] = None

    def remove(self, connection: Closable) -> None:
        self._connections.pop(connection, None)

    def shut_down(self) -> None:
        """The process is going away; clients come back and resume."""
        for connection in list(self._connections):
            connection.close(GOING_AWAY, "the gateway is going away; come back and resume")

    # The audience

    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None:
        feed = self._feeds.get(account)
        if feed is None:
            if account in self._unopened:
                self._unopened[account] = seq
            return
        if seq > feed.head + 1:
            self._begin_anew(feed)
            return
        feed.tell(seq, kind, frame)
        if feed.events_unproved >= self._state_hash_events:
            _tell_state(feed)

    def _begin_anew(self, feed: Feed) -> None:
        """Numbers are missing: another owner of the account wrote them, and nobody told us.

        Whoever follows it comes back and resumes from the journal, which has them.
        """
        log.warning("stream.begun_anew", account=feed.account, head=feed.head)
        del self._feeds[feed.account]
        for connection in list(self._connections):
            if connection.follows(feed.account):
                connection.close(GOING_AWAY, "events were written elsewhere; come back and resume")

    def tell_price(self, price: Quote | Trade) -> None:
        if isinstance(price, Quote):
            watching = self._quotes.get(price.symbol)
            if watching:
                told = framed(quote_frame(price))
                for outbox in watching:
                    outbox.push_quote(price.symbol, told)
            return
        watching = self._trades.get(price.symbol)
        if watching:
            told = framed(trade_frame(price))
            for outbox in watching:
                outbox.push_trade(told)

    # Prices

    def watch(self, outbox: Outbox, channel: str, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            self._of(channel).setdefault(symbol, {})[outbox] = None

    def unwatch(self, outbox: Outbox, channel: str, symbols: Iterable[str]) -> None:
        of_channel = self._of(channel)
        for symbol in symbols:
            watching = of_channel.get(symbol)
            if watching is not None:
                watching.pop(outbox, None)
                if not watching:
                    del of_channel[symbol]

    def _of(self, channel: str) -> dict[str, dict[Outbox, None]]:
        return self._quotes if channel == "quotes" else self._trades

    # Accounts

    async def follow(
        self,
        account: AccountId,
        subscriber: Subscriber,
        outbox: Outbox,
        *,
        seen: Views,
        channels: Sequence[Channel],
        resume: frames.Resume | None,
        frame_id: str | None,
    ) -> None:
        """Tell the past, or a snapshot, and live in the present from then on.

        `seen` shows what the client may see. Raises CannotFollow. May be cancelled at any time; `leave` is
        called in the end.
        """
        async with asyncio.timeout(READ_TIMEOUT_S), self._readers:
            is_shown = await seen.shows(account)
        if not is_shown:
            raise CannotFollow("the account is not shown to this client")
        feed = await self._feed(account)
        resumed = resume is not None and self._can_resume(feed, resume)
        if resume is None or not resumed:
            await self._from_snapshot(feed, subscriber, seen, outbox, channels=channels, frame_id=frame_id)
        else:
            subscriber.begin_at(resume.after_seq)
            hello = frames.subscribed(
                account,
                channels,
                stream_id=feed.stream_id,
                seq=resume.after_seq,
                frame_id=frame_id,
                resumed=True,
            )
            subscriber.sink.push(framed(hello))
            if not await self._from_past(feed, subscriber, seen, outbox):
                await self._from_snapshot(
                    feed, subscriber, seen, outbox, channels=channels, frame_id=frame_id
                )
        if feed.lacks_state:
            self._prove(feed)

    def leave(self, account: AccountId, subscriber: Subscriber) -> None:
        feed = self._feeds.get(account)
        if feed is not None:
            feed.leave(subscriber)

    def tick(self, now: float) -> None:
        """Time passes; called by whoever has a clock, as often as it likes."""
        if now >= self._state_hash_at:
            self._state_hash_at = now + self._state_hash_s
            for feed in self._feeds.values():
                _tell_state(feed)
                if feed.lacks_state:
                    self._prove(feed)

    def _can_resume(self, feed: Feed, resume: frames.Resume) -> bool:
        """Of this incarnation, not of the future, and not further back than is told again."""
        behind = feed.head - resume.after_seq
        return resume.stream_id == feed.stream_id and 0 <= behind <= self._replay_events_max

    async def _from_snapshot(
        self,
        feed: Feed,
        subscriber: Subscriber,
        seen: Views,
        outbox: Outbox,
        *,
        channels: Sequence[Channel],
        frame_id: str | None,
    ) -> None:
        account = AccountId(feed.account)
        feed.begin(subscriber)
        snapshot = await self._snapshot(seen, account)
        feed.stream_id = snapshot.stream_id
        hello = frames.subscribed(
            account,
            channels,
            stream_id=snapshot.stream_id,
            seq=snapshot.seq,
            frame_id=frame_id,
            resumed=False,
        )
        whole = frames.reset(
            account,
            stream_id=snapshot.stream_id,
            as_of_seq=snapshot.seq,
            orders=snapshot.orders,
            positions=snapshot.positions,
            balances=snapshot.balances,
        )
        async with outbox.turn():
            if subscriber.held_too_much:
                raise CannotFollow("more happened than can be held back")
            subscriber.begin_at(snapshot.seq)
            subscriber.sink.push(framed(hello))
            subscriber.sink.push(framed(whole))
            feed.enter(subscriber, after=snapshot.seq)

    async def _from_past(self, feed: Feed, subscriber: Subscriber, seen: Views, outbox: Outbox) -> bool:
        """Tell what was missed and enter the present. False when the past is not whole."""
        read = subscriber.position
        for _ in range(ATTEMPTS_MAX):
            while feed.head - read > self._page_events:
                page = await self._page(feed, subscriber, seen, outbox, after=read, upto=feed.head)
                if page is None:
                    return False
                read = page
            upto = feed.begin(subscriber)
            while read < upto:
                page = await self._page(feed, subscriber, seen, outbox, after=read, upto=upto)
                if page is None:
                    feed.give_up(subscriber)
                    return False
                read = page
            if not subscriber.held_too_much:
                feed.enter(subscriber, after=read)
                return True
            feed.give_up(subscriber)
        raise CannotFollow("more happens than can be read")

    async def _page(
        self, feed: Feed, subscriber: Subscriber, seen: Views, outbox: Outbox, *, after: int, upto: int
    ) -> int | None:
        """Tell one page of the past. The number it ends at, or None when a number is missing."""
        async with asyncio.timeout(READ_TIMEOUT_S), self._readers:
            rows = await seen.frames(AccountId(feed.account), after=after, upto=upto, limit=self._page_events)
        if not rows or not is_contiguous(rows, after):
            return None
        async with outbox.turn():
            return subscriber.tell_past(rows)

    async def _snapshot(self, views: Views, account: AccountId) -> Snapshot:
        async with asyncio.timeout(READ_TIMEOUT_S), self._readers:
            snapshot = await views.snapshot(account)
        if snapshot is None:
            raise CannotFollow("the account has not been opened")
        return snapshot

    # Opening a feed

    async def _feed(self, account: AccountId) -> Feed:
        """The account's feed; opened by whoever asks first."""
        feed = self._feeds.get(account)
        if feed is not None:
            return feed
        opening = self._opening.get(account)
        if opening is None:
            opening = asyncio.create_task(self._open(account))
            self._opening[account] = opening
            opening.add_done_callback(lambda _: self._opening.pop(account, None))
        return await asyncio.shield(opening)

    async def _open(self, account: AccountId) -> Feed:
        """The head is what a snapshot shows, or what was told while it was read, if that is newer."""
        self._unopened[account] = 0
        try:
            snapshot = await self._snapshot(self._views, account)
        finally:
            told = self._unopened.pop(account)
        feed = Feed(account, snapshot.stream_id, max(snapshot.seq, told))
        self._feeds[account] = feed
        return feed

    # The state hash

    def _prove(self, feed: Feed) -> None:
        """Read the state that the hash begins with, while the client goes on. What fails is read later."""
        task = asyncio.create_task(self._read_state(feed, feed.begin_state()))
        self._proving.add(task)
        task.add_done_callback(self._proving.discard)

    async def _read_state(self, feed: Feed, noted: Noted) -> None:
        try:
            snapshot = await self._snapshot(self._views, AccountId(feed.account))
        except (CannotFollow, Fault, TimeoutError):
            feed.give_up_state(noted)
            return
        feed.know_state(noted, snapshot.seq, snapshot.orders, snapshot.positions)


def _tell_state(feed: Feed) -> None:
    """A frame that cannot be hashed costs the hash, never the event or whoever told it."""
    try:
        feed.tell_state()
    except msgspec.DecodeError as fault:
        feed.forget_state()
        log.error("stream.state_hash_lost", account=feed.account, why=str(fault))


def subscriber_of(channels: Sequence[Channel], outbox: Outbox) -> Subscriber:
    return Subscriber(mask_of(channels), outbox)
