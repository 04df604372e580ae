"""What is written down of a command that was asked more than once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.linearizability.checker import is_linearizable
from tests.linearizability.orders import OrderModel, Shown, Terms, Told, Verb
from tests.linearizability.recording import Command

FIVE = Terms(Decimal(5), Decimal(100))
PENDING = Shown(status="pending_cancel", terms=FIVE, version=1, cancel_requested=True, updated_at="2")
FILLED = Shown(
    status="filled", terms=FIVE, version=1, cum_qty=Decimal(5), cancel_requested=True, updated_at="7"
)


def of(verb: Verb, shown: Shown, began: float, ended: float, *, again: float | None = None) -> list[Any]:
    """The operations of one key's command, which was told this."""
    terms = FIVE if verb is Verb.PLACE else None
    told = Told(True, shown)
    command = Command(
        verb=verb, terms=terms, order="O", began=began, asked_again=again, ended=ended, told=told
    )
    return list(command.operations())


PLACED = of(Verb.PLACE, Shown(status="accepted", terms=FIVE, version=1, updated_at="1"), 0, 1)
PENDING_SEEN = of(Verb.READ, PENDING, 4, 5)
FILLED_SEEN = of(Verb.READ, FILLED, 4, 5)


def test_a_repeated_command_happened_at_any_asking_and_shows_what_is_true_of_the_last() -> None:
    canceled = of(Verb.CANCEL, FILLED, 2, 8, again=6)

    assert is_linearizable([*PLACED, *PENDING_SEEN, *canceled], OrderModel())


def test_what_a_repeated_command_shows_is_no_older_than_its_last_asking() -> None:
    canceled = of(Verb.CANCEL, PENDING, 2, 8, again=6)

    assert not is_linearizable([*PLACED, *FILLED_SEEN, *canceled], OrderModel())


def test_a_command_asked_once_is_one_operation_with_its_picture() -> None:
    canceled = of(Verb.CANCEL, FILLED, 2, 8)

    assert len(canceled) == 1
    assert not is_linearizable([*PLACED, *PENDING_SEEN, *canceled], OrderModel())
