"""How many streams may be open: of whom, of which address, and of those that nobody knows yet."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from ordergate.api.deps import Bounds
from ordergate.api.places import (
    FULL,
    FULL_OF_STRANGERS,
    OF_ADDRESS,
    OF_CLIENT,
    OF_TENANT,
    STRANGERS_OF_ADDRESS,
    Place,
    Places,
    Room,
)
from ordergate.core.refusals import Refusal
from tests.api.books import Books
from tests.api.people import EVERYTHING, READER, TRADER, deps_of, principal
from tests.api.served import Served, serving

ANN, BOB, CAT = (principal(name, EVERYTHING) for name in ("ann", "bob", "cat"))
ELSEWHERE = msgspec.structs.replace(principal("ann", EVERYTHING), tenant="another")


def entered(places: Places, peer: str = "a") -> Place:
    place = places.enter(peer)
    assert isinstance(place, Place)
    return place


def test_each_address_has_its_room_and_what_is_left_is_anothers_again() -> None:
    places = Places(Room(of_address=2, in_all=3))
    first, _ = entered(places), entered(places)
    assert places.enter("a") is OF_ADDRESS
    entered(places, "b")
    assert places.enter("c") is FULL
    first.leave()
    first.leave()
    entered(places, "a")
    assert places.enter("c") is FULL


def test_a_client_and_its_tenant_have_theirs() -> None:
    places = Places(Room(of_client=2, of_tenant=3))
    held = [entered(places) for _ in range(5)]
    assert [held[0].admit(ANN), held[1].admit(ANN), held[2].admit(ANN)] == [None, None, OF_CLIENT]
    assert [held[2].admit(BOB), held[3].admit(CAT)] == [None, OF_TENANT]
    assert held[3].admit(ELSEWHERE) is None
    held[2].leave()
    assert held[4].admit(CAT) is None


def test_strangers_fill_only_their_own_room_until_they_log_in() -> None:
    places = Places(Room(strangers=3, strangers_of_address=2))
    first, second, third, other = (entered(places, peer) for peer in "aaab")
    assert [first.wait_for_login(), second.wait_for_login()] == [None, None]
    assert third.wait_for_login() is STRANGERS_OF_ADDRESS
    assert third.admit(ANN) is None  # who brings a token needs no room among them
    assert other.wait_for_login() is None
    assert entered(places, "c").wait_for_login() is FULL_OF_STRANGERS
    assert first.admit(BOB) is None
    assert entered(places, "c").wait_for_login() is None


def waiting(places: Places, peer: str) -> Refusal | None:
    return entered(places, peer).wait_for_login()


def test_a_machine_has_the_room_of_one_address_whichever_of_its_addresses_it_comes_from() -> None:
    places = Places(Room(of_address=2))
    for number in range(2):
        entered(places, f"2001:db8::{number}")
    assert places.enter("2001:db8::ffff") is OF_ADDRESS
    entered(places, "2001:db8:0:1::1")


def test_strangers_of_one_machine_are_strangers_of_one_address() -> None:
    places = Places(Room(strangers_of_address=2))
    assert [waiting(places, f"2001:db8::{number}") for number in range(3)] == [
        None,
        None,
        STRANGERS_OF_ADDRESS,
    ]


def test_a_subscriber_with_many_networks_leaves_half_of_the_room_for_strangers_to_others() -> None:
    places = Places(Room(strangers=10, strangers_of_address=1))
    of_one = [waiting(places, f"2001:db8:0:{number:x}::1") for number in range(10)]
    assert of_one == [None] * 5 + [STRANGERS_OF_ADDRESS] * 5
    assert waiting(places, "192.0.2.7") is None


def test_a_subscriber_whose_stranger_has_logged_in_may_send_another() -> None:
    places = Places(Room(strangers=2, strangers_of_address=2))
    first = entered(places, "2001:db8::1")
    assert first.wait_for_login() is None
    assert waiting(places, "2001:db8::2") is STRANGERS_OF_ADDRESS
    assert first.admit(ANN) is None
    assert waiting(places, "2001:db8::2") is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([None, ANN, BOB, ELSEWHERE])), max_size=30))
def test_whatever_happens_everything_is_given_back(arrivals: list[tuple[str, object]]) -> None:
    room = Room(in_all=6, of_tenant=3, of_client=2, of_address=4, strangers=3, strangers_of_address=2)
    places = Places(room)
    held = []
    for peer, who in arrivals:
        place = places.enter(peer)
        if isinstance(place, Refusal):
            continue
        held.append(place)
        place.wait_for_login()
        if isinstance(who, type(ANN)):
            place.admit(who)
        assert len(held) <= room.in_all
    for place in held:
        place.leave()
    for peer in "ab":
        again = [entered(places, peer) for _ in range(3)]
        assert [place.admit(ANN) for place in again] == [None, None, OF_CLIENT]
        for place in again:
            place.leave()


async def refused_status(served: Served, token: str | None) -> int:
    with pytest.raises(InvalidStatus) as refused:
        async with served.stream(token):
            pass
    response = refused.value.response
    assert ("retry-after" in response.headers) == (response.status_code == 429)
    return response.status_code


async def test_an_address_that_never_logs_in_is_refused_and_those_with_tokens_are_not(books: Books) -> None:
    deps = deps_of(books, bounds=Bounds(streams=Room(strangers_of_address=1)))
    async with serving(deps) as served, served.stream(None) as stranger:
        await stranger.until("welcome")
        assert await refused_status(served, None) == 429
        async with served.stream() as known:
            await known.until("authenticated")
        await stranger.send(type="authenticate", token=TRADER)
        await stranger.until("authenticated")
        async with served.stream(None) as next_one:
            await next_one.until("welcome")


async def test_a_tenants_room_is_shared_by_its_clients(books: Books) -> None:
    deps = deps_of(books, bounds=Bounds(streams=Room(of_tenant=1)))
    async with serving(deps) as served, served.stream(TRADER) as talk:
        await talk.until("authenticated")
        assert await refused_status(served, READER) == 429
        async with served.stream(None) as late:
            await late.send(type="authenticate", token=READER)
            assert await late.closed() == (4001, "rate-limited")


async def test_a_refused_token_leaves_no_place_taken(books: Books) -> None:
    deps = deps_of(books, bounds=Bounds(streams=Room(of_address=1)))
    async with serving(deps) as served:
        assert [await refused_status(served, "nobody") for _ in range(3)] == [401, 401, 401]
        async with served.stream() as talk:
            await talk.until("authenticated")
            assert await refused_status(served, TRADER) == 429
