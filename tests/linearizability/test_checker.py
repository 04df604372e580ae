"""The checker says yes to histories that are known to be good, and no to those known to be bad.

The queue's histories are the examples that introduced linearizability (Herlihy and Wing, 1990); the
rest is compared, history by history, with a judge that tries every order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dose import dose
from tests.linearizability.checker import NEVER, Operation, farthest, is_linearizable
from tests.linearizability.models import Access, Queue, Queueing, Register

Said = tuple[float, float, Any, Any]


def history(*said: Said) -> list[Operation[Any, Any]]:
    return [Operation(began=began, ended=ended, asked=asked, told=told) for began, ended, asked, told in said]


def put(value: str) -> Queueing:
    return Queueing(value)


TAKE = Queueing()
READ = Access("read")


def write(value: int) -> Access:
    return Access("write", value)


def cas(old: int, new: int) -> Access:
    return Access("cas", new, old)


GOOD_QUEUES = {
    "two at once, taken in either order": history(
        (0, 3, put("x"), None), (1, 4, put("y"), None), (5, 6, TAKE, "y"), (7, 8, TAKE, "x")
    ),
    "taken while it is put in": history((0, 9, put("x"), None), (1, 2, TAKE, "x")),
    "one after the other": history((0, 1, put("x"), None), (2, 3, put("y"), None), (4, 5, TAKE, "x")),
    "put in without an answer, and taken": history((0, NEVER, put("x"), None), (5, 6, TAKE, "x")),
}
BAD_QUEUES = {
    "the younger comes out first": history(
        (0, 1, put("x"), None), (2, 3, put("y"), None), (4, 5, TAKE, "y"), (6, 7, TAKE, "x")
    ),
    "one comes out twice": history((0, 5, put("x"), None), (1, 6, TAKE, "x"), (2, 7, TAKE, "x")),
    "taken before it is put in": history((0, 1, TAKE, "x"), (2, 3, put("x"), None)),
}
GOOD_REGISTERS = {
    "a read beside a write sees either": history(
        (0, 9, write(1), None), (1, 2, READ, 0), (3, 4, READ, 1), (5, 6, READ, 1)
    ),
    "an unanswered write may come late": history(
        (0, 1, write(1), None), (2, NEVER, write(2), None), (3, 4, READ, 1), (5, 6, READ, 2)
    ),
    "an unanswered write may never come": history(
        (0, 1, write(1), None), (2, NEVER, write(2), None), (3, 4, READ, 1), (5, 6, READ, 1)
    ),
    "one of two compare-and-sets wins": history(
        (0, 1, write(1), None), (2, 5, cas(1, 2), True), (3, 6, cas(1, 3), False), (7, 8, READ, 2)
    ),
}
BAD_REGISTERS = {
    "a stale read": history((0, 1, write(1), None), (2, 3, write(2), None), (4, 5, READ, 1)),
    "new, and old again": history((0, 9, write(1), None), (1, 2, READ, 1), (3, 4, READ, 0)),
    "both compare-and-sets win": history(
        (0, 1, write(1), None), (2, 5, cas(1, 2), True), (3, 6, cas(1, 3), True)
    ),
    "a lost update": history((0, 1, write(1), None), (2, 3, cas(1, 2), True), (4, 5, cas(1, 3), True)),
    "an unanswered write comes, and goes again": history(
        (0, 1, write(1), None), (2, NEVER, write(2), None), (3, 4, READ, 2), (5, 6, READ, 1)
    ),
}


@pytest.mark.parametrize("name", GOOD_QUEUES)
def test_a_good_queue_is_believed(name: str) -> None:
    assert is_linearizable(GOOD_QUEUES[name], Queue())


@pytest.mark.parametrize("name", BAD_QUEUES)
def test_a_bad_queue_is_found_out(name: str) -> None:
    possible, path = farthest(BAD_QUEUES[name], Queue())
    assert not possible
    assert len(path) < len(BAD_QUEUES[name])


@pytest.mark.parametrize("name", GOOD_REGISTERS)
def test_a_good_register_is_believed(name: str) -> None:
    assert is_linearizable(GOOD_REGISTERS[name], Register())


@pytest.mark.parametrize("name", BAD_REGISTERS)
def test_a_bad_register_is_found_out(name: str) -> None:
    assert not is_linearizable(BAD_REGISTERS[name], Register())


@given(st.integers(0, 2**32))
def test_any_small_history_is_judged_as_by_trying_every_order(seed: int) -> None:
    made = any_history(Random(seed))
    assert is_linearizable(made, Register()) == by_every_order(made)


def test_both_kinds_of_histories_are_made() -> None:
    judged = {by_every_order(any_history(Random(seed))) for seed in range(dose(50, 500))}
    assert judged == {True, False}


def test_a_long_history_of_one_register_is_judged_at_once() -> None:
    """What is remembered keeps the search from trying the same thing again."""
    chance = Random(1)
    said: list[Said] = []
    value = 0
    for number in range(2_000):
        if chance.random() < 0.5:
            value = number + 1
            said.append((number, number + chance.uniform(0, 0.9), write(value), None))
        else:
            said.append((number, number + chance.uniform(0, 0.9), READ, value))
    assert is_linearizable(history(*said), Register())


def any_history(chance: Random) -> list[Operation[Any, Any]]:
    """Up to five operations on a register, some at once, some unanswered, told something or other."""
    said: list[Said] = []
    for _ in range(chance.randint(1, 5)):
        began = chance.uniform(0, 6)
        ended = began + chance.uniform(0.1, 4) if chance.random() < 0.85 else NEVER
        asked = chance.choice((READ, READ, write(chance.randint(1, 2)), cas(chance.randint(1, 2), 3)))
        told: Any = None
        if ended != NEVER and asked.kind != "write":
            told = chance.randint(0, 3) if asked.kind == "read" else chance.random() < 0.5
        said.append((began, ended, asked, told))
    return history(*said)


def by_every_order(operations: Sequence[Operation[Any, Any]]) -> bool:
    """Every order of the answered ones with every choice of the unanswered, tried without any cleverness."""
    answered = [one for one in operations if one.is_answered]
    unanswered = [one for one in operations if not one.is_answered]
    for count in range(len(unanswered) + 1):
        for some in itertools.combinations(unanswered, count):
            for order in itertools.permutations([*answered, *some]):
                if _keeps_time(order) and _fits(order):
                    return True
    return False


def _keeps_time(order: Sequence[Operation[Any, Any]]) -> bool:
    return all(
        later.ended >= earlier.began for place, earlier in enumerate(order) for later in order[place + 1 :]
    )


def _fits(order: Sequence[Operation[Any, Any]]) -> bool:
    model = Register()
    states: set[int | None] = {None}
    for one in order:
        states = {after for state in states for after in model.after(state, one.asked, one.told)}
    return bool(states)
