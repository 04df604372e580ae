"""Cancels what must not work any more, and asks again until nothing does or the rest is known by name.

Works for the kill switch and for dead man's switches. A cancel that was refused is asked for again, ever
more slowly; while something is left the broker is asked to show what it has. Decides nothing about what
may leave. Everything is in the journal: after a crash the same sweep begins again and finds what is left.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from ordergate.core.contingent.group import Group
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders.events import Asked, OrderSent
from ordergate.core.orders.order import Order
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.accounts.sending import Sending
from ordergate.engine.answering import cancels
from ordergate.engine.answering.answers import LeftOrder
from ordergate.ports.broker import Acknowledged, no_veto
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import logger

log = logger("sweeps")

ASK_AGAIN_S_MIN: Final = 1.0
ASK_AGAIN_S_MAX: Final = 30.0
PATIENCE_S: Final = 2.0
REQUERY_S: Final = 5.0
MASS_AGAIN_S: Final = 5.0
AFTER_ALL_S: Final = 0.25
"""How long the broker's news of it may take before what is left is asked for one by one."""
FAILING_S: Final = 10.0
NAMED_MAX: Final = 100


class Wanted(msgspec.Struct, frozen=True):
    """What is to be canceled, of each account. `actor` asks for it.

    `whole` says whether that is everything the account has: one cancel for it all is asked first then.
    """

    actor: str
    orders: Callable[[Seat, Order], bool]
    groups: Callable[[Seat, Group], bool]
    whole: Callable[[Seat], bool] = lambda _: False


class Sweep(msgspec.Struct, kw_only=True):
    """One thing that is to stop working. Times are monotonic seconds."""

    wanted: Wanted
    began: float
    on_done: Callable[[int, float], None]
    asked: int = 0
    left: int = 0
    done: bool = False
    unsettled: tuple[str, ...] = ()
    asked_at: dict[OrderId, tuple[int, float]] = {}
    requeried_at: float = 0.0
    mass_at: dict[AccountId, float] = {}


