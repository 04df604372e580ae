"""One call, two orders at a broker of class B: the first that is heard of is ours, the other a stranger's.

Both carry our client order id, so nothing but the broker's own id tells them apart, whatever became of
ours meanwhile. Somebody is told within five seconds, and no execution of either is lost or mistaken.
"""

from __future__ import annotations

from decimal import Decimal

from ordergate.brokers.paper import fates
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.ids import ClOrdId, OrderId, Paper
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import Terms
from ordergate.ports.broker import Acknowledged, DedupClass, Outcome, Veto
from tests.engine.settling import replaced
from tests.engine.stage import Stage
from tests.engine.test_executions import working
from tests.engine.test_reconciliation import position
from tests.engine.test_unknown_outcomes import alarms

PRICE = Decimal(4700)
SOON_S = 5
RECONCILED_S = 70


def held(stage: Stage, order: OrderId) -> Order:
    found = stage.lane.books.order(order)
    assert found is not None
    return found


def as_another(stage: Stage, twin: PaperOrder) -> Order | None:
    """The order as which the books have the second one."""
    return stage.lane.books.order_of_broker(twin.id)


def double(stage: Stage, order: OrderId, *, told: bool = True) -> PaperOrder:
    """The broker makes a second order of the call that brought it this one."""
    ours = held(stage, order)
    stage.broker.stream.copies = lambda _: int(told)
    twin = stage.exchange.submit(ours.cl_ord_id, ours.terms)
    stage.broker.stream.copies = lambda _: 1
    assert isinstance(twin, PaperOrder)
    return twin


def is_told(stage: Stage, *either: str) -> bool:
    return any(f"order_doubled:{one}" in alarms(stage) for one in either)


async def test_what_the_second_order_fills_is_its_own_after_ours_was_replaced() -> None:
    async with Stage(dedup=DedupClass.B) as stage:
        order, _ = await working(stage, quantity=3)
        twin = double(stage, order)
        await stage.until(lambda: as_another(stage, twin))
        await replaced(stage, order, quantity=5)
        await stage.until(lambda: held(stage, order).version == 2)
        stage.exchange.fill(twin.id, Decimal(2), PRICE)
        await stage.until(lambda: position(stage) == 2)
        other = as_another(stage, twin)
        assert other is not None
        assert (held(stage, order).cum_qty, other.cum_qty) == (Decimal(0), Decimal(2))
        assert other.external


async def test_the_second_order_is_not_called_as_our_client_called_ours() -> None:
    async with Stage(dedup=DedupClass.B) as stage:
        order = await stage.accepted(quantity=3, client_order_id="label-1")
        await stage.until(lambda: stage.status(order) == "working")
        twin = double(stage, order)
        await stage.until(lambda: as_another(stage, twin), within_s=SOON_S)
        other = as_another(stage, twin)
        assert other is not None
        assert (held(stage, order).terms.client_order_id, other.terms.client_order_id) == ("label-1", None)


async def test_a_second_order_is_first_heard_of_when_ours_was_replaced_long_ago() -> None:
    async with Stage(dedup=DedupClass.B) as stage:
        order, _ = await working(stage, quantity=3)
        twin = double(stage, order, told=False)
        await replaced(stage, order, quantity=5)
        await stage.until(lambda: held(stage, order).version == 2)
        stage.exchange.fill(twin.id, Decimal(2), PRICE)
        await stage.until(lambda: is_told(stage, twin.id), within_s=SOON_S)
        await stage.until(lambda: position(stage) == 2)
        assert held(stage, order).cum_qty == 0


async def test_the_end_of_ours_is_found_although_questions_by_name_show_the_second() -> None:
    async with Stage(dedup=DedupClass.B) as stage:
        order, at_exchange = await working(stage, quantity=3)
        twin = double(stage, order)
        await stage.until(lambda: as_another(stage, twin))
        stage.broker.stream.copies = lambda _: 0
        stage.exchange.cancel(at_exchange)
        stage.broker.stream.copies = lambda _: 1
        await stage.clock.move(RECONCILED_S)
        await stage.until(lambda: stage.status(order) == "canceled", within_s=RECONCILED_S)
        other = as_another(stage, twin)
        assert other is not None
        assert not other.is_final


