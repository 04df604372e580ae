"""What a record says of a group of orders itself, the parent of orders that have records too. Pure.

Its legs are told as they were asked for. A group that risk refused has no orders, so nothing else says what
it would have been.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ordergate.core.contingent import events as g
from ordergate.core.contingent.terms import GroupId

_encode: Final = msgspec.json.Encoder(decimal_format="string").encode

RECORDED: Final = (g.GroupAccepted, g.GroupDenied, g.GroupCancelRequested, g.GroupEnded)
"""What happens to a group as a whole; its steps in between are told by the orders that they make."""


class GroupRecords:
    """Turns an account's group events, given in order, into the columns that they know."""

    def __init__(self) -> None:
        self._accepted: dict[GroupId, g.GroupAccepted] = {}

    def add(self, event: g.GroupEvent) -> dict[str, Any] | None:
        """The columns of one event; None where it is a step in between."""
        if not isinstance(event, RECORDED):
            return None
        if isinstance(event, g.GroupAccepted):
            self._accepted[event.group_id] = event
        accepted = self._accepted.get(event.group_id)
        began = event if isinstance(event, g.GroupDenied) else accepted
        found: dict[str, Any] = {"order_id": event.group_id} | ({} if began is None else _of_terms(began))
        if accepted is not None:
            found["accepted_time"] = accepted.at
        return found | _of_event(event)


def _of_terms(began: g.GroupAccepted | g.GroupDenied) -> dict[str, Any]:
    terms = began.terms
    quantity = terms.quantity or None  # a flatten has none: it closes what is held
    return {
        "group_kind": str(terms.kind),
        "legs": _encode(terms.legs).decode() if terms.legs else None,
        "algorithm": terms.strategy,
        "algorithm_version": terms.strategy_version,
        "decision_maker": terms.user,
        "symbol": terms.symbol,
        "quantity": quantity,
        "original_quantity": quantity,
    }


def _of_event(event: g.GroupEvent) -> dict[str, Any]:
    match event:
        case g.GroupAccepted():
            return {"actor": event.actor, "limits_hash": event.config_hash, "decided_time": event.at}
        case g.GroupDenied():
            return {
                "actor": event.actor,
                "limits_hash": event.config_hash,
                "decided_time": event.at,
                "final_time": event.at,
                "reject_reason": "; ".join(
                    dict.fromkeys(f"{one.control} {one.reason}" for one in event.failed)
                ),
            }
        case g.GroupCancelRequested():
            return {"actor": event.actor}
        case g.GroupEnded():
            return {"end_reason": str(event.reason), "final_time": event.at}
        case _:
            return {}
