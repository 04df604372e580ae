"""When cancels and replacements left that their broker took, until an event of the order says it.

An answer that only says "received" makes no event of its own, and none is written for the time alone: it
goes into the journal with what the order's next event is. The event that proves the cancel or the
replacement keeps it in itself; before any other the send stands as an event. Decides nothing about sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from ordergate.core.accounts.events import AnyAccountEvent
from ordergate.core.contingent.events import AnyGroupEvent
from ordergate.core.ids import OrderId
from ordergate.core.orders import events as e

UNSAID_MAX: Final = 10_000

AnyOfAccount = e.AnyOrderEvent | AnyAccountEvent | AnyGroupEvent


class Unsaid:
    """One send of each order at most."""

    def __init__(self) -> None:
        self._sent: dict[OrderId, e.OrderSent] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def keep(self, sent: e.OrderSent) -> bool:
        """False where there is no room: it is to be said now."""
        if sent.order_id in self._sent or len(self._sent) >= UNSAID_MAX:
            return False
        self._sent[sent.order_id] = sent
        return True

    def said_with(self, events: Sequence[AnyOfAccount]) -> Sequence[AnyOfAccount]:
        """The same events, with what they are the first to have room for."""
        if not self._sent:
            return events
        said: list[AnyOfAccount] = []
        for event in events:
            sent = self._sent.pop(event.order_id, None) if isinstance(event, e.OrderEvent) else None
            said.extend((event,) if sent is None else _together(sent, event))
        return said

    def overdue(self, by: datetime) -> list[e.OrderSent]:
        """What was sent by then, and is not to wait any longer. It stays here until it is said."""
        return [sent for sent in self._sent.values() if sent.sent_at <= by]

    def forget(self) -> None:
        self._sent.clear()


def _together(sent: e.OrderSent, event: AnyOfAccount) -> tuple[AnyOfAccount, ...]:
    if event is sent:
        return (event,)
    match event:
        case e.OrderCanceled() | e.CancelRejected() if sent.asked is e.Asked.CANCEL:
            return (_timed(event, sent),)
        case e.OrderReplaced() | e.ReplaceRejected() if (
            sent.asked is e.Asked.REPLACE and sent.version == event.version
        ):
            return (_timed(event, sent),)
        case _:
            return (sent, event)


_Timed = TypeVar("_Timed", bound=e.OfRequest)


def _timed(event: _Timed, sent: e.OrderSent) -> _Timed:
    return msgspec.structs.replace(event, sent_at=sent.sent_at, committed_at=sent.committed_at)
