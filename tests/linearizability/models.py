"""Small models whose histories everybody knows: a register, and the queue of Herlihy and Wing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec


class Access(msgspec.Struct, frozen=True):
    """A read, a write of `value`, or a compare-and-set from `old` to `value`."""

    kind: Literal["read", "write", "cas"]
    value: int | None = None
    old: int | None = None


class Register:
    """Holds one value; `told` is the value read, or whether the compare-and-set found `old`."""

    start: int | None = None

    def after(self, state: int | None, asked: Access, told: int | bool | None) -> Iterator[int | None]:
        match asked.kind:
            case "read":
                if told is None or told == (0 if state is None else state):
                    yield state
            case "write":
                yield asked.value
            case "cas":
                if told is not False and state == asked.old:
                    yield asked.value
                elif told is not True and state != asked.old:
                    yield state


class Queueing(msgspec.Struct, frozen=True):
    """Put `value` in, or, without one, take the oldest out."""

    value: str | None = None


class Queue:
    """First in, first out; taking waits until there is something."""

    start: tuple[str, ...] = ()

    def after(self, state: tuple[str, ...], asked: Queueing, told: str | None) -> Iterator[tuple[str, ...]]:
        if asked.value is not None:
            yield (*state, asked.value)
        elif state and told in (None, state[0]):
            yield state[1:]
