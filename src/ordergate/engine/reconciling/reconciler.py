"""Compares our books with the broker's: stream against questions against positions and cash.

Runs at start, whenever the broker's stream comes up, on a timer, and on suspicion. Takes only proof
for an answer: what differs and stays so becomes a break, and is never guessed away. An account
that turns out to be another one than ours is not read at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Final

from ordergate.core.accounts.breaks import Difference, Nature
from ordergate.core.accounts.healing import Evidence
from ordergate.core.faults import Fault
from ordergate.core.ids import OrderId
from ordergate.core.orders.order import Order
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.accounts.quarantine import Quarantine
from ordergate.engine.accounts.rereading import Rereads
from ordergate.engine.accounts.runs import RunResult, Tally
from ordergate.engine.reconciling.account_sync import AccountSync, Compared
from ordergate.engine.reconciling.breaks import BreakBook
from ordergate.engine.reconciling.order_matching import OrderMatching, Picture, in_turn
from ordergate.engine.reconciling.rereader import Rereader
from ordergate.engine.reconciling.rhythm import Rhythm
from ordergate.engine.wire.dispatcher import Dispatcher
from ordergate.engine.wire.ingest import Ingest
from ordergate.ports.broker import BrokerUnavailable
from ordergate.ports.clock import Clock
from ordergate.telemetry.log import bind, logger

log = logger("reconciler")

_OF_ORDERS: Final = frozenset({Nature.ORDER_STATUS, Nature.EXECUTION_MISSING})


class Reconciler:
    def __init__(
        self,
        *,
        ingest: Ingest,
        sync: AccountSync,
        dispatcher: Dispatcher,
        quarantine: Quarantine,
        clock: Clock,
        rhythm: Rhythm,
    ) -> None:
        self._sync = sync
        self._dispatcher = dispatcher
        self._clock = clock
        self._rhythm = rhythm
        self._matching = OrderMatching(
            ingest=ingest, dispatcher=dispatcher, quarantine=quarantine, clock=clock, rhythm=rhythm
        )
        self._breaks = BreakBook(clock)
        self._rereader = Rereader(ingest=ingest, clock=clock, timeout_s=rhythm.reread_timeout_s)

    async def follow(self, seat: Seat) -> None:
        """Reconcile the account for ever. Raises nothing that a broker's absence explains."""
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._rereader.follow(seat))
            await self._run_for_ever(seat)

    async def _run_for_ever(self, seat: Seat) -> None:
        bind("reconciliation")  # for as long as this task lives
        seat.suspect("start")
        whole_at = self._clock.monotonic()
        while True:
            if seat.wake.is_set() or self._clock.monotonic() >= whole_at:
                result = await self._whole(seat, seat.asked_why() or ("timer",))
                whole_at = self._clock.monotonic() + self._wait_after(seat, result)
            else:
                await self._look_after_suspects(seat)
            seat.lane.say_sent(self._clock.now() - timedelta(seconds=self._rhythm.suspicion_s))
            await self._wait_for_wake(seat, self._rhythm.suspicion_s)

    async def run(self, seat: Seat, tally: Tally) -> RunResult:
        """One whole reconciliation. Raises BrokerUnavailable or Fault; safe to repeat at any time."""
        await seat.lane.ready.wait()
        listening = seat.listening
        self._matching.forget_settled(seat)
        if seat.lane.books.account is None:
            await self._sync.open(seat)
        if (wrong := await self._wrong_account(seat)) is not None:
            tally.sure.append(wrong)
            self._breaks.note(seat, [wrong], Evidence(differing=frozenset({wrong.key})), tally)
            return RunResult.WRONG_ACCOUNT
        seat.sightings.begin()
        await self._matching.doubt_unanswered(seat)
        await self._matching.executions(seat, after=_cursor(seat), tally=tally)
        picture = await self._matching.orders(seat, tally)
        if picture.lacking:
            # A late execution can sort before the cursor: read the list once from where the
            # account begins. What is older is in the figures it was opened with.
            await self._read_all(seat, tally)
            picture = await self._matching.orders(seat, tally)
        await self._books(seat, picture, tally, listening)
        seat.sightings.end()
        seat.synced = True
        if listening is not None and listening == seat.listening:
            seat.became_fresh()
        return RunResult.COMPLETED

    async def _whole(self, seat: Seat, whys: Sequence[str]) -> RunResult:
        """A run, however it ends, and its record."""
        seat.wake.clear()
        seat.runs.begins()
        tally, began, started_at = Tally(), self._clock.monotonic(), self._clock.now()
        trouble: str | None = None
        try:
            async with asyncio.timeout(self._rhythm.run_timeout_s):
                result = await self.run(seat, tally)
        except (BrokerUnavailable, TimeoutError) as absent:
            result, trouble = RunResult.PUT_OFF, str(absent) or "it took too long"
            log.warning("reconciliation.put_off", account=seat.lane.account, why=trouble)
        except Fault as fault:
            result, trouble = RunResult.FAILED, str(fault)
            log.error("reconciliation.failed", account=seat.lane.account, why=trouble)
        if result is not RunResult.COMPLETED:
            seat.synced = False
        took_s = self._clock.monotonic() - began
        seat.runs.add(
            seat.lane.account,
            whys,
            tally,
            started_at=started_at,
            took_s=took_s,
            result=result,
            trouble=trouble,
        )
        return result

    def _wait_after(self, seat: Seat, result: RunResult) -> float:
        if result in (RunResult.PUT_OFF, RunResult.FAILED):
            return self._rhythm.suspicion_s
        account = seat.lane.books.account
        differs = account is not None and any(item.is_open for item in account.breaks.values())
        if differs or len(seat.sightings) or result is RunResult.WRONG_ACCOUNT:
            return min(self._rhythm.look_again_s, self._rhythm.interval_s)
        return self._rhythm.interval_s

    async def _look_after_suspects(self, seat: Seat) -> None:
        try:
            async with asyncio.timeout(self._rhythm.run_timeout_s):
                await self._settle_suspects(seat)
            self._notice_deafness(seat)
        except (BrokerUnavailable, TimeoutError) as absent:
            log.warning("reconciliation.put_off", account=seat.lane.account, why=str(absent))
        except Fault as fault:
            log.error("reconciliation.failed", account=seat.lane.account, why=str(fault))

    async def _settle_suspects(self, seat: Seat) -> None:
        """Ask for the orders whose answers are overdue, or that the stream has not shown."""
        await seat.lane.ready.wait()
        await self._matching.doubt_unanswered(seat)
        waiting = await self._matching.durable(seat, seat.lane.books.waiting_orders())
        due = (
            order for order in waiting if self._matching.is_suspect(order) and self._matching.is_due(order)
        )
        suspects = {order.id: order for order in due}
        unshown = seat.watch.overdue(self._clock.monotonic(), self._rhythm.unshown_s)
        if len(unshown) > self._rhythm.finds_per_run_max:
            seat.suspect("orders have not shown on the stream")
        else:
            suspects.update({order.id: order for order in _open(seat, unshown)})
        for order in in_turn(seat, list(suspects.values()))[: self._rhythm.finds_per_run_max]:
            seat.asked_last = order.id
            if not self._dispatcher.is_speaking_of(order.id):
                difference = await self._matching.find(seat, order)
                self._matching.ask_again(seat, order)
                if difference is not None and difference.nature is Nature.EXECUTION_MISSING:
                    seat.suspect("executions are missing")

    def _notice_deafness(self, seat: Seat) -> None:
        """A stream that keeps back what questions brought to light is connected anew."""
        now = self._clock.monotonic()
        since = seat.watch.deaf_since(now, self._rhythm.untold_s)
        if since is None:
            return
        untold = ", ".join(seat.watch.untold[:10])
        silent = Difference(
            nature=Nature.STREAM,
            subject=seat.lane.account,
            ours="executions that were read",
            theirs="silent",
            detail=untold,
        )
        log.error("broker_stream.deaf", account=seat.lane.account, untold=untold)
        seat.stream_is_deaf(self._clock.now() - timedelta(seconds=now - since))
        self._breaks.note(seat, [silent], Evidence(), Tally())

    async def _wrong_account(self, seat: Seat) -> Difference | None:
        """The session's account is not ours: asked twice, for it stops everything."""
        if await self._sync.wrong_account(seat) is None:
            return None
        await self._clock.sleep(self._rhythm.recheck_s)
        wrong = await self._sync.wrong_account(seat)
        if wrong is not None:
            seat.became_stale(self._clock.now(), "the session is logged in to another account")
        return wrong

    async def _books(self, seat: Seat, picture: Picture, tally: Tally, listening: int | None) -> None:
        """A difference is a break only when it is seen twice, with the news between read."""
        compared = await self._sync.compare(seat)
        sure: list[Difference] = []
        if compared.differences:
            await self._clock.sleep(self._rhythm.recheck_s)
            sure, compared = await self._seen_again(seat, compared, _cursor(seat), tally)
            if self._is_due(seat.rereads, {(item.key, item.gap) for item in sure}):
                # What was taken back, corrected or listed late is not behind the cursor: read it all.
                await self._read_all(seat, tally)
                sure, compared = await self._still_there(seat, compared)
        else:
            seat.rereads.forget()
            self._look_at_averages(seat, compared)
        tally.positions_compared = Nature.POSITION in compared.natures
        tally.cash_compared = Nature.CASH in compared.natures
        tally.sure += [*sure, *picture.sure]
        tally.unsure += [item for item in compared.differences if item not in sure] + picture.unsure
        seen = Evidence(
            differing=frozenset(item.key for item in [*compared.differences, *picture.differences]),
            all_compared=compared.natures,
            moving=compared.moving,
            orders=await self._orders_in_question(seat),
            shown=frozenset(picture.shown),
            complete=frozenset(picture.complete),
            listed_all=picture.listed_all,
            stream_heard=listening is not None and listening == seat.listening,
        )
        self._breaks.note(seat, tally.sure, seen, tally)

    def _look_at_averages(self, seat: Seat, compared: Compared) -> None:
        """A correction of an opening price moves neither quantity nor, for a future, cash: this alone.

        It makes nothing stale and is no break: no run waits for the list.
        """
        if not compared.mispriced:
            seat.rereads_for_averages.forget()
            return
        if self._is_due(seat.rereads_for_averages, compared.mispriced):
            log.info(
                "reconciler.averages_differ", account=seat.lane.account, symbols=sorted(compared.mispriced)
            )
            seat.read_anew.set()

    def _is_due(self, rereads: Rereads, gaps: AbstractSet[Hashable]) -> bool:
        return rereads.is_due(gaps, now=self._clock.monotonic(), wait_s=self._rhythm.look_again_s)

    async def _read_all(self, seat: Seat, tally: Tally) -> None:
        """The whole list of executions; what takes too long for a run is read beside it."""
        is_over = True
        try:
            async with asyncio.timeout(self._rhythm.reread_in_run_s):
                await self._matching.executions(seat, after=_opening_cursor(seat), tally=tally)
        except TimeoutError:
            log.info("reconciler.long_list", account=seat.lane.account, read=tally.executions_read)
            seat.read_anew.set()
            is_over = False
        finally:
            if is_over:
                seat.rereads.ended(self._clock.monotonic())

    async def _seen_again(
        self, seat: Seat, before: Compared, after: str | None, tally: Tally
    ) -> tuple[list[Difference], Compared]:
        """What still differs by as much once the executions behind a cursor were read."""
        await self._matching.executions(seat, after=after, tally=tally)
        return await self._still_there(seat, before)

    async def _still_there(self, seat: Seat, before: Compared) -> tuple[list[Difference], Compared]:
        """What differs now, by as much as before."""
        compared = await self._sync.compare(seat)
        gaps = {(item.key, item.gap) for item in before.differences}
        return [item for item in compared.differences if (item.key, item.gap) in gaps], compared

    async def _orders_in_question(self, seat: Seat) -> dict[OrderId, Order]:
        account = seat.lane.books.account
        found: dict[OrderId, Order] = {}
        for item in () if account is None else tuple(account.breaks.values()):
            if item.nature in _OF_ORDERS:
                order = await seat.lane.order(OrderId(item.subject))
                if order is not None:
                    found[order.id] = order
        return found

    async def _wait_for_wake(self, seat: Seat, seconds: float) -> None:
        """So long at most; a wake-up ends the wait."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(seat.wake.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()


def _open(seat: Seat, order_ids: Sequence[OrderId]) -> list[Order]:
    found = (seat.lane.books.order(order_id) for order_id in order_ids)
    return [order for order in found if order is not None and not order.is_final]


def _cursor(seat: Seat) -> str | None:
    account = seat.lane.books.account
    return None if account is None else account.cursor


def _opening_cursor(seat: Seat) -> str | None:
    account = seat.lane.books.account
    return None if account is None else account.opening_cursor
