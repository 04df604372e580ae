"""Every fault of a stream, one by one, on bare WebSockets that show each frame."""

import httpx
import pytest

from ordergate.venue.server import Venue
from tests.venue_alpaca.floor import ACME, ALICE, limit_order
from tests.venue_alpaca.listening import Line, line, updates_line
from tests.venue_alpaca.striking import ask_for, names_at_venue, struck


async def placing(venue: Venue, *names: str) -> None:
    async with httpx.AsyncClient(base_url=venue.base_url, timeout=20) as client:
        for name in names:
            headers = {"APCA-API-KEY-ID": ALICE.key, "APCA-API-SECRET-KEY": ALICE.secret}
            answer = await client.post("/v2/orders", json=limit_order(name), headers=headers)
            assert answer.status_code == 200


async def heard(updates: Line, number: int) -> list[str]:
    frames = [await updates.hear() for _ in range(number)]
    return [frame["data"]["order"]["client_order_id"] for frame in frames]


async def test_a_dropped_frame_never_comes(venue: Venue, admin: httpx.Client) -> None:
    ask_for(admin, "drop", "stream", skip=1)
    async with updates_line(venue.base_url) as updates:
        await placing(venue, "a", "b", "c")
        assert await heard(updates, 2) == ["a", "c"]


async def test_a_duplicated_frame_comes_twice(venue: Venue, admin: httpx.Client) -> None:
    ask_for(admin, "duplicate", "stream", skip=1)
    async with updates_line(venue.base_url) as updates:
        await placing(venue, "a", "b", "c")
        assert await heard(updates, 4) == ["a", "b", "b", "c"]
        assert updates.frames[1] == updates.frames[2]


async def test_a_reordered_frame_comes_after_its_successor(venue: Venue, admin: httpx.Client) -> None:
    ask_for(admin, "reorder", "stream", skip=1, seconds=20)
    async with updates_line(venue.base_url) as updates:
        await placing(venue, "a", "b", "c", "d")
        assert await heard(updates, 4) == ["a", "c", "b", "d"]


async def test_a_reordered_frame_without_successor_still_comes(venue: Venue, admin: httpx.Client) -> None:
    ask_for(admin, "reorder", "stream", seconds=0.05)
    async with updates_line(venue.base_url) as updates:
        await placing(venue, "alone")
        assert await heard(updates, 1) == ["alone"]


async def test_a_delayed_frame_comes_late_and_in_order(venue: Venue, admin: httpx.Client) -> None:
    ask_for(admin, "delay", "stream", seconds=0.2)
    async with updates_line(venue.base_url) as updates:
        await placing(venue, "a", "b")
        assert await heard(updates, 2) == ["a", "b"]


async def test_a_silent_stream_answers_pings_and_nothing_else(venue: Venue, admin: httpx.Client) -> None:
    ask_for(admin, "silent", "stream", skip=1)
    async with updates_line(venue.base_url) as updates:
        await placing(venue, "a", "b", "c")
        assert await heard(updates, 1) == ["a"]
        with pytest.raises(TimeoutError):
            await updates.socket.receive(timeout=0.3)
        assert not updates.socket.closed
    async with updates_line(venue.base_url) as updates:
        await placing(venue, "d")
        assert await heard(updates, 1) == ["d"]


async def test_a_disconnect_cuts_the_stream_without_a_close_frame(venue: Venue, admin: httpx.Client) -> None:
    ask_for(admin, "disconnect", "stream")
    async with updates_line(venue.base_url) as updates:
        await placing(venue, "a")
        with pytest.raises(ConnectionError):
            await updates.hear()
        assert updates.socket.close_code == 1006
    assert names_at_venue(admin) == ["a"]


async def test_market_data_has_faults_of_its_own(venue: Venue, admin: httpx.Client) -> None:
    ask_for(admin, "duplicate", "market")
    async with line(venue.base_url, "/v2/iex") as market, updates_line(venue.base_url) as updates:
        await market.hear()
        await market.ask({"action": "auth", "key": ALICE.key, "secret": ALICE.secret})
        await market.ask({"action": "subscribe", "quotes": [ACME]})
        await placing(venue, "a")
        first, second = await market.hear(), await market.hear()
        assert first == second
        assert await heard(updates, 1) == ["a"]
    assert struck(admin) == [1]