async def test_the_end_of_the_second_is_found_although_questions_by_name_show_ours() -> None:
    async with Stage(dedup=DedupClass.B) as stage:
        order, at_exchange = await working(stage, quantity=3)
        twin = double(stage, order)
        await stage.until(lambda: as_another(stage, twin))
        stage.exchange._by_client_id[held(stage, order).cl_ord_id] = at_exchange
        stage.broker.stream.copies = lambda _: 0
        stage.exchange.cancel(twin.id)
        stage.broker.stream.copies = lambda _: 1
        await stage.clock.move(RECONCILED_S)
        await stage.until(lambda: (other := as_another(stage, twin)) and other.is_final, within_s=70)
        assert stage.status(order) == "working"


async def test_a_second_order_known_by_its_execution_alone_is_adopted_as_what_it_is() -> None:
    """By its name the broker shows ours; its list shows whose execution it is."""
    async with Stage(dedup=DedupClass.B) as stage:
        order, at_exchange = await working(stage, quantity=3)
        stage.broker.stream.cut()
        twin = double(stage, order, told=False)
        stage.exchange._by_client_id[held(stage, order).cl_ord_id] = at_exchange
        stage.exchange.fill(twin.id, Decimal(3), PRICE)
        stage.broker.stream.restore()
        await stage.until(lambda: position(stage) == 3)
        assert is_told(stage, twin.id)
        other = as_another(stage, twin)
        assert other is not None
        assert (other.cum_qty, held(stage, order).cum_qty) == (Decimal(3), Decimal(0))
        assert stage.status(order) == "working"


async def test_ours_ends_with_the_one_that_is_canceled_and_the_other_is_told_of() -> None:
    """Nobody had heard a broker's id of either, when one of them ended."""
    script = fates.Script()
    script.add(fates.Call.PLACE, fates.LostAnswer("reset"))
    async with Stage(dedup=DedupClass.B, fate=script) as stage:
        stage.broker.stream.copies = lambda _: 0
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.placed_at_exchange() == 1, within_s=SOON_S)
        (first,) = stage.exchange.orders()
        twin = double(stage, order, told=False)
        stage.exchange.cancel(twin.id)
        await stage.until(lambda: stage.status(order) == "canceled", within_s=SOON_S)
        stage.exchange.fill(first.id, Decimal(1), PRICE)
        await stage.until(lambda: is_told(stage, first.id), within_s=SOON_S)
        await stage.until(lambda: position(stage) == 1)
        assert held(stage, order).cum_qty == 0


async def test_an_answer_that_names_another_order_than_the_stream_has_shown_is_told_at_once() -> None:
    """The news of one comes before the answer, which is of the other; nothing more is heard of that."""

    class Doubling(PaperBroker[Paper]):
        async def place(self, cl_ord_id: ClOrdId, terms: Terms, veto: Veto) -> Outcome:
            self.stream.copies = lambda _: 0
            other = stage.exchange.submit(cl_ord_id, terms)
            self.stream.copies = lambda _: 1
            await super().place(cl_ord_id, terms, veto)
            await stage.clock.sleep(0.5)
            assert isinstance(other, PaperOrder)
            return Acknowledged(other.id)

    async with Stage(dedup=DedupClass.B) as stage:
        stage.broker.__class__ = Doubling  # the same broker, of other manners
        order = await stage.accepted(quantity=3)
        await stage.until(lambda: stage.placed_at_exchange() == 2)
        first, second = (one.id for one in stage.exchange.orders())
        await stage.until(lambda: is_told(stage, first), within_s=SOON_S)
        assert held(stage, order).broker_order_id == second
