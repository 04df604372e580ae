"""What every adapter promises, whatever is behind it: one suite, run against each.

A subclass gives the fixture `floor`: a broker for an account with money, and a market that
trades when told to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

import msgspec
import pytest

from ordergate.core.ids import Paper
from ordergate.core.orders import events as e
from ordergate.core.orders import reports as r
from ordergate.core.orders.absorb import absorb
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, Replacement, evolve, first
from ordergate.core.orders.reports import BrokerStatus, OrderSnapshot
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.ports.broker import (
    Acknowledged,
    Broker,
    BrokerNews,
    News,
    NotFound,
    Rejected,
    StreamUp,
    Unsent,
    no_veto,
)
from tests.brokers.world import ACME, WAIT_S, HandClock, our_id, our_order, quantities, terms


class Floor(Protocol):
    """A broker, and the market behind it."""

    broker: Broker[Paper]

    async def trade(self, side: Side, quantity: Decimal, price: Decimal) -> None:
        """Somebody else takes `side` for so much at that price, against whatever rests there."""
        ...


class Ear:
    """What a broker's stream has said so far."""

    def __init__(self) -> None:
        self.heard: list[BrokerNews] = []
        self._more = asyncio.Condition()

    async def listen(self, news: AsyncIterator[BrokerNews]) -> None:
        async for item in news:
            async with self._more:
                self.heard.append(item)
                self._more.notify_all()

    def reports(self) -> list[r.AnyReport]:
        return [item.report for item in self.heard if isinstance(item, News)]

    async def until(self, enough: Callable[[list[BrokerNews]], bool]) -> None:
        async with asyncio.timeout(WAIT_S), self._more:
            await self._more.wait_for(lambda: enough(self.heard))

    async def until_reports(self, *kinds: type[r.Report]) -> list[r.AnyReport]:
        """Wait until these kinds have been heard, in this order."""
        await self.until(lambda _: len(self.reports()) >= len(kinds))
        found = self.reports()
        assert [type(report) for report in found] == list(kinds)
        return found


@asynccontextmanager
async def listening(broker: Broker[Paper]) -> AsyncIterator[Ear]:
    ear = Ear()
    task = asyncio.create_task(ear.listen(broker.news()))
    try:
        await ear.until(lambda heard: heard == [StreamUp()])
        yield ear
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def placed(broker: Broker[Paper], number: int = 1, asked: Terms | None = None) -> str:
    outcome = await broker.place(our_id(number), asked or terms(), no_veto)
    assert isinstance(outcome, Acknowledged), outcome
    return outcome.broker_order_id


async def found(broker: Broker[Paper], number: int = 1, version: int = 1) -> OrderSnapshot:
    answer = await broker.find(our_id(number, version))
    assert not isinstance(answer, NotFound)
    return answer


def asked(version: int, quantity: int = 10, price: str = "10.00") -> Replacement:
    return Replacement(
        version=version, quantity=Decimal(quantity), limit_price=Decimal(price), stop_price=None
    )


