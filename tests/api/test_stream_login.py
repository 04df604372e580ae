"""Frames that come while a login is looked at."""

from __future__ import annotations

import asyncio

import pytest

from ordergate.api.deps import Bounds
from ordergate.api.quotas import Rate
from ordergate.api.stream.actions import Close, Send
from ordergate.core.access import Principal
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.identity import Shown
from tests.api.books import Books
from tests.api.people import PLAIN, TRADER, Directory, StillClock, deps_of
from tests.api.served import serving
from tests.api.sessions import a_session


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


async def test_strangers_of_its_address_take_no_stream_from_who_refreshes_its_token(books: Books) -> None:
    """A new token that cannot be looked at now leaves the old one, which still stands, as it is."""
    identity = Directory()
    identity.principals["newer"] = identity.principals[TRADER]
    deps = deps_of(books, bounds=Bounds(failed_logins_of_peer=Rate(per_s=0.1, burst=1)), identity=identity)
    async with serving(deps) as served, served.stream() as talk:
        await talk.until("authenticated")
        async with served.client("nobody") as stranger:
            assert (await stranger.get("/v1/orders")).status_code == 401
        await talk.send(type="auth.refresh", id="r", token="newer")
        told = await talk.until("error", id="r")
        assert (told["code"], told["retry_after_s"] > 0) == ("rate-limited", True)
        await talk.send(type="ping", id="p")
        assert (await talk.until("pong"))["id"] == "p"


@pytest.mark.parametrize("code", [Code.RATE_LIMITED, Code.UNAVAILABLE])
def test_who_has_not_logged_in_goes_also_where_the_token_cannot_be_looked_at_now(code: Code) -> None:
    actions = a_session(logged_in=False).logged_in(Refusal(code, "not now"), None)
    assert [type(action) for action in actions] == [Send, Close]
