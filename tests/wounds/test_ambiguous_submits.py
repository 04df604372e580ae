"""An order whose answer was lost: where others guessed, sent it again or forgot it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ordergate.brokers._shared.lines import HttpLimits
from ordergate.brokers.paper import fates
from ordergate.core.orders.terms import OrderType, TimeInForce
from ordergate.engine.answering.answers import Answer
from ordergate.ports.broker import Rejected, Unknown, no_veto
from tests.brokers import alpaca_documents as documents
from tests.brokers.alpaca_account import broker_of
from tests.brokers.sockets import Act, ByteServer, hangs, resets, says
from tests.brokers.world import HandClock, our_id, terms
from tests.engine.groups import has_ended, placed, trailing
from tests.engine.stage import ES, Stage
from tests.wounds.scenes import at_exchange, held, limit_to, lose, placing

UNCLEAR: dict[str, Act] = {
    "silence": hangs,
    "a reset": resets,
    "500": says(500),
    "502": says(502, b"<html>", Content_Type="text/html"),
    "503": says(503),
    "504": says(504),
    "429": says(429, documents.error("too many requests.")),
    "404": says(404, documents.error("endpoint not found.")),
}
QUICK = HttpLimits(connect_s=1.0, total_s=1.0)
PLACES_MAX = 6


@pytest.mark.parametrize("name", UNCLEAR)
async def test_tektii_defect_1_a_place_without_an_answer_is_one_post_under_our_own_id(
    server: ByteServer, clock: HandClock, name: str
) -> None:
    """A submit was repeated up to three times on a timeout, without any id to tell the copies apart."""
    server.play(UNCLEAR[name])
    broker = broker_of(server.url, clock, http=QUICK)
    await broker.place(our_id(1), terms(), no_veto)
    await broker.close()
    assert server.paths() == ["POST /v2/orders"]
    assert server.seen[0].json["client_order_id"] == our_id(1)


async def test_openalice_91_only_what_never_left_is_sent_again_and_not_for_ever() -> None:
    """A submit was repeated without knowing what had become of the first."""
    async with Stage(fate=placing(*[fates.NotSent()] * 100)) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "rejected")
        assert held(stage, order).reason == "no connection"
        assert len(at_exchange(stage)) == 0


async def test_trading_gpt_94_a_place_that_may_have_left_is_not_sent_again() -> None:
    """The same elsewhere: a submit was repeated after an error, whatever it had been."""
    asked = 0

    def fate(call: fates.Call) -> fates.Fate:
        nonlocal asked
        asked += call is fates.Call.PLACE
        return fates.LateCall() if call is fates.Call.PLACE else fates.Delivered()

    async with Stage(fate=fate, resend_is_safe=False) as stage:
        order = await stage.accepted(limit=None)
        await stage.until(lambda: stage.status(order) == "unknown")
        for _ in range(80):
            await stage.clock.move(0.25)
        assert asked == 1


async def test_catalyst_317_an_order_sent_again_carries_the_id_of_the_first() -> None:
    """The same elsewhere: an order that may have gone through was entered again."""
    async with Stage(fate=placing(fates.LateCall())) as stage:
        order = await stage.accepted(limit=None)
        await stage.until(lambda: stage.status(order) == "filled")
        stage.broker.let_late_calls_in()
        await stage.until(lambda: held(stage, order).cum_qty == 1)
        assert [it.cl_ord_id for it in at_exchange(stage)] == [held(stage, order).cl_ord_id]
        assert stage.held(ES) == 1


async def test_typedtrader_1178_attempts_to_send_have_an_end() -> None:
    """Retries of a POST were set to twenty, and in one place to infinity."""
    asked = 0

    def fate(call: fates.Call) -> fates.Fate:
        nonlocal asked
        asked += call is fates.Call.PLACE
        return fates.NotSent() if call is fates.Call.PLACE else fates.Delivered()

    async with Stage(fate=fate) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "rejected")
        for _ in range(80):
            await stage.clock.move(0.25)
        assert asked == PLACES_MAX


async def test_nautilus_4152_an_ambiguous_submit_is_unknown_not_rejected() -> None:
    """A submit whose outcome nobody knew became "rejected" after a few look-ups; it was alive."""
    async with Stage(fate=placing(fates.LateCall()), resend_is_safe=False) as stage:
        limit_to(stage, max_open_orders=1)
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        for _ in range(40):
            await stage.clock.move(0.25)
            assert stage.status(order) == "unknown"
        second = await stage.place()
        assert isinstance(second, Answer)
        assert [failed.control for failed in second.failed] == ["R14"], "it keeps its place in the limits"
        stage.broker.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "working")
        assert "order_rejected" not in stage.listener.kinds


async def test_nautilus_4160_a_market_order_filled_at_once_is_filled_whatever_was_heard() -> None:
    """Market orders that filled at once were resolved as rejected, and the position stayed open."""
    async with Stage(fate=placing(fates.LostAnswer()), resend_is_safe=False) as stage:
        lose(stage)
        order = await stage.accepted(limit=None)
        await stage.until(lambda: stage.status(order) == "filled")
        assert stage.held(ES) == 1
        assert "order_rejected" not in stage.listener.kinds


async def test_hummingbot_6901_a_timeout_is_no_failure_of_the_order() -> None:
    """A timeout was told to the strategy as a failed order while the order was live."""
    async with Stage(fate=placing(fates.LostAnswer()), resend_is_safe=False) as stage:
        lose(stage)
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        assert "outcome_unknown" in stage.listener.kinds
        assert not {"order_rejected", "order_canceled"} & set(stage.listener.kinds)


async def test_hummingbot_3374_six_orders_given_up_for_dead_are_booked_when_they_fill() -> None:
    """Network errors orphaned six buys; all of them filled later, unknown to the bot."""
    async with Stage(fate=placing(*[fates.LateCall()] * 6), resend_is_safe=False) as stage:
        orders = [await stage.accepted() for _ in range(6)]
        await stage.until(lambda: all(stage.status(order) == "rejected" for order in orders))
        stage.broker.let_late_calls_in()
        stage.exchange.mark(ES, Decimal(4600))
        await stage.until(lambda: all(stage.status(order) == "filled" for order in orders))
        assert stage.held(ES) == 6


async def test_hummingbot_6107_an_order_in_doubt_is_still_in_doubt_after_a_restart() -> None:
    """Orders lost from sight were forgotten at the end of the session."""
    async with Stage(fate=placing(fates.LateCall()), resend_is_safe=False) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "unknown")
        before = stage.broker
        await stage.restart()
        assert stage.status(order) == "unknown"
        before.let_late_calls_in()
        await stage.until(lambda: stage.status(order) == "working")


async def test_ccxt_2599_an_order_filled_and_gone_before_anyone_looks_is_found() -> None:
    """An order went through after its timeout, and was closed before a look at the open orders."""
    async with Stage(fate=placing(fates.LostAnswer()), resend_is_safe=False) as stage:
        stage.broker.stream.cut("nobody listens")
        order = await stage.accepted(limit=None)
        assert [it.is_open for it in at_exchange(stage)] == [False]
        await stage.until(lambda: stage.status(order) == "filled")
        assert stage.held(ES) == 1


async def test_lean_interactive_brokers_93_every_order_of_a_batch_gets_an_outcome() -> None:
    """Some orders of a batch vanished without any status, and stayed "submitted" for ever."""
    lost = [fates.LostCall() if number % 3 == 0 else fates.Delivered() for number in range(10)]
    async with Stage(fate=placing(*lost), resend_is_safe=False) as stage:
        orders = [await stage.accepted() for _ in range(10)]
        vanished = orders[::3]
        await stage.until(lambda: all(stage.status(order) == "unknown" for order in vanished))
        await stage.until(lambda: all(stage.status(order) == "rejected" for order in vanished))
        assert {held(stage, order).reason for order in vanished} == {"never-arrived"}
        assert [stage.status(order) for order in orders if order not in vanished] == ["working"] * 6


async def test_ibx_116_an_order_placed_while_the_line_is_down_is_never_dropped_silently() -> None:
    """Orders given during a reconnect were dropped without a word, and a position haunted the books."""
    async with Stage(fate=placing(*[fates.NotSent()] * 3)) as stage:
        order = await stage.accepted(limit=None)
        await stage.until(lambda: stage.status(order) == "filled")
    async with Stage(fate=placing(*[fates.NotSent()] * 100)) as stage:
        order = await stage.accepted(limit=None)
        await stage.until(lambda: stage.status(order) == "rejected")
        assert stage.listener.kinds.count("order_rejected") == 1
        assert stage.held(ES) == 0


@pytest.mark.parametrize("kind", OrderType)
@pytest.mark.parametrize("force", TimeInForce)
async def test_lumibot_defect_8_an_order_is_sent_as_what_it_is(
    server: ByteServer, clock: HandClock, kind: OrderType, force: TimeInForce
) -> None:
    """Unsupported types went out as market orders, quantities lost their fractions, no id, no lifetime."""
    server.play(says(500))
    broker = broker_of(server.url, clock)
    order = terms(
        type=kind,
        time_in_force=force,
        quantity=Decimal("1.25"),
        limit_price=Decimal("10.5") if kind.needs_limit_price else None,
        stop_price=Decimal("11.5") if kind.needs_stop_price else None,
    )
    outcome = await broker.place(our_id(1), order, no_veto)
    await broker.close()
    if isinstance(outcome, Rejected):
        assert server.seen == [], "what cannot be said as it is, is not said"
        return
    assert isinstance(outcome, Unknown), "an error is no ending"
    sent = server.seen[0].json
    assert (sent["type"], sent["time_in_force"], sent["qty"]) == (kind.value, force.value, "1.25")
    assert sent["client_order_id"] == our_id(1)
    assert ("limit_price" in sent, "stop_price" in sent) == (kind.needs_limit_price, kind.needs_stop_price)


async def test_lumibot_defect_8_a_trailing_stop_sells_nothing_until_the_market_has_turned() -> None:
    """The worst of it: a trailing stop went out as a market order, and closed what it should have guarded."""
    async with Stage() as stage:
        bought = await stage.accepted(limit=None, quantity=4)
        await stage.until(lambda: stage.status(bought) == "filled")
        guard = await placed(stage, trailing(quantity=4))
        for _ in range(40):
            await stage.clock.move(0.25)
        assert len(at_exchange(stage)) == 1
        assert stage.held(ES) == 4
        stage.price(Decimal(4779))
        stage.exchange.mark(ES, Decimal(4779))
        await stage.until(lambda: has_ended(stage, guard))
        assert stage.held(ES) == 0
