"""The line between one gateway and one broker, and everything that can happen on it.

A command that has left is the world's: it arrives, or not, whoever lives to hear the answer. What is
an error of a real adapter's wire (a body that cannot be read, a status without words) is here what
the adapter makes of it: unknown.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

from ordergate.brokers.paper.fates import Call
from ordergate.core.ids import Env
from ordergate.core.orders.reports import CanceledReport, ReplacedReport
from ordergate.ports.broker import (
    Acknowledged,
    BrokerNews,
    BrokerUnavailable,
    DedupClass,
    News,
    Outcome,
    Rejected,
    Unknown,
    Unsent,
    Veto,
    no_veto,
)
from ordergate.simulation.brokerage import Brokerage, order_of
from ordergate.simulation.database import Process
from ordergate.simulation.past import Past
from ordergate.simulation.renaming import renamed, renamed_news
from ordergate.simulation.witness import Sent

T = TypeVar("T")

REQUEST_S_MAX: Final = 5.0
_CONNECT_S_MAX: Final = 2.0
LATE_S_MAX: Final = 20.0
_CURT: Final = 0.5
_HALF: Final = 0.5
_FOR_REPLACES: Final = 0.4  # strikes of a smaller dose wait for a replace
_FALSE_ABOVE: Final = 0.8  # strikes of a larger dose deny an order that was taken


class BrokerLine:
    """Implements brokers.paper.carriers.Carrier for one gateway."""

    def __init__(self, brokerage: Brokerage, process: Process, env: Env) -> None:
        self._brokerage = brokerage
        self._process = process
        self._env = env
        self._past = Past(brokerage)
        self._mass: Counter[str] = Counter()
        self._overtaken = 0.0

    # -- commands

    async def carry(
        self, call: Call, subject: str, act: Callable[[], Outcome], veto: Veto = no_veto
    ) -> Outcome:
        brokerage = self._brokerage
        if call is Call.PLACE and brokerage.strike("C5") is not None:
            await self._death("C5", subject)
        if call is Call.PLACE and (strike := brokerage.strike("C4")) is not None:
            await self._die_answered(subject, strike.dose)
        self._maybe_die_in_fan_out(call, subject)
        if not self._process.alive:
            await _never()
        if (refused := self._turned_away(call)) is not None:
            return refused
        if call is not Call.CANCEL:
            await self._connect()
        if (why := veto()) is not None:
            return Unsent(why)
        sent = Sent(account=brokerage.account, gateway=self._process.name, call=call, subject=subject)
        brokerage.witness.sent(sent)
        answer: asyncio.Future[Outcome] = brokerage.ground.loop.create_future()
        brokerage.later(REQUEST_S_MAX, lambda: _settle(answer, Unknown("no answer in time")))
        if self._is_lost_on_its_way(call, subject):
            if not self._process.alive:
                await _never()
            return await answer
        brokerage.in_flight[subject] = brokerage.in_flight.get(subject, 0) + 1
        manner = brokerage.manners.get(call) if brokerage.chooses(subject) else None
        way_s = self._way_s() + (0.0 if manner is None else manner.way_s)
        brokerage.later(way_s, lambda: self._arrive(call, subject, act, answer))
        if call is Call.PLACE and brokerage.strike("C7") is not None:
            await self._death("C7", subject)
        return await answer

    async def _connect(self) -> None:
        """N3: what is to be placed or changed waits for a connection before a byte of it can leave."""
        slow = self._brokerage.spell("N3")
        if slow is None:
            return
        self._brokerage.connecting += 1
        try:
            await asyncio.sleep(slow.dose * _CONNECT_S_MAX)
        finally:
            self._brokerage.connecting -= 1

    def _turned_away(self, call: Call) -> Outcome | None:
        """What keeps a call from being sent at all, or gets it a definite no."""
        brokerage, seen = self._brokerage, self._brokerage.weather.seen
        if brokerage.spell("N4") is not None:
            seen("N4", call)
            return Unsent("the broker's name does not resolve")
        if brokerage.partition == "both":
            seen("N1", f"{call} could not connect")
            return Unsent("no route to the broker")
        if brokerage.spell("B16") is not None:
            return Unsent("connection refused")
        for fault in ("B20", "K3"):
            if brokerage.spell(fault) is not None:
                seen(fault, call)
                return Rejected("401 unauthorized")
        storm = brokerage.spell("B19")
        if storm is not None and (storm.dose < 0.7 or call is Call.CANCEL):
            seen("B19", call)
            return Unsent("429 too many requests", 1.0 if storm.dose < 0.35 else 0.0)
        return None

    def _is_lost_on_its_way(self, call: Call, subject: str) -> bool:
        brokerage = self._brokerage
        if call is Call.PLACE and brokerage.strike("C6") is not None:
            brokerage.weather.seen("C6", subject)
            self._process.die("C6", "after some of the bytes")
            return True
        if call is Call.PLACE and brokerage.strike("B2") is not None:
            brokerage.weather.seen("B2", subject)
            return True
        if brokerage.partition == "out":
            brokerage.weather.seen("N1", f"{call} was lost")
            return True
        return call is Call.CANCEL and self._is_lost_of_many(subject)

    def _is_lost_of_many(self, subject: str) -> bool:
        """B26: of a mass cancel one is lost, and at least one is not."""
        order_id = order_of(self._env, subject)
        mass = None if order_id is None else self._brokerage.mass_cancel.get(order_id)
        if mass is None:
            return False
        self._mass[mass] += 1
        if self._mass[mass] > 1 and self._brokerage.strike("B26") is not None:
            self._brokerage.weather.seen("B26", subject)
            return True
        return False

    def _way_s(self) -> float:
        brokerage = self._brokerage
        slow = brokerage.spell("N3")
        if slow is None:
            return brokerage.trip_s()
        brokerage.weather.seen("N3")
        return brokerage.trip_s() + slow.dose**2 * LATE_S_MAX

    def _arrive(
        self, call: Call, subject: str, act: Callable[[], Outcome], answer: asyncio.Future[Outcome]
    ) -> None:
        """The broker has the call: it acts, whatever becomes of the answer."""
        brokerage, seen = self._brokerage, self._brokerage.weather.seen
        brokerage.in_flight[subject] -= 1
        self._race(call, subject)
        if (strike := brokerage.strike("B4")) is not None and strike.dose < 0.5:
            seen("B4", f"{subject} did nothing")
            self._respond(answer, Unknown("an answer that cannot be read"))
            return
        is_repeat = call is Call.PLACE and brokerage.order_of(subject) is not None
        with brokerage.minding_manners(call, subject) as manner:
            outcome = acted = self._done(call, subject, act)
        if is_repeat and brokerage.setting.dedup is DedupClass.A and brokerage.chance.random() < _CURT:
            outcome = Rejected("client order id must be unique")  # and not a word of the order that has it
        if strike is not None:
            seen("B4", f"{subject} was done")
            outcome = Unknown("an answer that cannot be read")
        elif manner is not None:
            outcome = manner.outcome or _SILENCE
        elif isinstance(outcome, Acknowledged):
            outcome = self._spoiled(call, subject, outcome)
        if isinstance(outcome, Unknown) or outcome is not acted:
            brokerage.doubtful.add(subject)
        if call is Call.CANCEL and isinstance(outcome, Acknowledged) and brokerage.strike("B11") is not None:
            brokerage.later(2 * brokerage.trip_s(), lambda: self._fill_after_all(subject))
        if brokerage.partition == "back":
            seen("N1", f"the answer to {call} was lost")
        elif outcome is not _SILENCE:
            self._respond(answer, outcome)

    def _done(self, call: Call, subject: str, act: Callable[[], Outcome]) -> Outcome:
        """What the broker does with a call; B25: two orders of one, where it refuses no name.

        Either of them may be the one that it answers with.
        """
        brokerage, first = self._brokerage, act()
        may_double = call is Call.PLACE and brokerage.setting.dedup is DedupClass.B
        if not (may_double and isinstance(first, Acknowledged)):
            return first
        strike = brokerage.strike("B25")
        if strike is None:
            return first
        brokerage.doubles.struck.add(subject)
        second = act()
        assert isinstance(second, Acknowledged), "it refuses no name that is used"
        brokerage.doubles.made(subject, first.broker_order_id, second.broker_order_id)
        brokerage.weather.seen("B25", subject)
        return first if strike.dose < _HALF else second

    def _spoiled(self, call: Call, subject: str, outcome: Outcome) -> Outcome:
        """What was done is answered with something else, or not at all."""
        brokerage, seen = self._brokerage, self._brokerage.weather.seen
        waits = brokerage.setting.dedup is not DedupClass.C
        least = _FOR_REPLACES if call is Call.PLACE and waits else 0.0
        for fault, spoiled in (
            ("B1", _SILENCE),
            ("B3", Unknown("502 bad gateway")),
            ("B5", Unknown("a yes without an id")),
        ):
            if call is Call.CANCEL or (strike := brokerage.strike(fault, above=least)) is None:
                continue
            seen(fault, subject)
            if fault == "B3" and call is Call.PLACE and waits and strike.dose > _FALSE_ABOVE:
                brokerage.denied_falsely.add(subject)
                return Rejected("422 unprocessable")
            return spoiled
        return outcome

    def _race(self, call: Call, subject: str) -> None:
        """The market is faster than a cancel or a replace that is just arriving."""
        brokerage = self._brokerage
        if call is Call.CANCEL and brokerage.exchange_open(subject) and brokerage.strike("B12") is not None:
            if brokerage.fill_some(brokerage.order_of(subject)):
                brokerage.weather.seen("B12", subject)
        elif call is Call.REPLACE:
            old = brokerage.replaced_by(subject)
            share = None if old is None else brokerage.share_that_beats_it()
            if share is not None and brokerage.fill_some(old, share):
                brokerage.weather.seen("B13", subject)

    def _fill_after_all(self, subject: str) -> None:
        order = self._brokerage.order_of(subject)
        if order is None or order.cum_qty >= order.terms.quantity or order.status != "canceled":
            return
        price = order.terms.limit_price or self._brokerage.price(order.terms.symbol)
        self._brokerage.exchange.fill_beyond(order.id, order.terms.quantity - order.cum_qty, price)
        self._brokerage.weather.seen("B11", subject)

    def _respond(self, answer: asyncio.Future[Outcome], outcome: Outcome) -> None:
        def deliver() -> None:
            if answer.done():
                return
            if self._process.alive and self._brokerage.strike("C8") is not None:
                self._brokerage.weather.seen("C8", type(outcome).__name__)
                self._process.die("C8", "with a response at the door")
            self._brokerage.doubles.tell(self._process.name, outcome)
            _settle(answer, outcome)

        self._brokerage.later(self._brokerage.trip_s(), deliver)

    def _maybe_die_in_fan_out(self, call: Call, subject: str) -> None:
        """C13: some cancels of many were sent, the others are not."""
        order_id = order_of(self._env, subject)
        mass = None if order_id is None else self._brokerage.mass_cancel.get(order_id)
        begun = call is Call.CANCEL and mass is not None and self._mass[mass] >= 1
        if begun and self._brokerage.strike("C13") is not None:
            self._brokerage.weather.seen("C13", subject)
            self._process.die("C13", "in the middle of a cancel-all")

    async def _die_answered(self, subject: str, dose: float) -> None:
        """C4: the client has its answer, and the process stumbles before it speaks to the broker."""
        await asyncio.sleep(0.05 + dose)
        order_id = order_of(self._env, subject)
        if order_id is not None and order_id in self._brokerage.witness.heard_of:
            await self._death("C4", subject)

    async def _death(self, fault: str, subject: str) -> None:
        self._brokerage.weather.seen(fault, subject)
        self._process.die(fault, f"speaking of {subject}")
        await _never()

    # -- questions

    async def ask(self, question: str, read: Callable[[], T]) -> T:
        brokerage = self._brokerage
        if not self._process.alive:
            await _never()
        why = self._why_no_answer()
        answer: asyncio.Future[T] = brokerage.ground.loop.create_future()

        def arrive() -> None:
            found = self._named(self._past.told(question, read()))
            brokerage.later(brokerage.trip_s(), lambda: self._tell(answer, found))

        def give_up() -> None:
            if not answer.done():
                answer.set_exception(BrokerUnavailable(f"no answer: {why or 'too late'}"))

        if why is None:
            brokerage.later(self._way_s(), arrive)
            brokerage.later(REQUEST_S_MAX, give_up)
        else:
            brokerage.later(brokerage.trip_s(), give_up)
        return await answer

    def _tell(self, answer: asyncio.Future[T], found: T) -> None:
        if not answer.done():
            self._brokerage.doubles.tell(self._process.name, found)
        _settle(answer, found)

    def _why_no_answer(self) -> str | None:
        brokerage, seen = self._brokerage, self._brokerage.weather.seen
        if (cut := brokerage.partition) is not None:
            seen("N1", f"a question, {cut}")
            return "no route to the broker"
        if brokerage.strike("B4") is not None:
            seen("B4", "a question")
            return "an answer that cannot be read"
        for fault in ("N4", "B16", "B20", "K3"):
            if brokerage.spell(fault) is not None:
                seen(fault, "a question")
                return fault
        storm = brokerage.spell("B19")
        if storm is not None and storm.dose < 0.7:
            seen("B19", "a question")
            return "429 too many requests"
        return None

    def _named(self, told: T) -> T:
        named: T
        named, changed = renamed(told) if self._brokerage.renames else (told, False)
        if changed:
            self._brokerage.weather.seen("B24")
        return named

    # -- news

    def route(self, news: BrokerNews, listener: Callable[[BrokerNews], None]) -> None:
        """A report on its way: swallowed, doubled or overtaken."""

        def say(news: BrokerNews) -> None:
            self._brokerage.heard_on_stream(self._process.name, news)
            listener(news)

        brokerage, seen = self._brokerage, self._brokerage.weather.seen
        brokerage.note_clock()
        news = renamed_news(news) if brokerage.renames else news
        if brokerage.spell("B17") is not None:
            seen("B17")
            return
        if brokerage.held_s is None:
            return
        wait = brokerage.setting.broker_latency_s + brokerage.setting.news_lag_s + brokerage.held_s
        if (strike := brokerage.strike("B9")) is not None:
            wait += 3.0 * strike.dose
            self._overtaken = brokerage.time() + wait
        elif brokerage.time() + wait < self._overtaken:
            seen("B9")
            self._overtaken = 0.0
        brokerage.later(wait, lambda: say(news))
        if (canceled := self._told_as_cancel(news)) is not None:
            early = brokerage.chance.random() < _CURT
            brokerage.later(wait - (wait / 2 if early else 0), lambda: say(canceled))
        if brokerage.strike("B7") is not None:
            seen("B7")
            brokerage.later(wait, lambda: say(news))

    def _told_as_cancel(self, news: BrokerNews) -> News | None:
        """Some venues replace by canceling, and tell that of the old version, too."""
        report = news.report if isinstance(news, News) else None
        if not isinstance(report, ReplacedReport) or self._brokerage.chance.random() >= _CURT:
            return None
        return News(
            CanceledReport(
                cl_ord_id=report.cl_ord_id,
                version=report.version,
                broker_order_id=report.broker_order_id,
                broker_at=report.broker_at,
            )
        )


_SILENCE: Final = Unknown("silence")


def _settle(answer: asyncio.Future[T], found: T) -> None:
    if not answer.done():
        answer.set_result(found)


async def _never() -> None:
    """A process that has died a moment ago says nothing more."""
    await asyncio.Event().wait()
