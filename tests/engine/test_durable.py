"""Who waits for a commit is told once, and nothing of a command outlives its answer."""

from __future__ import annotations

import asyncio
import gc
import weakref

from ordergate.engine.accounts.durable import Durable
from ordergate.ports.journal import Committed


class Answer:
    """What is to be told, and should be gone after that."""

    def __init__(self, told: list[bool]) -> None:
        self._told = told

    def tell(self, ended: bool) -> None:
        self._told.append(ended)


def committed() -> Committed:
    return asyncio.get_running_loop().create_future()


async def test_the_end_of_a_commit_is_told_once_and_its_command_is_let_go_at_once() -> None:
    durable, told, commit = Durable(wait_s=60), list[bool](), committed()
    answer = Answer(told)
    gone = weakref.ref(answer)
    durable.when(commit, answer.tell)
    del answer
    commit.set_result(())
    await asyncio.sleep(0)
    gc.collect()
    assert told == [True]
    assert gone() is None


async def test_those_that_were_told_are_not_kept() -> None:
    durable, told = Durable(wait_s=60), list[bool]()
    for _ in range(100):
        commit = committed()
        durable.when(commit, told.append)
        commit.set_result(())
        await asyncio.sleep(0)
    assert durable.held <= 2
    assert told == [True] * 100


async def test_a_commit_that_takes_too_long_is_told_so_and_not_again() -> None:
    durable, told, commit = Durable(wait_s=0.001), list[bool](), committed()
    late = asyncio.Event()

    def tell(ended: bool) -> None:
        told.append(ended)
        late.set()

    durable.when(commit, tell)
    async with asyncio.timeout(20):
        await late.wait()
    commit.set_result(())
    await asyncio.sleep(0)
    assert told == [False]
