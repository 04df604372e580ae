"""Whatever happens, whenever somebody joins, drops or resumes: never a silent gap.

The engine's events, the storage and many clients are interleaved step by step in every order that
hypothesis thinks of; each client believes only its frames (see `replica`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordergate.api.stream.channels import BIT, MASK_OF_KIND, Channel, mask_of
from ordergate.api.stream.feed import Feed, Subscriber
from ordergate.api.stream.frames import Resume
from ordergate.api.stream.hub import Hub, subscriber_of
from ordergate.api.stream.outbox import Outbox
from ordergate.api.stream.state_hash import StateHash
from ordergate.api.stream.wire import payload_of
from ordergate.core.accounts.events import AccountEvent
from ordergate.core.orders import events as e
from ordergate.core.orders.events import OrderEvent
from ordergate.ports.views import EventRow, Snapshot
from tests.api.books import Books
from tests.api.ledger import ACCOUNT
from tests.api.market import Later, Market
from tests.api.replica import Replica
from tests.dose import dose

ALL = tuple(Channel)


def kinds(base: type[msgspec.Struct]) -> Iterator[str]:
    for kind in base.__subclasses__():
        tag = kind.__struct_config__.tag
        if tag and not kind.__subclasses__():
            yield str(tag)
        yield from kinds(kind)


def test_every_kind_of_event_belongs_to_a_channel() -> None:
    known = {*kinds(OrderEvent), *kinds(AccountEvent)}
    assert len(known) >= 20
    assert known == set(MASK_OF_KIND)


def test_channels_have_a_bit_each() -> None:
    assert set(BIT) == set(Channel)
    assert mask_of(Channel) == 63


class SlowBooks(Books):
    """Reading takes a while: the world goes on before, and between reading and being told."""

    def __init__(self) -> None:
        super().__init__()
        self.market = Market(self)
        self.meanwhile: list[int] = []

    async def _world(self) -> None:
        for _ in range(2):
            await asyncio.sleep(0)
            if self.meanwhile:
                choice = self.meanwhile.pop()
                self.market.happen(choice)
                if isinstance(self.audience, Later):
                    self.audience.pass_on(choice % 4)

    async def snapshot(self, account: str) -> Snapshot | None:
        await self._world()
        found = await super().snapshot(ACCOUNT)
        await self._world()
        return found

    async def frames(self, account: str, *, after: int, upto: int, limit: int) -> list[EventRow]:
        await self._world()
        found = await super().frames(ACCOUNT, after=after, upto=upto, limit=limit)
        await self._world()
        return found


class Client:
    """A subscriber with a replica; what it was sent is heard whenever it reads."""

    def __init__(self, hub: Hub, channels: tuple[Channel, ...]) -> None:
        self.hub = hub
        self.channels = channels
        self.replica = Replica()
        self.replica.whole = {Channel.ORDERS, Channel.POSITIONS} <= set(channels)
        self._connect()

    def _connect(self) -> None:
        self.outbox = Outbox(messages_max=1_000, bytes_max=1 << 20, wake=lambda now: None)
        self.subscriber = subscriber_of(self.channels, self.outbox)
        resume = None
        if self.replica.stream_id is not None:
            resume = Resume(self.replica.stream_id, self.replica.last_seq)
        self.joining = asyncio.create_task(
            self.hub.follow(
                ACCOUNT,
                self.subscriber,
                self.outbox,
                seen=self.hub._views,
                channels=self.channels,
                resume=resume,
                frame_id=None,
            )
        )

    def read(self) -> None:
        for frame in self.outbox.take():
            self.replica.hear(json.loads(payload_of(frame)))

    async def drop(self) -> None:
        """What was not read yet is lost, as it is when a connection breaks."""
        self.joining.cancel()
        await asyncio.wait([self.joining])
        self.hub.leave(ACCOUNT, self.subscriber)
        self._connect()

    async def settle(self) -> None:
        while not self.joining.done():
            self.read()
            await asyncio.sleep(0)
        self.joining.result()
        self.read()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("happen"), st.integers(0, 1_000)),
        st.tuples(st.just("meanwhile"), st.integers(0, 1_000)),
        st.tuples(st.just("drop"), st.integers(0, 9)),
        st.tuples(st.just("read"), st.integers(0, 9)),
        st.tuples(st.just("yield"), st.integers(1, 4)),
        st.tuples(st.just("tell"), st.integers(1, 5)),
        st.tuples(st.just("tick"), st.just(0)),
    ),
    max_size=60,
)
CHANNELS = st.lists(st.sampled_from(ALL), min_size=1, max_size=5, unique=True).map(tuple)


async def lived(clients_channels: list[tuple[Channel, ...]], steps: list[tuple[str, int]]) -> None:
    books = SlowBooks()
    hub = Hub(books, state_hash_events=4, replay_events_max=25, page_events=3)
    later = books.audience = Later(hub)
    clients = [Client(hub, channels) for channels in clients_channels]
    time = 0.0
    for step, number in steps:
        client = clients[number % len(clients)]
        match step:
            case "happen":
                books.market.happen(number)
                later.pass_on(number % 4)
            case "meanwhile":
                books.meanwhile.append(number)
            case "drop":
                await client.drop()
            case "read":
                client.read()
            case "tell":
                later.pass_on(number)
            case "tick":
                time += 5
                hub.tick(time)
            case _:
                for _ in range(number):
                    await asyncio.sleep(0)
    for client in clients:
        await client.settle()
    books.meanwhile.clear()
    later.pass_on(len(later.waiting))
    for _ in range(10):
        await asyncio.sleep(0)
    hub.tick(time + 5)
    for client in clients:
        client.read()
        check_equals_server(client, books)


def check_equals_server(client: Client, books: Books) -> None:
    replica = client.replica
    mask = mask_of(client.channels)
    rows = [row for row in books.rows[ACCOUNT] if MASK_OF_KIND[row.kind] & mask]
    assert replica.last_seq >= max((row.seq for row in rows), default=0)
    assert client.subscriber.last_seq == replica.last_seq
    if replica.whole:
        ours = {order.id for order in books.orders_by_id.values() if not order.is_final}
        theirs = {
            order_id
            for order_id, order in replica.orders.items()
            if order["status"] not in {"filled", "canceled", "denied"}
        }
        assert theirs == ours
        assert replica.proofs > 0


@given(st.lists(CHANNELS, min_size=1, max_size=4), STEPS)
@settings(max_examples=dose(usual=150, long=3_000))
def test_no_join_drop_or_resume_at_any_moment_makes_a_silent_gap(
    channels: list[tuple[Channel, ...]], steps: list[tuple[str, int]]
) -> None:
    asyncio.run(lived(channels, steps))


async def follow(books: Books, hub: Hub, resume: Resume | None) -> list[dict[str, Any]]:
    outbox = Outbox(messages_max=10_000, bytes_max=1 << 24, wake=lambda now: None)
    subscriber = subscriber_of((Channel.ORDERS,), outbox)
    taken: list[bytes] = []
    joining = asyncio.create_task(
        hub.follow(
            ACCOUNT, subscriber, outbox, seen=books, channels=(Channel.ORDERS,), resume=resume, frame_id="f"
        )
    )
    async with asyncio.timeout(10):
        while not joining.done():
            await asyncio.sleep(0)
            taken += outbox.take()
    joining.result()
    taken += outbox.take()
    return [json.loads(payload_of(frame)) for frame in taken]


@pytest.mark.parametrize(
    ("stream_id", "after", "resumed"),
    [
        ("stream-1", 900, True),
        ("stream-1", 1_001, True),
        ("stream-1", 1, True),
        ("stream-1", 0, False),  # too far back for this hub
        ("stream-1", 1_002, False),  # of the future
        ("stream-0", 900, False),  # of another incarnation
    ],
)
async def test_a_resume_that_is_impossible_is_a_reset_and_says_so(
    stream_id: str, after: int, resumed: bool
) -> None:
    books = Books()
    hub = Hub(books, replay_events_max=1_000)
    books.audience = hub
    market = Market(books)
    for _ in range(1_000):
        market.happen(0)
    told = await follow(books, hub, Resume(stream_id, after))
    assert (told[0]["type"], told[0]["resumed"], told[0]["id"]) == ("subscribed", resumed, "f")
    if resumed:
        assert [frame["seq"] for frame in told[1:]] == list(range(max(after + 1, 2), 1_002))
        assert told[0]["seq"] == after
    else:
        assert [frame["type"] for frame in told] == ["subscribed", "reset"]
        assert told[1]["as_of_seq"] == 1_001
        assert len(told[1]["snapshot"]["orders"]) == 1_000


async def test_a_hole_in_storage_is_never_told_as_if_it_were_none() -> None:
    books = Books()
    hub = Hub(books)
    books.audience = hub
    market = Market(books)
    for _ in range(20):
        market.happen(0)
    whole = books.rows[ACCOUNT]
    books.rows[ACCOUNT] = [row for row in whole if row.seq != 15] + [whole[-1]]
    told = await follow(books, hub, Resume("stream-1", 10))
    assert told[-1]["type"] == "reset"


def test_the_hash_of_nothing_is_zero_and_an_end_takes_an_item_out_again() -> None:
    books = Books()
    state = StateHash((), ())
    assert state.hexdigest() == "0" * 16
    market = Market(books)
    market.happen(0)
    state.note(books.rows[ACCOUNT][-1].frame)
    assert state.hexdigest() != "0" * 16
    order = next(iter(books.orders_by_id))
    books.happen(e.OrderCanceled(order_id=order, at=books.now(), evidence="twin"))
    state.note(books.rows[ACCOUNT][-1].frame)
    assert state.hexdigest() == "0" * 16


async def test_what_is_read_before_it_is_told_is_told_only_once() -> None:
    books = Books()
    hub = Hub(books)
    later = books.audience = Later(hub)
    Market(books).happen(0)
    outboxes = []
    for resume in (None, Resume("stream-1", 1)):
        outbox = Outbox(messages_max=100, bytes_max=1 << 20, wake=lambda now: None)
        subscriber = subscriber_of((Channel.ORDERS,), outbox)
        await hub.follow(
            ACCOUNT, subscriber, outbox, seen=books, channels=(Channel.ORDERS,), resume=resume, frame_id=None
        )
        outboxes.append(outbox)
    later.pass_on(1)
    Market(books).happen(0)
    later.pass_on(1)
    replicas = []
    for outbox in outboxes:
        replica = Replica()
        for frame in outbox.take():
            told = json.loads(payload_of(frame))
            if told["type"] == "subscribed" and told["resumed"]:
                replica.stream_id, replica.last_seq = "stream-1", 1
            replica.hear(told)
        replicas.append(replica)
    assert [replica.seen for replica in replicas] == [[3], [2, 3]]


def test_a_hash_waits_until_what_it_shows_was_told() -> None:
    outbox = Outbox(messages_max=100, bytes_max=1 << 20, wake=lambda now: None)
    feed = Feed(ACCOUNT, "stream-1", head=3)
    subscriber = subscriber_of(ALL, outbox)
    feed.begin(subscriber)
    feed.enter(subscriber, after=3)
    feed.know_state(feed.begin_state(), 4, (), ())
    feed.tell_state()
    assert outbox.take() == []
    feed.tell(4, "break_opened", b'{"seq":4}')
    feed.tell_state()
    told = [json.loads(payload_of(frame)) for frame in outbox.take()]
    assert [frame.get("type") for frame in told] == [None, "state_hash"]
    assert told[1]["seq"] == 4


def test_a_state_read_for_an_earlier_follower_says_nothing_about_what_a_later_one_notes() -> None:
    """Everybody left and came back while it was read: what was told in between was noted by nobody."""
    feed = Feed(ACCOUNT, "stream-1", head=3)

    def joined() -> Subscriber:
        outbox = Outbox(messages_max=100, bytes_max=1 << 20, wake=lambda now: None)
        subscriber = subscriber_of(ALL, outbox)
        feed.begin(subscriber)
        feed.enter(subscriber, after=feed.head)
        return subscriber

    first = joined()
    early = feed.begin_state()
    feed.leave(first)
    feed.tell(4, "order_accepted", b'{"seq":4}')
    joined()
    late = feed.begin_state()
    feed.know_state(early, 3, (), ())
    assert feed.lacks_state is False, "the second reading still goes on"
    feed.tell(5, "break_opened", b'{"seq":5}')
    assert feed.events_unproved == 0, "nothing is known to count from yet"
    feed.know_state(late, 4, (), ())
    assert feed.events_unproved == 1
