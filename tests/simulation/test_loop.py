"""Virtual time: it moves only when nothing is left to do, and a process ends between two steps."""

import asyncio

import pytest

from ordergate.simulation.loop import Spinning, VirtualLoop


async def passing(loop: VirtualLoop, seconds: float) -> None:
    """Wait for virtual time to pass."""
    over: asyncio.Future[None] = loop.create_future()
    loop.call_later(seconds, over.set_result, None)
    await over


def test_time_moves_only_as_far_as_it_must() -> None:
    loop = VirtualLoop()
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await passing(loop, seconds)
        woken.append(loop.time())

    tasks = [loop.create_task(sleeper(seconds)) for seconds in (3.0, 1.0, 2.0)]
    loop.run_until(2.5)
    assert (woken, loop.time()) == ([1.0, 2.0], 2.5)
    loop.run_until(10.0)
    assert all(task.done() for task in tasks)
    loop.close()


def test_what_was_asked_for_first_runs_first() -> None:
    loop = VirtualLoop()
    ran: list[str] = []
    loop.call_later(1.0, ran.append, "second")
    loop.call_later(1.0, ran.append, "third")
    loop.call_soon(ran.append, "first")
    loop.run_until(1.0)
    assert ran == ["first", "second", "third"]
    loop.close()


def test_what_goes_on_for_ever_at_one_moment_is_found_out() -> None:
    loop = VirtualLoop()

    def again() -> None:
        loop.call_soon(again)

    loop.call_later(1.0, again)
    with pytest.raises(Spinning, match=r"steps at 1\.000 s"):
        loop.run_until(2.0)
    loop.close()


def test_nothing_of_an_ended_process_runs_again() -> None:
    loop = VirtualLoop()
    said: list[str] = []

    async def speaker(name: str) -> None:
        try:
            while True:
                await passing(loop, 1.0)
                said.append(name)
        finally:
            said.append(f"{name} was told")

    loop.create_task(speaker("one"), context=loop.process("one"))
    loop.create_task(speaker("other"), context=loop.process("other"))
    loop.run_until(1.5)
    loop.end("one")
    loop.run_until(3.5)
    assert said == ["one", "other", "other", "other"]
    loop.bury()


def test_a_frozen_process_goes_on_where_it_stopped() -> None:
    loop = VirtualLoop()
    woken: list[float] = []

    async def sleeper() -> None:
        await passing(loop, 1.0)
        woken.append(loop.time())

    task = loop.create_task(sleeper(), context=loop.process("machine"))
    loop.run_until(0.5)
    loop.freeze("machine")
    loop.run_until(5.0)
    assert woken == []
    loop.thaw("machine")
    loop.run_until(6.0)
    assert task.done()
    assert woken == [5.0]
    loop.close()


def test_timeouts_are_of_virtual_time() -> None:
    loop = VirtualLoop()

    async def impatient() -> str:
        try:
            async with asyncio.timeout(30.0):
                await asyncio.Event().wait()
        except TimeoutError:
            return f"gave up at {loop.time()}"
        return "went on"

    task = loop.create_task(impatient())
    loop.run_until(60.0)
    assert task.result() == "gave up at 30.0"
    loop.close()
