"""A page opens a stream with a ticket: once, soon, from its own origin, and never with a token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from ordergate.api.deps import Bounds
from ordergate.api.places import Room
from ordergate.api.stream.tickets import LIFE_S, OF_ONE_MAX, Tickets
from ordergate.core.access import Principal
from ordergate.core.refusals import Code, Refusal
from tests.api.books import Books
from tests.api.people import EVERYTHING, READER, Counting, Directory, StillClock, deps_of, principal
from tests.api.served import Served, serving

PAGE = "https://desk.example"
OTHER_PAGE = "https://other.example"
ORIGINS = frozenset({PAGE, OTHER_PAGE})


@pytest.fixture
async def served(books: Books, clock: StillClock, identity: Directory) -> AsyncIterator[Served]:
    bounds = Bounds(origins=ORIGINS)
    async with serving(deps_of(books, bounds=bounds, clock=clock, identity=identity)) as served:
        yield served


async def asked(served: Served, origin: Any = PAGE, sent_from: str | None = None) -> httpx.Response:
    headers = {} if sent_from is None else {"origin": sent_from}
    async with served.client() as client:
        return await client.post("/v1/stream/tickets", json={"origin": origin}, headers=headers)


async def a_ticket(served: Served, origin: str = PAGE) -> str:
    answer = await asked(served, origin)
    assert answer.status_code == 201, answer.text
    ticket: str = answer.json()["ticket"]
    return ticket


async def told(served: Served, ticket: str, origin: str | None = PAGE) -> tuple[int, str] | None:
    """What the stream says to the ticket: None when it lets the page in, or how it closes."""
    async with served.stream(None, origin=origin) as talk:
        await talk.until("welcome")
        await talk.send(type="authenticate", ticket=ticket)
        frame = await talk.next()
        return None if frame["type"] == "authenticated" else await talk.closed()


async def test_a_page_opens_a_stream_with_a_ticket(served: Served) -> None:
    answer = await asked(served, origin=PAGE)

    assert answer.json()["expires_in"] == LIFE_S == 30
    assert len(answer.json()["ticket"]) == 64
    assert answer.headers["cache-control"] == "no-store"
    assert await told(served, answer.json()["ticket"]) is None


async def test_a_ticket_is_good_once(served: Served) -> None:
    ticket = await a_ticket(served)

    assert await told(served, ticket) is None
    assert await told(served, ticket) == (4001, "unauthenticated")


async def test_a_ticket_is_good_for_half_a_minute(served: Served, clock: StillClock) -> None:
    ticket = await a_ticket(served)

    clock.seconds += LIFE_S

    assert await told(served, ticket) == (4001, "unauthenticated")


@pytest.mark.parametrize("origin", [OTHER_PAGE, None])
async def test_a_ticket_is_for_pages_of_its_origin(served: Served, origin: str | None) -> None:
    ticket = await a_ticket(served)

    assert await told(served, ticket, origin) == (4001, "unauthenticated")
    assert await told(served, ticket) == (4001, "unauthenticated"), "a wrong try uses it up"


@pytest.mark.parametrize("ticket", ["", "0" * 64, "x", "'; --"])
async def test_no_other_text_is_a_ticket(served: Served, ticket: str) -> None:
    async with served.stream(None, origin=PAGE) as talk:
        await talk.send(type="authenticate", ticket=ticket)
        assert (await talk.until("error"))["code"] in {"unauthenticated", "invalid"}


async def test_a_ticket_ends_with_the_token_it_was_got_with(served: Served, identity: Directory) -> None:
    ticket = await a_ticket(served)

    identity.revoked.add("token-of-trader")

    assert await told(served, ticket) == (4001, "unauthenticated")


async def test_a_stream_opened_by_a_ticket_ends_when_the_token_is_revoked(
    served: Served, identity: Directory
) -> None:
    async with served.stream(None, origin=PAGE) as talk:
        await talk.send(type="authenticate", ticket=await a_ticket(served))
        await talk.until("authenticated")
        identity.revoked.add("token-of-trader")
        assert (await talk.closed())[0] == 4001


async def test_a_ticket_refreshes_a_stream(served: Served) -> None:
    async with served.stream(None, origin=PAGE) as talk:
        await talk.send(type="authenticate", ticket=await a_ticket(served))
        await talk.until("authenticated")
        await talk.send(type="auth.refresh", id="r", ticket=await a_ticket(served))
        assert (await talk.until("authenticated"))["id"] == "r"


async def test_a_ticket_of_another_client_does_not_refresh_a_stream(served: Served) -> None:
    async with served.stream(READER, origin=PAGE) as talk:
        await talk.until("authenticated")
        await talk.send(type="auth.refresh", ticket=await a_ticket(served))
        assert (await talk.closed())[0] == 4003


@pytest.mark.parametrize("origin", ["https://evil.example", "https://desk.example.evil.example", "null"])
async def test_there_are_no_tickets_for_other_pages(served: Served, origin: str) -> None:
    answer = await asked(served, origin)

    assert answer.status_code in {400, 403}
    with pytest.raises(InvalidStatus):
        async with served.stream(None, origin=origin):
            pass


async def test_a_page_asks_for_its_own_origin_only(served: Served) -> None:
    assert (await asked(served, OTHER_PAGE, sent_from=PAGE)).status_code == 403
    assert (await asked(served, PAGE, sent_from=PAGE)).status_code == 201


@pytest.mark.parametrize("body", [{}, {"origin": 1}, {"origin": PAGE, "ttl": 900}, {"origin": PAGE + "/"}])
async def test_what_is_asked_is_checked(served: Served, body: dict[str, Any]) -> None:
    async with served.client() as client:
        assert (await client.post("/v1/stream/tickets", json=body)).status_code == 400


async def test_a_ticket_takes_a_token(served: Served) -> None:
    async with served.client(None) as client:
        assert (await client.post("/v1/stream/tickets", json={"origin": PAGE})).status_code == 401


async def test_streams_opened_by_tickets_count_against_their_client(books: Books) -> None:
    bounds = Bounds(origins=ORIGINS, streams=Room(of_client=1))
    async with serving(deps_of(books, bounds=bounds)) as served, served.stream(None, origin=PAGE) as talk:
        await talk.send(type="authenticate", ticket=await a_ticket(served))
        await talk.until("authenticated")
        assert await told(served, await a_ticket(served)) == (4001, "rate-limited")


def test_only_so_many_tickets_wait_at_once() -> None:
    clock = StillClock()
    tickets = Tickets(Directory(), clock, Counting(), ORIGINS)
    desk = principal("desk", EVERYTHING)

    issued = [tickets.issue(desk, PAGE) for _ in range(OF_ONE_MAX + 1)]

    assert isinstance(issued[-1], Refusal)
    assert (issued[-1].code, issued[-1].retry_after_s) == (Code.RATE_LIMITED, LIFE_S)
    assert isinstance(tickets.issue(principal("other", EVERYTHING), PAGE), str)
    clock.seconds += LIFE_S
    assert isinstance(tickets.issue(desk, PAGE), str)


def test_a_ticket_is_worth_what_its_token_is_worth() -> None:
    tickets = Tickets(Directory(), StillClock(), Counting(), ORIGINS)
    desk = msgspec.structs.replace(principal("desk", EVERYTHING), bound_to="jkt:abc")
    ticket = tickets.issue(desk, PAGE)
    assert isinstance(ticket, str)

    found = tickets.redeem(ticket, PAGE)

    assert isinstance(found, Principal)
    assert found == desk
