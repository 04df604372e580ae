"""Connections are handed out in turn, never twice, and never waited for longer than allowed."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from ordergate.brokers._shared.lines import Places

LONG_S = 10.0


async def test_whoever_comes_first_goes_first() -> None:
    places = Places(1)
    assert await places.take(LONG_S)
    order: list[int] = []

    async def visit(number: int) -> None:
        assert await places.take(LONG_S)
        order.append(number)
        places.give_back()

    waiting = [asyncio.create_task(visit(number)) for number in range(5)]
    await asyncio.sleep(0)
    places.give_back()
    async with asyncio.timeout(LONG_S):
        await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3, 4]


async def test_who_waited_too_long_gets_none_and_takes_none_from_others() -> None:
    places = Places(1)
    assert await places.take(LONG_S)
    assert not await places.take(0.001)
    places.give_back()
    assert await places.take(0.001)


async def test_a_place_granted_to_one_who_left_goes_to_the_next() -> None:
    places = Places(1)
    assert await places.take(LONG_S)
    leaving = asyncio.create_task(places.take(LONG_S))
    staying = asyncio.create_task(places.take(LONG_S))
    await asyncio.sleep(0)
    places.give_back()
    leaving.cancel()
    async with asyncio.timeout(LONG_S):
        assert await staying
        await asyncio.gather(leaving, return_exceptions=True)
    assert leaving.cancelled()


async def test_the_urgent_may_have_what_is_kept_from_others() -> None:
    places = Places(3, kept=1)
    taken = [places.take_now(), places.take_now(), places.take_now()]
    assert taken == [True, True, False]
    assert places.take_now(urgent=True)


async def test_the_urgent_go_before_those_who_came_earlier() -> None:
    places = Places(1)
    assert places.take_now()
    earlier = asyncio.create_task(places.take(LONG_S))
    urgent = asyncio.create_task(places.take(LONG_S, urgent=True))
    await asyncio.sleep(0)
    places.give_back()
    async with asyncio.timeout(LONG_S):
        assert await urgent
    assert not earlier.done()
    places.give_back()
    async with asyncio.timeout(LONG_S):
        assert await earlier


async def test_a_place_that_is_kept_is_not_given_to_one_who_waited() -> None:
    places = Places(2, kept=1)
    assert places.take_now()
    assert places.take_now(urgent=True)
    waiting = asyncio.create_task(places.take(LONG_S))
    await asyncio.sleep(0)
    places.give_back()
    assert places.take_now(urgent=True)
    places.give_back()
    places.give_back()
    async with asyncio.timeout(LONG_S):
        assert await waiting


@given(st.integers(1, 3), st.lists(st.sampled_from(("come", "leave", "go")), max_size=40))
async def test_there_are_never_more_inside_than_places(free: int, steps: list[str]) -> None:
    places = Places(free)
    inside = 0
    most = 0
    visitors: list[asyncio.Task[None]] = []
    goes = asyncio.Semaphore(0)

    async def visit() -> None:
        nonlocal inside, most
        assert await places.take(LONG_S)
        inside += 1
        most = max(most, inside)
        try:
            await goes.acquire()
        finally:
            inside -= 1
            places.give_back()

    for step in steps:
        if step == "come":
            visitors.append(asyncio.create_task(visit()))
        elif step == "leave" and visitors:
            visitors.pop().cancel()
        else:
            goes.release()
        await asyncio.sleep(0)
    for _ in visitors:
        goes.release()
    async with asyncio.timeout(LONG_S):
        await asyncio.gather(*visitors, return_exceptions=True)
    assert most <= free
    taken = [await places.take(0.001) for _ in range(free + 1)]
    assert taken == [True] * free + [False]
