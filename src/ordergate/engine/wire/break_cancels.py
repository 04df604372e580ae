"""Asks a broker to cancel an order that is over with us, because a person said so of a break.

What is durable is asked, and again after a death that came before the answer. The answer is written down and
proves nothing: that the order is gone is for the reconciler to see, on the broker's own list.
"""

from __future__ import annotations

from typing import assert_never

from ordergate.core.accounts.events import BreakCancelAnswered, BreakCancelAsked
from ordergate.core.faults import Fault
from ordergate.engine.accounts.lanes import Seat
from ordergate.ports.broker import Acknowledged, Outcome, Rejected, Unknown, Unsent
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("breaks")


async def cancel_at_broker(seat: Seat, asked: BreakCancelAsked, clock: Clock) -> None:
    """Ask, and write down what was answered, unless the break is settled by then."""
    order = await seat.lane.order(asked.order_id)
    if order is None:
        return
    outcome = await seat.broker.cancel(order.known_as(order.version), asked.broker_order_id)
    answer = _words(outcome)
    log.warning("break.cancel_answered", id=asked.break_id, order=asked.order_id, answer=answer)
    seat.suspect(f"the broker was asked to cancel {asked.broker_order_id}")
    account = seat.lane.books.account
    item = None if account is None else account.breaks.get(asked.break_id)
    if item is None or not item.is_open:
        return
    told = BreakCancelAnswered(account=asked.account, at=clock.now(), break_id=item.id, answer=answer)
    try:
        seat.lane.record([told], correlation=f"dispatch.{item.id}")
    except Fault as fault:
        log.error("break.answer_unrecorded", id=item.id, why=str(fault))


def _words(outcome: Outcome) -> str:
    match outcome:
        case Acknowledged():
            return "took it"
        case Rejected(reason=reason):
            return f"refused it: {reason}"
        case Unsent(why=why):
            return f"was not asked: {why}"
        case Unknown(why=why):
            return f"did not answer: {why}"
        case _:
            assert_never(outcome)
