"""The break of an order that was about to leave as another than was approved. It was not sent."""

from __future__ import annotations

from ordergate.core.accounts.alarms import AlarmNature
from ordergate.core.accounts.breaks import SEVERITY, Nature, break_id
from ordergate.core.accounts.events import BreakOpened
from ordergate.core.faults import Fault
from ordergate.core.ids import OrderId
from ordergate.engine.accounts.alarms import Alarms
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.wire.egress import Withheld
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("dispatcher")


def break_parity(seat: Seat, order_id: OrderId, withheld: Withheld, alarms: Alarms, clock: Clock) -> None:
    """Open it, unless one is open of the order already, and tell people."""
    now, account = clock.now(), seat.lane.account
    facts = withheld.sides
    log.critical("egress.withheld", order=order_id, account=account, **facts)
    books = seat.lane.books.account
    if books is None or any(
        one.key == (Nature.EGRESS, order_id) and one.is_open for one in books.breaks.values()
    ):
        return
    opened = BreakOpened(
        account=account,
        at=now,
        break_id=break_id(account, Nature.EGRESS, order_id, now),
        nature=Nature.EGRESS,
        severity=SEVERITY[Nature.EGRESS],
        subject=order_id,
        ours=withheld.approved,
        theirs=withheld.leaving,
        detail="what was about to leave is not what was approved; it was not sent",
    )
    try:
        seat.lane.record([opened], correlation="egress")
    except Fault as fault:
        log.error("egress.unrecorded", order=order_id, why=str(fault))
    alarms.sound(seat, AlarmNature.EGRESS_WITHHELD, order_id, opened.detail, facts)
