"""Is a history of concurrent operations linearizable? Decided by search, as Wing and Gong have it.

Every operation takes effect at one moment between its beginning and its end; one that was never
answered may take effect at any moment after its beginning, or never. The model says what may follow
a state, and may allow several states, because an order's life goes on without its clients. What
was tried is remembered (Lowe), so that the search ends: the same operations done and the same
state need no second look.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Final, Generic, Protocol, TypeVar

import msgspec

State = TypeVar("State", bound=Hashable)
Asked = TypeVar("Asked")
Told = TypeVar("Told")
Asked_contra = TypeVar("Asked_contra", contravariant=True)
Told_contra = TypeVar("Told_contra", contravariant=True)

NEVER: Final = math.inf
TRIED_MAX: Final = 2_000_000


class Operation(msgspec.Struct, Generic[Asked, Told], frozen=True, kw_only=True):
    """What was asked, when, and what was told when; `ended` of NEVER where nothing was told."""

    began: float
    ended: float
    asked: Asked
    told: Told | None = None

    @property
    def is_answered(self) -> bool:
        return self.ended != NEVER


class Model(Protocol[State, Asked_contra, Told_contra]):
    """What is allowed, one operation after the other."""

    @property
    def start(self) -> State: ...

    def after(self, state: State, asked: Asked_contra, told: Told_contra | None) -> Iterable[State]:
        """Every state that may follow; none where this could not have been told. `told` of None: unknown."""
        ...


class TooLong(Exception):
    """The search was given up: the history is too wide for it."""


def farthest(
    history: Sequence[Operation[Asked, Told]], model: Model[State, Asked, Told]
) -> tuple[bool, list[Operation[Asked, Told]]]:
    """Whether the history is linearizable, and the longest order of its operations that was found."""
    operations = sorted(history, key=lambda one: (one.began, one.ended))
    must = sum(1 << place for place, one in enumerate(operations) if one.is_answered)
    tried: set[tuple[int, State]] = set()
    best: list[int] = []
    ahead: list[tuple[int, State, list[int]]] = [(0, model.start, [])]
    while ahead:
        done, state, path = ahead.pop()
        if len(path) > len(best):
            best = path
        if done & must == must:
            return True, [operations[place] for place in path]
        for place in _next(operations, done):
            one = operations[place]
            for after in model.after(state, one.asked, one.told):
                here = (done | 1 << place, after)
                if here in tried:
                    continue
                if len(tried) >= TRIED_MAX:
                    raise TooLong(f"{len(operations)} operations")
                tried.add(here)
                ahead.append((*here, [*path, place]))
    return False, [operations[place] for place in best]


def is_linearizable(history: Sequence[Operation[Asked, Told]], model: Model[State, Asked, Told]) -> bool:
    return farthest(history, model)[0]


def _next(operations: Sequence[Operation[Asked, Told]], done: int) -> list[int]:
    """Those that may take effect next: begun before every open operation had ended."""
    open_ones = [place for place in range(len(operations)) if not done >> place & 1]
    first_end = min((operations[place].ended for place in open_ones), default=NEVER)
    return [place for place in open_ones if operations[place].began <= first_end]
