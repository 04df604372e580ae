"""Subscribing to an account again while the subscription before is not answered yet."""

from __future__ import annotations

import asyncio

from ordergate.core.faults import JournalUnavailable
from ordergate.ports.views import Snapshot
from tests.api.books import Books
from tests.api.ledger import ACCOUNT
from tests.api.people import deps_of
from tests.api.served import serving


class TroubledBooks(Books):
    """A journal whose connection is lost to whoever stops reading before the first read was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[asyncio.Event] = []

    async def snapshot(self, account: str) -> Snapshot | None:
        let = asyncio.Event()
        self.reads.append(let)
        if len(self.reads) == 2:
            try:
                await let.wait()
            except asyncio.CancelledError as stopped:
                raise JournalUnavailable("the connection was lost") from stopped
        return await super().snapshot(ACCOUNT)


async def test_what_becomes_of_an_earlier_subscription_takes_nothing_from_the_later_one() -> None:
    books = TroubledBooks()
    async with serving(deps_of(books)) as served, served.stream() as talk:
        await talk.send(type="subscribe", id="first", account_id=ACCOUNT, channels=["orders"])
        await talk.until("heartbeat")
        assert len(books.reads) == 2
        await talk.send(type="subscribe", id="second", account_id=ACCOUNT, channels=["orders"])
        await talk.until("subscribed", id="second")
        await talk.until("reset")
        books.accept_an_order()
        assert (await talk.until("event"))["kind"] == "order_accepted"
