"""What the simulation found, each as small as it can be told."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from ordergate.brokers.paper.fates import Call, Delivered, Fate, LostCall
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.ids import AccountId, ClOrdId, Env, OrderId
from ordergate.core.orders.events import CancelRejected
from ordergate.core.orders.order import Order
from ordergate.core.orders.reports import BrokerStatus, OrderSnapshot
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.engine.answering.answers import Answer
from ordergate.engine.wire.ingest import adopted_order_id
from ordergate.ports.broker import NotFound
from tests.engine.stage import ACCOUNT, ES, START, TRADER, HandClock, Stage, let_run


def test_brokers_that_number_alike_do_not_share_an_adopted_order() -> None:
    seen = OrderSnapshot(
        cl_ord_id="by-hand",
        version=0,
        broker_order_id="000000000001",
        status=BrokerStatus.WORKING,
        terms=_terms(quantity=1),
        cum_qty=Decimal(0),
        created_at=START,
    )
    one = adopted_order_id(Env.PAPER, AccountId("P-ONE"), seen, START)
    other = adopted_order_id(Env.PAPER, AccountId("P-OTHER"), seen, START)
    assert one != other


def _lost_places(call: Call) -> Fate:
    return LostCall() if call is Call.PLACE else Delivered()


@pytest.fixture
def wrong_by(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """By how much every wall clock is wrong; the last one counts."""
    wrong = [timedelta(0)]

    def now(clock: HandClock) -> datetime:
        return START + timedelta(seconds=clock.monotonic()) + wrong[-1]

    monkeypatch.setattr(HandClock, "now", now)
    return wrong


async def test_a_wall_clock_that_was_an_hour_ahead_does_not_keep_an_order_unknown(
    wrong_by: list[timedelta],
) -> None:
    async with Stage(fate=_lost_places, resend_is_safe=False) as stage:
        wrong_by.append(timedelta(hours=1))
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        wrong_by.append(timedelta(0))
        await stage.until(lambda: stage.status(order) == "rejected", within_s=60)


async def test_a_wall_clock_that_jumps_ahead_gives_no_order_up_before_its_time(
    wrong_by: list[timedelta],
) -> None:
    async with Stage(fate=_lost_places, resend_is_safe=False) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        wrong_by.append(timedelta(hours=1))
        begun = stage.clock.monotonic()
        await stage.until(lambda: stage.status(order) == "rejected", within_s=120)
        assert stage.clock.monotonic() - begun >= 30


async def test_an_order_of_a_clock_that_was_an_hour_ahead_is_too_old_to_be_sent_again(
    wrong_by: list[timedelta],
) -> None:
    """The market has gone on for half an hour: nobody wants it any more."""
    down: list[bool] = []

    def fate(call: Call) -> Fate:
        return LostCall() if down else Delivered()

    async with Stage(fate=fate) as stage:
        wrong_by.append(timedelta(hours=1))
        stage.price(stage.last_price)
        await stage.clock.move(5)
        down.append(True)
        order = await stage.accepted(quantity=3)
        await let_run()
        wrong_by.append(timedelta(0))
        stage.price(stage.last_price)
        for _ in range(4 * 60 * 30):
            await stage.clock.move(0.25)
        down.clear()
        await stage.until(lambda: stage.status(order) == "rejected", within_s=180)
        assert stage.placed_at_exchange() == 0


async def test_a_cancel_that_was_asked_under_a_wrong_clock_is_asked_about_all_the_same(
    wrong_by: list[timedelta],
) -> None:
    async with Stage(fate=_lost_places, resend_is_safe=False) as stage:
        wrong_by.append(timedelta(hours=1))
        stage.journal.hold()  # the cancel is decided before the order is sent
        placing = asyncio.create_task(stage.place())
        await let_run()
        cancelling = asyncio.create_task(
            stage.gate.cancel_all(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        )
        await let_run()
        stage.journal.release()
        await stage.until(lambda: placing.done() and cancelling.done())
        answer = placing.result()
        assert isinstance(answer, Answer)
        await stage.until(lambda: stage.status(answer.order_id) == "pending_cancel")
        await stage.restart()
        wrong_by.append(timedelta(0))
        await stage.until(lambda: stage.status(answer.order_id) == "rejected", within_s=50)


async def test_news_before_the_account_is_opened_is_left_to_its_opening() -> None:
    stage = Stage(fate=_no_questions)
    starting = asyncio.create_task(stage.start())
    await let_run()
    by_hand = stage.exchange.submit("by-hand", _terms(quantity=3))
    assert isinstance(by_hand, PaperOrder)
    stage.exchange.fill(by_hand.id, Decimal(2), Decimal(4700))
    await let_run()
    _questions_are_answered.append(True)
    await starting
    try:
        await stage.until(lambda: stage.held(ES) == 2)
        assert stage.lane.books.open_count == 1
    finally:
        _questions_are_answered.clear()
        await stage.crash()


_questions_are_answered: list[bool] = []


def _no_questions(call: Call) -> Fate:
    return Delivered() if call is not Call.QUERY or _questions_are_answered else LostCall()


async def test_an_adopted_order_that_ended_unheard_is_asked_about_by_its_own_name() -> None:
    async with Stage() as stage:
        by_hand = stage.exchange.submit("by-hand", _terms(quantity=3))
        assert isinstance(by_hand, PaperOrder)
        await stage.until(lambda: stage.lane.books.open_count == 1)
        stage.broker.stream.copies = lambda report: 0
        stage.exchange.cancel(by_hand.id)
        await stage.until(lambda: stage.lane.books.open_count == 0)


async def test_a_replacement_that_was_in_force_and_then_refused_is_the_end_of_the_order() -> None:
    async with Stage() as stage:
        order = await _replaced_unheard(stage)
        (old, new) = stage.exchange.orders()
        stage.exchange.reject(new.id, "refused by the market")
        assert stage.exchange.order(old.id) is not None
        await stage.until(lambda: stage.status(order) == "rejected")
        assert "replace_rejected" not in stage.listener.kinds


async def test_a_refused_replacement_of_an_order_that_is_there_is_believed_when_both_have_settled() -> None:
    async with Stage() as stage:
        order = await _replaced_unheard(stage)
        (old, new) = stage.exchange.orders()
        stage.exchange.reject(new.id, "refused by the market")
        find = stage.broker.find

        async def old_is_alive(cl_ord_id: ClOrdId) -> OrderSnapshot | NotFound:
            found = await find(cl_ord_id)
            if isinstance(found, OrderSnapshot) and found.broker_order_id == old.id:
                return msgspec.structs.replace(found, status=BrokerStatus.WORKING, replaced_by=None)
            return found

        stage.broker.find = old_is_alive  # type: ignore[method-assign]  # this broker only
        begun = stage.clock.monotonic()
        await stage.until(lambda: "replace_rejected" in stage.listener.kinds)
        assert stage.clock.monotonic() - begun >= 30
        (told,) = stage.listener.frames_of("replace_rejected")
        assert told["order"]["reason"] == "refused by the market"
        assert stage.status(order) == "working"


async def _replaced_unheard(stage: Stage) -> OrderId:
    """An order whose replacement the venue has, and of which the stream tells nothing."""
    order = await stage.accepted(quantity=5)
    await stage.until(lambda: stage.status(order) == "working")
    stage.broker.stream.copies = lambda report: 0
    await _replace(stage, order)
    assert stage.status(order) == "pending_replace"
    return order


async def _replace(stage: Stage, order: OrderId) -> None:
    await stage.gate.replace(
        TRADER,
        order,
        quantity=Decimal(4),
        limit_price=None,
        stop_price=None,
        key=stage.key(),
        correlation="test",
    )
    await let_run()


async def test_a_lost_replace_is_asked_about_though_a_cancel_was_refused_meanwhile() -> None:
    lost: list[Fate] = []
    async with Stage(fate=lambda call: lost.pop() if lost and call is Call.REPLACE else Delivered()) as stage:
        order = await stage.accepted(quantity=5)
        await stage.until(lambda: stage.status(order) == "working")
        lost.append(LostCall())
        await _replace(stage, order)
        await stage.until(lambda: _held(stage, order).unknown_since is not None)
        refused = CancelRejected(order_id=order, at=stage.clock.now(), reason="not now")
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        stage.lane.record([refused], correlation="test")
        await stage.until(lambda: _held(stage, order).replacement is None, within_s=45)


def _held(stage: Stage, order: OrderId) -> Order:
    held = stage.lane.books.order(order)
    assert held is not None
    return held


def _terms(quantity: int) -> Terms:
    return Terms(
        account=ACCOUNT,
        symbol=ES,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        limit_price=Decimal(4700),
        time_in_force=TimeInForce.GTC,
    )
