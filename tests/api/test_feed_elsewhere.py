"""An account that is followed here and written elsewhere: nobody is left with a gap."""

from __future__ import annotations

import pytest

from ordergate.api.stream.channels import Channel
from ordergate.api.stream.feed import Subscriber
from ordergate.api.stream.hub import Hub, subscriber_of
from ordergate.api.stream.outbox import Outbox
from tests.api.books import Books
from tests.api.ledger import ACCOUNT
from tests.api.test_feed import follow


class Line:
    """A connection that follows the account, until it is told to go."""

    closed = 0

    def follows(self, account: str) -> bool:
        return account == ACCOUNT

    def close(self, code: int, reason: str) -> None:
        self.closed = code


async def test_whoever_follows_is_sent_to_resume_when_events_were_written_elsewhere() -> None:
    """Another owner of the account wrote in between: no number may be passed over in silence."""
    books = Books()
    hub = Hub(books)
    books.audience = hub
    await follow(books, hub, None)
    line = Line()
    hub.add(line)
    head = len(books.rows[ACCOUNT])
    hub.tell(ACCOUNT, head + 1, "order_accepted", b'{"type":"event"}')
    assert line.closed == 0
    hub.tell(ACCOUNT, head + 3, "order_accepted", b'{"type":"event"}')
    assert line.closed == 1001


async def joined(books: Books, hub: Hub, channel: Channel) -> tuple[Subscriber, Outbox]:
    """A client that follows this channel from now on, and has read all there is."""
    outbox = Outbox(messages_max=100, bytes_max=1 << 20, wake=lambda now: None)
    subscriber = subscriber_of((channel,), outbox)
    await hub.follow(ACCOUNT, subscriber, outbox, seen=books, channels=(channel,), resume=None, frame_id=None)
    outbox.take()
    return subscriber, outbox


@pytest.mark.parametrize("channel", [Channel.ORDERS, Channel.POSITIONS])
async def test_who_is_late_to_go_takes_nobody_along_who_came_back_before(channel: Channel) -> None:
    """The connection that was sent away may end after another one follows the account anew."""
    books = Books()
    hub = Hub(books)
    books.audience = hub
    late, _ = await joined(books, hub, channel)
    head = len(books.rows[ACCOUNT])
    hub.tell(ACCOUNT, head + 3, "order_accepted", b'{"type":"event"}')
    _, outbox = await joined(books, hub, Channel.ORDERS)
    hub.leave(ACCOUNT, late)
    hub.tell(ACCOUNT, head + 1, "order_accepted", b'{"type":"event"}')
    assert len(outbox.take()) == 1
