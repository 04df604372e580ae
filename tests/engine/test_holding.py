"""An order that would meet own ones waits until they are gone, and never leaves before."""

from __future__ import annotations

from decimal import Decimal

from ordergate.brokers.paper.fates import Call, Delivered, Fate, LostCall, Script
from ordergate.core.ids import OrderId
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import OrderType, Side
from ordergate.engine.answering.answers import Answer
from ordergate.engine.wire.holding import HELD_S_MAX
from tests.engine.stage import ACCOUNT, TRADER, Stage, let_run

YIELDING = {"self_match_refused": True, "self_match_cancels_oldest": True}


async def kinds(stage: Stage, order_id: OrderId) -> list[str]:
    return [
        type(stored.event).__name__
        async for stored in stage.journal.read(ACCOUNT, after=0)
        if isinstance(stored.event, e.OrderEvent) and stored.event.order_id == order_id
    ]


async def test_the_older_order_is_gone_before_the_new_one_leaves() -> None:
    async with Stage(limits=YIELDING, latency_s=0.2) as stage:
        older = await stage.accepted(side=Side.SELL, limit="4810")
        await stage.until(lambda: stage.status(older) == "working")
        apart = await stage.accepted(side=Side.SELL, limit="4811")
        await stage.until(lambda: stage.status(apart) == "working")
        placed_by_then: list[int] = []
        stage.listener.on("order_canceled", lambda: placed_by_then.append(stage.placed_at_exchange()))
        answer = await stage.place(limit="4810")
        assert isinstance(answer, Answer)
        told = stage.body(answer)
        assert (told["waits_for"], told["status"]) == ([older], "accepted")
        await stage.until(lambda: stage.status(answer.order_id) == "filled")
        assert (stage.status(older), stage.status(apart)) == ("canceled", "working")
        assert placed_by_then == [2]


async def test_both_are_written_in_one_commit_and_survive_a_crash_in_between() -> None:
    script = Script()
    async with Stage(limits=YIELDING, fate=script) as stage:
        older = await stage.accepted(side=Side.SELL, limit="4810")
        await stage.until(lambda: stage.status(older) == "working")
        script.add(Call.CANCEL, LostCall())
        new = await stage.accepted(limit="4810")
        await let_run()
        assert stage.placed_at_exchange() == 1
        await stage.restart()
        await stage.until(lambda: stage.status(new) == "filled")
        assert stage.status(older) == "canceled"


async def test_what_waits_too_long_is_never_sent() -> None:
    async with Stage(limits=YIELDING, fate=never_canceled) as stage:
        older = await stage.accepted(side=Side.SELL, limit="4810")
        await stage.until(lambda: stage.status(older) == "working")
        new = await stage.accepted(limit="4810")
        await stage.until(lambda: stage.status(new) == "rejected", within_s=HELD_S_MAX + 5)
        order = stage.lane.books.order(new)
        assert order is not None
        assert order.reason == "self-match"
        assert stage.placed_at_exchange() == 1
        assert stage.lane.books.exposure.held(new) is None


async def test_what_is_canceled_while_it_waits_is_never_sent() -> None:
    async with Stage(limits=YIELDING, fate=never_canceled) as stage:
        older = await stage.accepted(side=Side.SELL, limit="4810")
        await stage.until(lambda: stage.status(older) == "working")
        new = await stage.accepted(limit="4810")
        await stage.gate.cancel(TRADER, new, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(new) == "canceled", within_s=HELD_S_MAX / 2)
        assert stage.placed_at_exchange() == 1


async def test_an_older_order_that_fills_instead_is_gone_as_well() -> None:
    async with Stage(limits=YIELDING, latency_s=0.2) as stage:
        older = await stage.accepted(side=Side.SELL, limit="4810")
        await stage.until(lambda: stage.status(older) == "working")
        new = await stage.accepted(limit="4810")
        at_exchange = next(iter(stage.exchange.orders()))
        stage.exchange.fill(at_exchange.id, at_exchange.leaves_qty, Decimal(4810))
        await stage.until(lambda: stage.status(new) == "filled")
        assert stage.status(older) == "filled"


async def test_one_that_is_being_canceled_is_waited_for_and_not_canceled_again() -> None:
    async with Stage(limits=YIELDING, latency_s=0.2) as stage:
        older = await stage.accepted(side=Side.SELL, limit="4810")
        await stage.until(lambda: stage.status(older) == "working")
        await stage.gate.cancel(TRADER, older, key=stage.key(), correlation="test")
        new = await stage.accepted(limit="4810")
        await stage.until(lambda: stage.status(new) == "filled")
        assert (await kinds(stage, older)).count("CancelRequested") == 1


async def test_a_market_order_leaves_as_the_limit_order_that_the_client_is_shown() -> None:
    converting = {"instruments": {"ESH4": {**HOUSE, "market_to_limit_percent": "0.5"}}}
    async with Stage(limits=converting) as stage:
        answer = await stage.place(limit=None)
        assert isinstance(answer, Answer)
        told = stage.body(answer)
        assert (told["type"], told["converted_from"], told["limit_price"]) == ("limit", "market", "4824.25")
        await stage.until(lambda: stage.status(answer.order_id) == "filled")
        sent = next(iter(stage.exchange.orders())).terms
        assert (sent.type, str(sent.limit_price)) == (OrderType.LIMIT, "4824.25")
        (accepted,) = stage.listener.frames_of("order_accepted")
        assert accepted["order"]["converted_from"] == "market"


HOUSE = {
    "max_order_quantity": "100",
    "max_order_notional": "100000000",
    "max_long": "1000",
    "max_short": "1000",
    "collar_percent": "10",
    "initial_margin": "1",
}


def never_canceled(call: Call) -> Fate:
    return LostCall() if call is Call.CANCEL else Delivered()


async def test_a_market_order_is_known_again_after_a_restart_whatever_its_limit_has_become() -> None:
    its = {**HOUSE, "market_to_limit_percent": "0.5"}
    limits = {"duplicate_window_s": "60", "instruments": {"ESH4": its}}
    async with Stage(limits=limits) as stage:
        await stage.accepted(limit=None)
        stage.price(Decimal(4810))
        await stage.restart()
        answer = await stage.place(limit=None)
        assert isinstance(answer, Answer)
        assert [no.control for no in answer.failed] == ["R16"]
