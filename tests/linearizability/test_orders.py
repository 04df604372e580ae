"""The model of an order believes lives that happen, and finds out every way of going back on one's word."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.linearizability.checker import NEVER, Operation, is_linearizable
from tests.linearizability.orders import ABSENT, Asked, OrderModel, Shown, Terms, Told, Verb

FIVE = Terms(Decimal(5), Decimal(100))
NINE = Terms(Decimal(9), Decimal(100))
MORE = Terms(Decimal(9))


def seen(at: int, status: str = "working", **how: Any) -> Shown:
    return Shown(**{"status": status, "terms": FIVE, "version": 1, "updated_at": f"{at:03}", **how})


def op(began: float, ended: float, verb: Verb, told: Told | None, terms: Terms | None = None) -> Any:
    return Operation(began=began, ended=ended, asked=Asked(verb, terms), told=told)


def yes(shown: Shown) -> Told:
    return Told(True, shown)


def read(at: float, shown: Shown) -> Any:
    return op(at, at + 0.5, Verb.READ, yes(shown))


PLACED = op(0, 1, Verb.PLACE, yes(seen(0, "accepted")), FIVE)
REFUSED_AS_FINAL = Told(False, None, ended=True)
CANCELING = seen(5, "pending_cancel", cancel_requested=True)
CANCELED = seen(8, "canceled", cancel_requested=True)
CANCEL_TAKEN = op(5, 6, Verb.CANCEL, yes(CANCELING))
REPLACED = seen(7, terms=NINE, version=2)
REPLACE_TAKEN = op(5, 6, Verb.REPLACE, yes(seen(5, "pending_replace")), MORE)

GOOD = {
    "placed, filled in two steps": [
        PLACED, read(2, seen(2)), read(3, seen(3, cum_qty=Decimal(2))),
        read(4, seen(4, "filled", cum_qty=Decimal(5))),
    ],
    "not there before it is placed": [read(-2, ABSENT), PLACED],
    "seen while it is being placed": [
        op(0, 5, Verb.PLACE, yes(seen(0, "accepted")), FIVE), read(1, ABSENT), read(2, seen(2))
    ],
    "placed without an answer, and there": [op(0, NEVER, Verb.PLACE, None, FIVE), read(3, seen(3))],
    "canceled, and then too late for another cancel": [
        PLACED, CANCEL_TAKEN, read(8, CANCELED), op(9, 10, Verb.CANCEL, REFUSED_AS_FINAL)
    ],
    "a cancel without an answer that worked": [
        PLACED, op(2, NEVER, Verb.CANCEL, None), read(3, seen(3)), read(8, CANCELED)
    ],
    "a cancel that the broker refused": [PLACED, CANCEL_TAKEN, read(8, seen(8))],
    "replaced": [PLACED, REPLACE_TAKEN, read(6.1, seen(6, "pending_replace")), read(8, REPLACED)],
    "a replacement that the broker refused": [PLACED, REPLACE_TAKEN, read(8, seen(8))],
    "filled late, after its cancel": [
        PLACED, CANCEL_TAKEN, read(8, CANCELED),
        read(9, msgspec.structs.replace(CANCELED, updated_at="009", cum_qty=Decimal(5), status="filled")),
    ],
}  # fmt: skip
BAD = {
    "lost after its answer": [PLACED, read(2, ABSENT)],
    "filled less than before": [PLACED, read(2, seen(2, cum_qty=Decimal(2))), read(3, seen(3))],
    "an older picture after a newer": [PLACED, read(2, seen(5)), read(3, seen(4))],
    "working again after its end": [PLACED, CANCEL_TAKEN, read(8, CANCELED), read(9, seen(9))],
    "another end than the first": [
        PLACED, CANCEL_TAKEN, read(8, CANCELED), read(9, seen(9, "expired", cancel_requested=True))
    ],
    "a cancel taken after its end was told": [
        PLACED, op(2, 3, Verb.CANCEL, REFUSED_AS_FINAL), op(5, 6, Verb.CANCEL, yes(CANCELING))
    ],
    "working after a command was refused because it had ended": [
        PLACED, op(2, 3, Verb.CANCEL, REFUSED_AS_FINAL), read(4, seen(4))
    ],
    "a cancel that nobody asked for": [PLACED, read(5, CANCELING)],
    "terms that nobody asked for": [PLACED, read(5, REPLACED)],
    "the old version after the new one": [PLACED, REPLACE_TAKEN, read(8, REPLACED), read(9, seen(9))],
    "other terms under the same version": [
        PLACED, read(2, seen(2)), REPLACE_TAKEN, read(8, seen(8, terms=NINE))
    ],
    "a replacement seen before it was asked for": [PLACED, read(2, REPLACED), REPLACE_TAKEN],
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_life_that_happens_is_believed(name: str) -> None:
    assert is_linearizable(GOOD[name], OrderModel())


@pytest.mark.parametrize("name", BAD)
def test_a_life_that_goes_back_on_its_word_is_found_out(name: str) -> None:
    assert not is_linearizable(BAD[name], OrderModel())
