"""What a dry run knows of the past: the same as risk did, as far as the journal goes."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest

from ordergate.core.ids import Symbol
from ordergate.core.instruments import by_any_name
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import Side
from ordergate.core.risk.rules import Rule
from ordergate.core.risk.view import MarketHours
from ordergate.engine.answering.answers import Answer
from ordergate.engine.limits.past import Others, Past
from ordergate.engine.limits.rehearsal import NotJudged
from ordergate.engine.limits.trying import Trial
from tests.engine.limit_people import ANNA, OWN, rule
from tests.engine.stage import ACCOUNT, ES, INSTRUMENT, START, Stage
from tests.engine.test_converting import MARKET, TABLE, in_euros, rate
from tests.engine.test_freshness import pass_time
from tests.engine.test_rehearsal_controls import DAY, bought, its, refused, rehearsed
from tests.engine.test_risk_memory import LIMITED
from tests.engine.test_session_queue import OPENS, House

EVERYTHING: dict[str, Any] = {
    "max_gross_exposure": "2500000",
    "max_net_exposure": "2000000",
    "shared_exposure": {"firm": {"max_gross": "2400000"}},
    "losses": {"max_daily_loss": "6000", "max_drawdown": "5000", "max_trades": 8},
    "trading_day": DAY,
    "hours": "session",
    "self_match_refused": True,
    "canary": {"days": 5, "percent": "5"},
    "drift_window_s": "60",
    "message_windows": [[6, 10]],
    "duplicate_window_s": "1",
    "instruments": {
        "ESH4": {**LIMITED, "drift_percent": "0.5", "max_concentration_percent": "2300", "max_long": "9"}
    },
}


def with_breaks(symbol: Symbol, at: datetime) -> MarketHours:
    """Ten seconds of every hundred are a break."""
    return MarketHours(is_open=(at - START).total_seconds() % 100 < 90)


def changed(stage: Stage, **limits: Any) -> Rule:
    """The account's own rule with other limits."""
    own = stage.node.limits.rule(ANNA, OWN)
    assert isinstance(own, Rule)
    return msgspec.structs.replace(own, limits={**own.limits, **limits})


@pytest.mark.parametrize("seed", range(1, 9))
async def test_under_the_rules_in_force_every_control_says_what_it_said(seed: int) -> None:
    chance = Random(seed)
    async with Stage(limits=EVERYTHING, hours=with_breaks) as stage:
        await stage.until(lambda: stage.lane.books.valuation.shared)
        for _ in range(60):
            price = Decimal(4800) + chance.randrange(-40, 41)
            stage.exchange.mark(ES, price)
            stage.price(price)
            side = chance.choice((Side.BUY, Side.SELL))
            limit = None if chance.random() < 0.1 else str(price + chance.randrange(-15, 16))
            await stage.place(side=side, quantity=chance.choice((1, 1, 2, 5, 9)), limit=limit)
            await stage.clock.move(chance.choice((1.0, 1.25, 4.0)))
        said, found = await replayed(stage)
        assert found == said
        assert len({control for controls in said for control in controls}) > 4


async def replayed(stage: Stage) -> tuple[list[set[str]], list[set[str]]]:
    """By order, what refused it and what would by the same rules."""
    desk = stage.node.limits
    past = Past(
        stage.journal,
        by_any_name(stage.instruments),
        stage.hours,
        Others(has_kin=False, alone_in=frozenset({"firm"})),
    )
    in_force = desk.in_force.by_who_asks(ACCOUNT, desk.book.policy.rules.values())
    trial = Trial(in_force, past, asked_at=stage.clock.now())
    said: list[set[str]] = []
    found: list[set[str]] = []
    async for stored in stage.journal.read(ACCOUNT, after=0):
        event = stored.event
        if (due := past.due(stored.at)) is not None:
            trial.look(due)
        if isinstance(event, e.OrderAccepted | e.OrderDenied):
            failed = event.failed if isinstance(event, e.OrderDenied) else ()
            said.append({no.control for no in failed})
            with past.met(event) as met:
                assert met is not None
                judged = trial.judged(met)
            assert judged.unknown == set()
            found.append(set(judged.failed))
            trial.message(event.at)
        await past.take(stored)
    return said, found


async def test_how_far_the_account_was_behind_is_known_of_what_it_refused() -> None:
    async with Stage() as stage:
        stage.broker.stream.cut("maintenance")
        await pass_time(stage, 12)
        answer = await stage.place()
        assert isinstance(answer, Answer)
        assert [no.control for no in answer.failed] == ["R25"]
        for most, accepted in (("60", 1), ("5", 0)):
            found = await rehearsed(stage, changed(stage, stream_stale_max_s=most))
            assert found.would_accept == accepted


