"""Frames that come while a login is looked at."""

from __future__ import annotations

import asyncio

from ordergate.core.access import Principal
from ordergate.core.refusals import Refusal
from ordergate.ports.identity import Shown
from tests.api.books import Books
from tests.api.people import PLAIN, TRADER, Directory, StillClock, deps_of
from tests.api.served import serving


class SlowDirectory(Directory):
    """One that has to ask somebody else about a token, and says when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def authenticate(self, token: str, shown: Shown = PLAIN) -> Principal | Refusal:
        self.asked.set()
        await self.may_answer.wait()
        return await super().authenticate(token, shown)


async def test_frames_behind_a_login_are_read_by_whom_it_makes_known_in_their_order(books: Books) -> None:
    identity = SlowDirectory()
    deps = deps_of(books, clock=StillClock(), identity=identity)
    async with serving(deps) as served, served.stream(token=None) as talk:
        await talk.until("welcome")
        await talk.send(type="authenticate", token=TRADER)
        await identity.asked.wait()
        for number in range(5):
            await talk.send(type="subscribe", id=f"early-{number}", channel="quotes", symbols=["ESM4"])
        await talk.until("heartbeat")
        identity.may_answer.set()
        await talk.until("authenticated")
        answered = [(await talk.until("subscribed"))["id"] for _ in range(5)]
    assert answered == [f"early-{number}" for number in range(5)]
