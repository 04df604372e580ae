"""The state hash goes on once what it begins with can be read again."""

from __future__ import annotations

import asyncio
import json

import pytest

from ordergate.api.stream.channels import Channel
from ordergate.api.stream.hub import Hub, subscriber_of
from ordergate.api.stream.outbox import Outbox
from ordergate.api.stream.state_hash import StateHash
from ordergate.api.stream.wire import payload_of
from ordergate.core.faults import JournalUnavailable
from ordergate.ports.views import Snapshot
from tests.api.books import Books
from tests.api.ledger import ACCOUNT

WHOLE = (Channel.ORDERS, Channel.POSITIONS)


class FlakyBooks(Books):
    """A journal that is away for the gateway itself while a test says so."""

    trouble: Exception | None = None

    async def snapshot(self, account: str) -> Snapshot | None:
        if self.trouble is not None:
            raise self.trouble
        return await super().snapshot(ACCOUNT)


async def follow_whole(hub: Hub) -> Outbox:
    outbox = Outbox(messages_max=100, bytes_max=1 << 20, wake=lambda now: None)
    subscriber = subscriber_of(WHOLE, outbox)
    await hub.follow(ACCOUNT, subscriber, outbox, seen=Books(), channels=WHOLE, resume=None, frame_id=None)
    return outbox


def hashes(outbox: Outbox) -> int:
    told = [json.loads(payload_of(frame)) for frame in outbox.take()]
    return sum(frame.get("type") == "state_hash" for frame in told)


async def ticked(hub: Hub, now: float) -> None:
    hub.tick(now)
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("trouble", [JournalUnavailable("away"), TimeoutError()])
async def test_a_journal_that_is_away_costs_the_hash_no_longer_than_it_is(trouble: Exception) -> None:
    books = FlakyBooks()
    hub = Hub(books)
    await hub._feed(ACCOUNT)
    books.trouble = trouble
    outbox = await follow_whole(hub)
    await ticked(hub, 5.0)
    assert hashes(outbox) == 0
    books.trouble = None
    await ticked(hub, 10.0)
    await ticked(hub, 15.0)
    assert hashes(outbox) == 1


def test_what_is_listed_anew_under_a_name_that_was_given_up_is_in_the_hash() -> None:
    before, after, anew = (
        b'{"symbol":"%s","quantity":"%d"}' % held for held in ((b"OLD", 1), (b"NEW", 1), (b"OLD", 2))
    )
    state = StateHash([], [before])
    state.note(b'{"kind":"symbol_renamed","detail":{"was":"OLD"},"position":%s}' % after)
    state.note(b'{"kind":"order_filled","position":%s}' % anew)
    assert state.hexdigest() == StateHash([], [after, anew]).hexdigest()