async def test_what_was_kept_for_its_session_is_judged_as_it_left() -> None:
    async with House() as house:
        order = await house.kept(quantity=7)
        await house.at(OPENS)
        await house.until(lambda: house.status(order) == "working")
        assert (await rehearsed(house)).differences == ()
        found = await rehearsed(house, rule(its(max_order_quantity="5")))
        assert refused(found) == {order: ["R06 order-quantity"]}
        assert (await rehearsed(house, rule(its(max_long="7")))).differences == ()


async def test_an_order_before_those_that_are_judged_is_remembered() -> None:
    async with Stage() as stage:
        await stage.accepted(limit="4790")
        order = await stage.accepted(limit="4790")
        found = await rehearsed(stage, changed(stage, duplicate_window_s="5"), orders=1)
        assert refused(found) == {order: ["R16 duplicate"]}


@pytest.mark.parametrize("limits", [TABLE, MARKET])
async def test_amounts_are_converted_by_the_rates_of_then(limits: dict[str, Any]) -> None:
    async with in_euros(Stage(limits=limits)) as stage:
        rate(stage, "1.25")
        await stage.until(lambda: stage.lane.books.valuation.marked_at)
        order = await stage.accepted(limit="4800")  # 240 000 euros
        assert (await rehearsed(stage)).not_judged == ()
        for most, expected in (("300000", {}), ("299999", {order: ["R12 gross-exposure"]})):
            found = await rehearsed(stage, rule({"max_gross_exposure": most}))
            assert (refused(found), found.not_judged) == (expected, ())


async def test_a_rate_that_the_journal_does_not_have_is_no_refusal() -> None:
    async with in_euros(Stage(limits=TABLE)) as stage:
        await stage.until(lambda: stage.lane.books.valuation.marked_at)
        await stage.accepted(limit="4800")
        found = await rehearsed(stage, changed(stage, fx_rates=MARKET["fx_rates"]))
        assert found.differences == ()
        assert NotJudged(control="R12", orders=1) in found.not_judged


async def test_a_rate_that_is_in_no_table_refuses() -> None:
    async with in_euros(Stage(limits=TABLE)) as stage:
        await stage.until(lambda: stage.lane.books.valuation.marked_at)
        await stage.accepted(limit="4800")
        none = {"base": "USD", "rates": {"JPY": TABLE["fx_rates"]["rates"]["EUR"]}}  # type: ignore[index]  # plain
        found = await rehearsed(stage, changed(stage, fx_rates=none))
        assert "R12" in {no.control for no in found.differences[0].newly}
        assert found.not_judged == ()


async def test_what_is_held_and_has_no_price_in_the_journal_cannot_be_valued() -> None:
    held = Symbol("NQH4")
    stage = Stage(limits={"instruments": {"ESH4": LIMITED, "NQH4": LIMITED}})
    stage.instruments[held] = msgspec.structs.replace(INSTRUMENT, symbol=held)
    stage.exchange.ledger._instruments = stage.instruments  # the exchange's list is the stage's
    stage.exchange.ledger.book(held, Decimal(1), Decimal(17000), "before")
    async with stage:
        assert stage.held(held) == 1
        await stage.accepted(limit="4790")
        found = await rehearsed(stage, rule({"max_gross_exposure": "999999999"}))
        assert (found.would_refuse, found.not_judged) == (0, (NotJudged(control="R12", orders=1),))


async def test_an_order_in_what_is_not_listed_any_more_is_counted_apart() -> None:
    async with Stage() as stage:
        await stage.accepted(limit="4700")
        stage.node.limits._rehearsal._instruments = {}
        found = await rehearsed(stage, rule({"max_open_orders": 0}))
        assert (found.orders, found.unlisted, found.would_refuse) == (1, 1, 0)


async def test_a_day_of_losses_is_looked_at_from_before_the_orders_that_are_judged() -> None:
    async with Stage() as stage:
        await bought(stage, 2, 4800)
        await bought(stage, 2, 4770, Side.SELL)
        await stage.clock.move(timedelta(minutes=5).total_seconds())
        stage.price(Decimal(4800))
        order = await stage.accepted(limit="4790")
        limits = {"losses": {"max_daily_loss": "3000"}, "trading_day": DAY}
        assert refused(await rehearsed(stage, rule(limits), orders=1)) == {order: ["R18 daily-loss"]}