class BrokerConformance:
    """Every test starts with a fresh account on an empty market."""

    # -- placing

    @pytest.mark.parametrize("force", TimeInForce)
    @pytest.mark.parametrize("kind", OrderType)
    async def test_every_declared_order_is_taken(
        self, floor: Floor, kind: OrderType, force: TimeInForce
    ) -> None:
        broker = floor.broker
        assert kind in broker.capabilities.order_types
        assert force in broker.capabilities.times_in_force
        order = terms(
            type=kind,
            time_in_force=force,
            limit_price=Decimal(10) if kind.needs_limit_price else None,
            stop_price=Decimal(11) if kind.needs_stop_price else None,
        )
        outcome = await broker.place(our_id(1), order, no_veto)
        assert isinstance(outcome, Acknowledged | Rejected), outcome
        if isinstance(outcome, Acknowledged):
            assert (await found(broker)).broker_order_id == outcome.broker_order_id

    async def test_a_venue_that_is_not_offered_is_rejected_and_nothing_is_sent(self, floor: Floor) -> None:
        nowhere = msgspec.structs.replace(terms(), venue="NOWHERE")
        assert "NOWHERE" not in floor.broker.capabilities.venues
        assert isinstance(await floor.broker.place(our_id(1), nowhere, no_veto), Rejected)
        assert isinstance(await floor.broker.find(our_id(1)), NotFound)

    async def test_a_resting_order_is_found_as_it_was_placed(self, floor: Floor) -> None:
        order = terms(
            side=Side.SELL,
            type=OrderType.STOP_LIMIT,
            quantity=Decimal(7),
            limit_price=Decimal("8.75"),
            stop_price=Decimal("9.25"),
            time_in_force=TimeInForce.GTC,
        )
        broker_order_id = await placed(floor.broker, asked=order)
        seen = await found(floor.broker)
        assert seen.terms == order
        assert (seen.cl_ord_id, seen.version, seen.broker_order_id) == (our_id(1), 1, broker_order_id)
        assert seen.status in (BrokerStatus.WORKING, BrokerStatus.PENDING)
        assert seen.cum_qty == 0

    async def test_an_order_that_was_never_placed_is_not_found(self, floor: Floor) -> None:
        assert await floor.broker.find(our_id(1)) == NotFound()

    async def test_what_is_spoken_against_never_leaves(self, floor: Floor) -> None:
        outcome = await floor.broker.place(our_id(1), terms(), lambda: "stopped")
        assert outcome == Unsent("stopped")
        assert await floor.broker.find(our_id(1)) == NotFound()
        assert isinstance(await floor.broker.place(our_id(1), terms(), no_veto), Acknowledged)

    async def test_a_replacement_that_is_spoken_against_never_leaves(self, floor: Floor) -> None:
        broker_order_id = await placed(floor.broker)
        outcome = await floor.broker.replace(
            broker_order_id, our_id(1, 2), terms(), asked(2, 10, "9.00"), lambda: "stopped"
        )
        assert outcome == Unsent("stopped")
        assert (await found(floor.broker)).terms == terms()

    async def test_the_same_id_again_is_the_same_order(self, floor: Floor) -> None:
        first_id = await placed(floor.broker)
        again = await floor.broker.place(our_id(1), terms(), no_veto)
        assert isinstance(again, Acknowledged)
        assert again.broker_order_id == first_id
        assert len(await floor.broker.open_orders()) == 1

    async def test_the_same_id_again_after_the_end_makes_no_new_order(self, floor: Floor) -> None:
        first_id = await placed(floor.broker)
        await floor.trade(Side.SELL, Decimal(10), Decimal(10))
        again = await floor.broker.place(our_id(1), terms(), no_veto)
        assert isinstance(again, Acknowledged)
        assert again.broker_order_id == first_id
        assert quantities(await floor.broker.positions()) == {ACME: Decimal(10)}

    async def test_the_same_id_many_times_at_once_is_one_order(self, floor: Floor) -> None:
        outcomes = await asyncio.gather(*(floor.broker.place(our_id(1), terms(), no_veto) for _ in range(8)))
        assert len({it.broker_order_id for it in outcomes if isinstance(it, Acknowledged)}) == 1
        assert all(isinstance(it, Acknowledged) for it in outcomes)
        assert len(await floor.broker.open_orders()) == 1

    async def test_open_orders_are_those_that_may_fill(self, floor: Floor) -> None:
        ids = [await placed(floor.broker, number) for number in (1, 2, 3)]
        await floor.broker.cancel(our_id(2), ids[1])
        assert [seen.cl_ord_id for seen in await floor.broker.open_orders()] == [our_id(1), our_id(3)]

    async def test_recent_orders_are_those_placed_since_then_open_or_not(self, floor: Floor) -> None:
        ids = [await placed(floor.broker, number) for number in (1, 2, 3)]
        await floor.broker.cancel(our_id(2), ids[1])
        await floor.broker.replace(ids[2], our_id(3, 2), terms(), asked(2, 12, "9.50"), no_veto)
        recent = await floor.broker.recent_orders(datetime(2020, 1, 1, tzinfo=UTC))
        assert [(seen.cl_ord_id, seen.status) for seen in recent] == [
            (our_id(1), BrokerStatus.WORKING),
            (our_id(2), BrokerStatus.CANCELED),
            (our_id(3), BrokerStatus.REPLACED),
            (our_id(3, 2), BrokerStatus.WORKING),
        ]
        assert recent[0] == await found(floor.broker)
        assert await floor.broker.recent_orders(datetime(2100, 1, 1, tzinfo=UTC)) == []

    async def test_what_cannot_trade_at_once_and_may_not_rest_is_over(self, floor: Floor) -> None:
        await placed(floor.broker, asked=terms(time_in_force=TimeInForce.IOC))
        assert (await found(floor.broker)).status is BrokerStatus.CANCELED

    # -- canceling

    @pytest.mark.parametrize("by_broker_id", [True, False])
    async def test_a_cancel_ends_an_order(self, floor: Floor, by_broker_id: bool) -> None:
        broker_order_id, left = await placed(floor.broker), list[str]()
        asked = our_id(1), broker_order_id if by_broker_id else None
        assert await floor.broker.cancel(*asked, lambda: left.append("now")) == Acknowledged(broker_order_id)
        assert ((await found(floor.broker)).status, left) == (BrokerStatus.CANCELED, ["now"])
        assert await floor.broker.open_orders() == []

    async def test_one_cancel_for_everything_ends_every_order_or_is_refused(self, floor: Floor) -> None:
        for number in (1, 2, 3):
            await placed(floor.broker, number)
        outcome = await floor.broker.cancel_all()
        if floor.broker.capabilities.cancels_all:
            assert isinstance(outcome, Acknowledged)
            assert await floor.broker.open_orders() == []
            assert isinstance(await floor.broker.cancel_all(), Acknowledged)
        else:
            assert isinstance(outcome, Rejected)
            assert len(await floor.broker.open_orders()) == 3

    async def test_a_dead_mans_switch_is_armed_and_disarmed_or_is_refused(self, floor: Floor) -> None:
        await placed(floor.broker, 1)
        offered = floor.broker.capabilities.dead_man
        for timeout_s in (60.0, 60.0, 0.0, 0.0):
            outcome = await floor.broker.dead_man(timeout_s)
            assert isinstance(outcome, Acknowledged if offered else Rejected)
        assert len(await floor.broker.open_orders()) == 1

    async def test_a_cancel_of_what_is_over_is_refused(self, floor: Floor) -> None:
        broker_order_id = await placed(floor.broker)
        await floor.trade(Side.SELL, Decimal(10), Decimal(10))
        assert isinstance(await floor.broker.cancel(our_id(1), broker_order_id), Rejected)

    async def test_a_cancel_of_what_never_was_is_refused(self, floor: Floor) -> None:
        assert isinstance(await floor.broker.cancel(our_id(1), None), Rejected)

    # -- replacing

    async def test_a_replacement_takes_the_place_of_an_order(self, floor: Floor) -> None:
        old = await placed(floor.broker)
        outcome = await floor.broker.replace(old, our_id(1, 2), terms(), asked(2, 12, "9.50"), no_veto)
        assert isinstance(outcome, Acknowledged)
        new = await found(floor.broker, version=2)
        assert (new.version, new.broker_order_id) == (2, outcome.broker_order_id)
        assert (new.terms.quantity, new.terms.limit_price) == (Decimal(12), Decimal("9.5"))
        gone = await found(floor.broker, version=1)
        assert (gone.status, gone.replaced_by) == (BrokerStatus.REPLACED, new.broker_order_id)
        assert [seen.version for seen in await floor.broker.open_orders()] == [2]

    async def test_a_chain_of_replacements_adds_up_to_what_was_asked(self, floor: Floor) -> None:
        """Fills on the way count: 10, of which 4 fill, then 12, of which 3 fill, then 9."""
        order_id = await placed(floor.broker)
        await floor.trade(Side.SELL, Decimal(4), Decimal(10))
        in_force = terms()
        for version, quantity, filled in ((2, 12, 3), (3, 9, 1)):
            change = asked(version, quantity)
            outcome = await floor.broker.replace(order_id, our_id(1, version), in_force, change, no_veto)
            assert isinstance(outcome, Acknowledged), outcome
            order_id, in_force = outcome.broker_order_id, terms(quantity=Decimal(quantity))
            await floor.trade(Side.SELL, Decimal(filled), Decimal(10))
        seen = await found(floor.broker, version=3)
        assert (seen.terms.quantity, seen.cum_qty) == (Decimal(9), Decimal(8))
        await floor.trade(Side.SELL, Decimal(1), Decimal(10))
        assert (await found(floor.broker, version=3)).status is BrokerStatus.FILLED
        assert quantities(await floor.broker.positions()) == {ACME: Decimal(9)}

    async def test_a_replacement_of_the_price_alone_keeps_the_rest(self, floor: Floor) -> None:
        order_id = await placed(floor.broker)
        await floor.trade(Side.SELL, Decimal(4), Decimal(10))
        outcome = await floor.broker.replace(order_id, our_id(1, 2), terms(), asked(2, 10, "9.00"), no_veto)
        assert isinstance(outcome, Acknowledged)
        seen = await found(floor.broker, version=2)
        assert (seen.terms.quantity, seen.cum_qty) == (Decimal(10), Decimal(4))

    async def test_a_replacement_of_what_is_over_is_refused(self, floor: Floor) -> None:
        order_id = await placed(floor.broker)
        await floor.broker.cancel(our_id(1), order_id)
        outcome = await floor.broker.replace(order_id, our_id(1, 2), terms(), asked(2, 12), no_veto)
        assert isinstance(outcome, Rejected)

    # -- executions, positions, the account

    async def test_executions_are_read_from_a_cursor_on(self, floor: Floor) -> None:
        await placed(floor.broker)
        await floor.trade(Side.SELL, Decimal(4), Decimal(10))
        (one,) = [it async for it in floor.broker.executions(after=None)]
        assert isinstance(one.report, r.ExecutedReport)
        assert (one.report.cl_ord_id, one.report.version, one.symbol) == (our_id(1), 1, ACME)
        assert (one.report.quantity, one.report.price) == (Decimal(4), Decimal(10))
        assert [it async for it in floor.broker.executions(after=one.cursor)] == []
        await floor.trade(Side.SELL, Decimal(6), Decimal(10))
        (two,) = [it async for it in floor.broker.executions(after=one.cursor)]
        assert isinstance(two.report, r.ExecutedReport)
        assert two.report.quantity == 6

    async def test_a_long_history_comes_whole_and_in_order(self, floor: Floor) -> None:
        await placed(floor.broker, asked=terms(quantity=Decimal(250)))
        for _ in range(250):
            await floor.trade(Side.SELL, Decimal(1), Decimal(10))
        read = [it async for it in floor.broker.executions(after=None)]
        assert len({it.report.exec_id for it in read if isinstance(it.report, r.ExecutedReport)}) == 250
        later = [it async for it in floor.broker.executions(after=read[119].cursor)]
        assert later == read[120:]

    async def test_positions_are_signed_and_cash_is_exact(self, floor: Floor) -> None:
        before = await floor.broker.account()
        assert before.blocked is None
        await placed(floor.broker, asked=terms(side=Side.SELL, limit_price=Decimal("10.01")))
        await floor.trade(Side.BUY, Decimal(3), Decimal("10.01"))
        assert quantities(await floor.broker.positions()) == {ACME: Decimal(-3)}
        after = await floor.broker.account()
        assert after.fingerprint == before.fingerprint
        assert after.cash - before.cash == Decimal("30.03")

    async def test_no_position_is_no_entry(self, floor: Floor) -> None:
        assert quantities(await floor.broker.positions()) == {}

    # -- news

    async def test_the_stream_tells_an_order_s_whole_life(self, floor: Floor) -> None:
        async with listening(floor.broker) as ear:
            broker_order_id = await placed(floor.broker)
            await ear.until_reports(r.AcknowledgedReport)
            await floor.trade(Side.SELL, Decimal(4), Decimal(10))
            await ear.until_reports(r.AcknowledgedReport, r.ExecutedReport)
            await floor.broker.cancel(our_id(1), broker_order_id)
            told = await ear.until_reports(r.AcknowledgedReport, r.ExecutedReport, r.CanceledReport)
        names = {(it.cl_ord_id, it.version, it.broker_order_id) for it in told}
        assert names == {(our_id(1), 1, broker_order_id)}
        assert getattr(told[-1], "cum_qty", None) == 4

    async def test_stream_and_history_name_an_execution_alike(self, floor: Floor) -> None:
        async with listening(floor.broker) as ear:
            await placed(floor.broker)
            await floor.trade(Side.SELL, Decimal(10), Decimal(10))
            told = (await ear.until_reports(r.AcknowledgedReport, r.ExecutedReport))[1]
        (read,) = [it.report async for it in floor.broker.executions(after=None)]
        assert isinstance(told, r.ExecutedReport)
        assert isinstance(read, r.ExecutedReport)
        assert (read.exec_id, read.quantity, read.price) == (told.exec_id, told.quantity, told.price)

    async def test_an_order_folded_from_the_news_equals_the_one_that_is_found(self, floor: Floor) -> None:
        """Filled, replaced, filled on, and filled to the end, with nothing but reports to go by."""
        clock = HandClock()
        order: Order = first(
            e.OrderAccepted(
                order_id=our_order(1), at=clock.now(), terms=terms(), actor="test", config_hash="none"
            )
        )
        async with listening(floor.broker) as ear:
            order_id = await placed(floor.broker)
            await floor.trade(Side.SELL, Decimal(4), Decimal(10))
            await ear.until(lambda _: len(ear.reports()) == 2)
            order = _folded(order, ear.reports(), clock)
            change = asked(2, 12)
            order = evolve(
                order,
                e.ReplaceRequested(
                    order_id=order.id,
                    at=clock.now(),
                    version=2,
                    quantity=change.quantity,
                    limit_price=change.limit_price,
                    actor="test",
                    config_hash="none",
                ),
            )
            await floor.broker.replace(order_id, our_id(1, 2), terms(), change, no_veto)
            await floor.trade(Side.SELL, Decimal(3), Decimal(10))
            await floor.trade(Side.SELL, Decimal(5), Decimal(10))
            await ear.until(lambda _: _executed(ear) == Decimal(12))
            order = _folded(order, ear.reports(), clock)
        seen = await found(floor.broker, version=2)
        assert (order.status, seen.status) == (Status.FILLED, BrokerStatus.FILLED)
        assert (order.version, order.cl_ord_id) == (seen.version, seen.cl_ord_id)
        assert (order.cum_qty, order.terms.quantity) == (seen.cum_qty, seen.terms.quantity)
        assert order.broker_order_id == seen.broker_order_id

    async def test_an_order_of_somebody_else_has_no_version(self, floor: Floor) -> None:
        """Whatever trades the account elsewhere is told, with its terms."""
        foreign = our_id(1)[:-1].lower()
        async with listening(floor.broker) as ear:
            outcome = await floor.broker.place(type(our_id(1))(foreign), terms(), no_veto)
            assert isinstance(outcome, Acknowledged)
            (told,) = await ear.until_reports(r.AcknowledgedReport)
            news = ear.heard[-1]
        assert (told.cl_ord_id, told.version) == (foreign, 0)
        assert isinstance(news, News)
        assert news.snapshot is not None
        assert news.snapshot.terms == terms()


def _executed(ear: Ear) -> Decimal:
    fills = [report.quantity for report in ear.reports() if isinstance(report, r.ExecutedReport)]
    return sum(fills, Decimal(0))


def _folded(order: Order, reports: list[r.AnyReport], clock: HandClock) -> Order:
    for report in reports:
        event = absorb(order, report, clock.now())
        if event is not None:
            order = evolve(order, event)
    return order
