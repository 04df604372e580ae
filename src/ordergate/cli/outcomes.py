"""What became of what was asked, as far as an answer tells: a broker's no is no success."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import typer

from ordergate.cli.client import tell
from ordergate.cli.exits import ExitCode
from ordergate.core.orders.lifecycle import Status
from ordergate.core.refusals import Code

REFUSED: Final = frozenset({Status.REJECTED, Status.DENIED})
_UNANSWERED: Final = frozenset({Status.PENDING_REPLACE, Status.UNKNOWN})
_ASKED: Final = frozenset({"cancel-requested", Code.ORDER_PENDING})
"""Of an order in a cancel-all: its cancel is under way."""

Row = Mapping[str, Any]


def is_refused(order: Row) -> bool:
    return order["status"] in REFUSED


def is_uncanceled(order: Row) -> bool:
    """Whether the cancel is over, and the order was not canceled."""
    return order["status"] != Status.CANCELED and (
        order["final_at"] is not None or not order["cancel_requested"]
    )


def is_unchanged(order: Row, changes: Mapping[str, str]) -> bool:
    """Whether the replacement is over, and the order is not as it was asked to be."""
    return order["status"] not in _UNANSWERED and any(
        order[name] is None or Decimal(order[name]) != Decimal(value) for name, value in changes.items()
    )


def left_alone(results: Iterable[Row]) -> int:
    """How many orders of a cancel-all are not being canceled."""
    return sum(result["code"] not in _ASKED for result in results)


def refuse_if(refused: bool, sentence: str) -> None:
    """End with a sentence to people, once everything is shown. Raises Exit."""
    if refused:
        tell(sentence)
        raise typer.Exit(ExitCode.REFUSED)