class Sweeps:
    """Nothing here waits: `look` is called again and again."""

    def __init__(self, lanes: Lanes, clock: Clock) -> None:
        self._lanes = lanes
        self._clock = clock
        self._sweeps: dict[str, Sweep] = {}
        self._asking: dict[AccountId, asyncio.Task[None]] = {}

    def begin(self, name: str, wanted: Wanted, on_done: Callable[[int, float], None]) -> None:
        """Sweep from now on, until it is ended. `on_done` is told how many cancels it took, and how long."""
        if name not in self._sweeps:
            self._sweeps[name] = Sweep(wanted=wanted, began=self._clock.monotonic(), on_done=on_done)

    def end(self, name: str) -> None:
        self._sweeps.pop(name, None)

    def names(self) -> tuple[str, ...]:
        return tuple(self._sweeps)

    def left(self, name: str) -> int:
        """How many orders still work that should not."""
        return self._sweeps[name].left if name in self._sweeps else 0

    @property
    def left_in_all(self) -> int:
        return sum(one.left for one in self._sweeps.values())

    def failing(self, name: str) -> tuple[LeftOrder, ...]:
        """What still works although it has been tried for a while, by name."""
        sweep = self._sweeps.get(name)
        if sweep is None or self._clock.monotonic() - sweep.began < FAILING_S:
            return ()
        found: list[LeftOrder] = []
        for seat in self._lanes:
            for order in _open(seat, sweep):
                if len(found) == NAMED_MAX:
                    return tuple(found)
                times, _ = sweep.asked_at.get(order.id, (0, 0.0))
                found.append(
                    LeftOrder(
                        order_id=order.id,
                        account_id=seat.lane.account,
                        status=order.status,
                        cancels_asked=times,
                        unknown=order.unknown_since is not None,
                    )
                )
        return tuple(found)

    def stop(self) -> None:
        """Ask for nothing more."""
        self._sweeps.clear()
        for task in self._asking.values():
            task.cancel()

    def look(self) -> None:
        """Ask for every cancel that is due now, and see what is left."""
        for name, sweep in tuple(self._sweeps.items()):
            self._look(name, sweep)

    def _look(self, name: str, sweep: Sweep) -> None:
        now = self._clock.monotonic()
        left, unsettled = 0, []
        requery = now - sweep.began > PATIENCE_S and now - sweep.requeried_at >= REQUERY_S
        for seat in self._lanes:
            if seat.trouble is not None:
                unsettled.append(seat.lane.account)
                continue
            if self._asks_for_all(seat, sweep, now):
                left += seat.lane.books.open_count
                continue
            self._ask(seat, sweep, now)
            still = sum(1 for _ in _open(seat, sweep))
            left += still
            if still and requery:
                sweep.requeried_at = now
                seat.suspect("what must not work any more may still do")
        sweep.left, sweep.unsettled = left, tuple(unsettled)
        done = not left and not unsettled
        if done and not sweep.done:
            took = now - sweep.began
            log.warning("sweep.done", what=name, asked=sweep.asked, took_s=round(took, 3))
            sweep.on_done(sweep.asked, took)
        sweep.done = done

    def _asks_for_all(self, seat: Seat, sweep: Sweep, now: float) -> bool:
        """True while one cancel for everything is under way; what it leaves is asked for one by one."""
        account = seat.lane.account
        if account in self._asking:
            return True
        if not seat.broker.capabilities.cancels_all or not seat.lane.books.open_count:
            return False
        if not sweep.wanted.whole(seat) or now - sweep.mass_at.get(account, -math.inf) < MASS_AGAIN_S:
            return False
        sweep.mass_at[account] = now
        task = asyncio.get_running_loop().create_task(self._ask_for_all(seat))
        self._asking[account] = task
        task.add_done_callback(lambda done: self._asked_for_all(account, done))
        return True

    async def _ask_for_all(self, seat: Seat) -> None:
        there = [order.id for order in seat.lane.books.open_orders() if order.broker_order_id is not None]
        sending = Sending(self._clock, None, Asked.CANCEL)
        outcome = await seat.broker.cancel_all(sending.timed(no_veto))
        log.warning("sweep.all_at_once", account=seat.lane.account, outcome=type(outcome).__name__)
        left = (sending.sent(order_id, outcome) for order_id in there)
        self._note(seat, [sent for sent in left if sent is not None])
        if isinstance(outcome, Acknowledged):
            await self._clock.sleep(AFTER_ALL_S)

    def _note(self, seat: Seat, left: list[OrderSent]) -> None:
        """When the one cancel left, of each order that it was for."""
        if not left or not seat.lane.ready.is_set():
            return
        try:
            seat.lane.note_sent(*left)
        except Fault as fault:
            log.error("sent.unrecorded", account=seat.lane.account, why=str(fault))

    def _asked_for_all(self, account: AccountId, done: asyncio.Task[None]) -> None:
        del self._asking[account]
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            log.error("sweep.all_at_once_failed", account=account, error=repr(error))
        self.look()

    def _ask(self, seat: Seat, sweep: Sweep, now: float) -> None:
        wanted = sweep.wanted

        def due(order: Order) -> bool:
            if not wanted.orders(seat, order):
                return False
            times, last = sweep.asked_at.get(order.id, (0, 0.0))
            pause = min(ASK_AGAIN_S_MIN * 2 ** max(times - 1, 0), ASK_AGAIN_S_MAX)
            return not times or now - last >= pause

        at = self._clock.now()
        events, results = cancels.decide_each(
            seat,
            actor=wanted.actor,
            at=at,
            orders=due,
            groups=lambda group: wanted.groups(seat, group),
        )
        if not events:
            return
        try:
            cancels.record_all(seat, events, at=at, correlation=wanted.actor)
        except Fault as fault:
            # The lane recovers, and is looked at again: the sweep is not over.
            log.error("sweep.unrecorded", account=seat.lane.account, why=str(fault))
            return
        for result in results:
            if result.code == cancels.CANCEL_REQUESTED:
                times, _ = sweep.asked_at.get(result.order_id, (0, 0.0))
                sweep.asked_at[result.order_id] = (times + 1, now)
                sweep.asked += 1


def _open(seat: Seat, sweep: Sweep) -> Iterator[Order]:
    return (order for order in seat.lane.books.open_orders() if sweep.wanted.orders(seat, order))
