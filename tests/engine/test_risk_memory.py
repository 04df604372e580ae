"""What risk must not forget: losses, the day's highest profit, runs of the price, and who is new."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import cast

import msgspec
import pytest

from ordergate.core.ids import AccountId, Paper
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Refusal
from ordergate.core.risk.profit import Sums
from ordergate.core.risk.view import MarketHours
from ordergate.engine.answering.answers import Answer
from ordergate.engine.node import Node
from ordergate.engine.reconciling.rhythm import Rhythm
from ordergate.engine.wire.dispatcher import Pace
from ordergate.engine.world import Served, World
from ordergate.ports.journal import Taken
from tests.engine.stage import ACCOUNT, ES, LIMITS, TRADER, Stage

DAY = {"zone": "America/Chicago", "ends_at": "17:00"}


async def held(stage: Stage, quantity: int, price: int, side: Side = Side.BUY) -> None:
    """Trade so much at that price."""
    before = stage.held(ES)
    stage.exchange.mark(ES, Decimal(price))
    await stage.accepted(side=side, quantity=quantity, limit=str(price))
    await stage.until(lambda: stage.held(ES) == before + side.sign * quantity)


async def refused(stage: Stage, side: Side = Side.BUY, quantity: int = 1) -> set[str]:
    """The controls that refuse an order, with their reasons."""
    answer = await stage.place(side=side, quantity=quantity, limit="4790")
    assert isinstance(answer, Answer), answer
    return {f"{no.control} {no.reason}" for no in answer.failed}


async def test_a_loss_limit_may_cancel_what_is_open_and_leave_the_account_to_a_person() -> None:
    limits = {"losses": {"max_daily_loss": "1000"}, "trading_day": DAY, "losses_cancel_all": True}
    async with Stage(limits=limits) as stage:
        await held(stage, 2, 4800)
        resting = await stage.accepted(side=Side.BUY, quantity=1, limit="4700")
        await stage.until(lambda: stage.status(resting) == "working")
        stage.price(Decimal(4790))
        await stage.until(lambda: stage.status(resting) == "canceled")
        (stop,) = stage.node.gate.kill_state().stops
        assert (stop.level, stop.grade, stop.trip) == ("account", "cancel_all", "loss-limit")


async def test_a_loss_limit_that_was_reached_holds_over_a_restart_and_a_recovery_of_the_market() -> None:
    limits = {"losses": {"max_daily_loss": "1000"}, "trading_day": DAY}
    async with Stage(limits=limits) as stage:
        await held(stage, 2, 4800)
        stage.price(Decimal("4790.25"))
        assert await refused(stage) == set()
        stage.price(Decimal(4790))  # ten points of two contracts at fifty each
        assert await refused(stage) == {"R18 daily-loss"}
        await stage.until(lambda: "loss_limit_reached" in stage.listener.kinds)
        stage.price(Decimal(4800))
        await stage.clock.move(5)
        assert await refused(stage) == {"R18 daily-loss"}
        await stage.restart()
        assert await refused(stage) == {"R18 daily-loss"}
        assert await refused(stage, Side.SELL) == set()
        assert stage.listener.kinds.count("loss_limit_reached") == 1
        (alarm,) = stage.listener.frames_of("alarm_raised")
        assert alarm["detail"]["nature"] == "loss_limit"
        await stage.clock.move(timedelta(hours=8).total_seconds())  # 17:00 in Chicago is 23:00 here
        stage.price(Decimal(4800))
        assert "R18 daily-loss" not in await refused(stage)


def sums(stage: Stage) -> Sums:
    assert stage.seat.limits is not None
    assert stage.seat.limits.trading_day is not None
    return stage.lane.books.profit.of(stage.seat.limits.trading_day, stage.clock.now())


async def test_what_was_realised_today_is_counted_anew_from_the_journal() -> None:
    limits = {"losses": {"max_daily_loss": "1000", "max_trades": 3}, "trading_day": DAY}
    async with Stage(limits=limits) as stage:
        await held(stage, 2, 4800)
        await held(stage, 2, 4791, Side.SELL)
        stage.price(Decimal(4791))
        assert await refused(stage) == set()
        assert await refused(stage) == {"R18 trade-count"}
        before = sums(stage)
        assert (before.day.realised, before.day.trades) == (Decimal(-900), 2)
        await stage.restart()
        after = sums(stage)
        assert after.day == before.day
        assert await refused(stage) == {"R18 trade-count"}


async def test_the_highest_profit_of_the_day_survives_a_restart() -> None:
    limits = {"losses": {"max_drawdown": "1000"}, "trading_day": DAY}
    async with Stage(limits=limits) as stage:
        await held(stage, 1, 4800)
        stage.price(Decimal(4840))
        await stage.until(lambda: "high_water_raised" in stage.listener.kinds)
        await stage.restart()
        stage.price(Decimal("4820.25"))
        assert await refused(stage) == set()
        stage.price(Decimal(4820))
        assert await refused(stage) == {"R18 drawdown"}


@pytest.mark.parametrize("ahead_s", [0, 7_200], ids=["a true clock", "a clock that runs ahead meanwhile"])
async def test_a_run_of_the_price_is_remembered_over_a_restart(ahead_s: int) -> None:
    each = {"drift_percent": "1", **LIMITED}
    async with Stage(limits={"drift_window_s": "3600", "instruments": {"ESH4": each}}) as stage:
        await stage.accepted(limit="4800")
        stage.price(Decimal(4860))
        assert await drifted(stage)
        stage.clock.wrong_by = timedelta(seconds=ahead_s)
        await stage.restart()
        stage.clock.wrong_by = timedelta()
        assert await drifted(stage)
        await stage.clock.move(3601)
        stage.price(Decimal(4860))
        assert not await drifted(stage)


LIMITED = {
    "max_order_quantity": "100",
    "max_order_notional": "100000000",
    "max_long": "1000",
    "max_short": "1000",
    "collar_percent": "10",
    "initial_margin": "1",
}


async def drifted(stage: Stage) -> bool:
    answer = await stage.place(limit="4860")
    assert isinstance(answer, Answer)
    return [no.control for no in answer.failed] == ["R09"]


async def test_the_first_days_of_a_strategy_are_counted_from_its_first_order_in_the_journal() -> None:
    async with Stage(limits={"canary": {"days": 5, "percent": "2"}}) as stage:
        assert await of_strategy(stage, 2) == set()
        assert await of_strategy(stage, 3) == {"R27"}
        await stage.clock.move(timedelta(days=5).total_seconds())
        await stage.restart()
        await stage.until(lambda: stage.seat.freshness.stale_since is None)
        assert await of_strategy(stage, 3) == set()


async def of_strategy(stage: Stage, quantity: int) -> set[str]:
    stage.price(Decimal(4800))
    terms = Terms(
        account=ACCOUNT,
        symbol=ES,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        limit_price=Decimal(4790),
        time_in_force=TimeInForce.GTC,
        strategy="mean-reversion",
        strategy_version="2",
        user="ada",
    )
    answer = await stage.gate.place(TRADER, terms, key=stage.key(), correlation="test")
    assert not isinstance(answer, Refusal)
    return {no.control for no in answer.failed}


async def test_the_firms_exposure_is_known_once_every_account_is_back_and_kept_while_one_recovers() -> None:
    limits = {"shared_exposure": {"firm": {"max_gross": "720000"}}}
    async with Stage(limits=limits) as stage:
        await stage.until(lambda: stage.lane.books.valuation.shared)
        await held(stage, 2, 4800)
        assert await refused(stage, quantity=2) == {"R12 gross-exposure"}
        assert await refused(stage) == set()
        assert await refused(stage) == {"R12 gross-exposure"}
        firm = stage.seat.groups["firm"]
        before = firm.gross
        stage.lane.stop(RuntimeError("distrusted"))
        assert firm.gross == before
        await stage.until(lambda: not stage.gate.readiness())
        await stage.until(lambda: stage.lane.books.valuation.shared)
        assert firm.gross == before
        assert await refused(stage) == {"R12 gross-exposure"}


async def test_accounts_of_one_owner_and_of_one_group_know_each_other() -> None:
    async with Stage() as stage:
        served = [
            Served(AccountId("P-A"), stage.broker, LIMITS, owner="ada", groups=("desk",)),
            Served(AccountId("P-B"), stage.broker, LIMITS, owner="ada"),
            Served(AccountId("P-C"), stage.broker, LIMITS, groups=("desk",)),
        ]
        world = cast("World[Paper]", stage.node._world)
        seats = {seat.lane.account: seat for seat in Node(world, served, rhythm=Rhythm(), pace=Pace()).lanes}
        owned = {name: [lane.account for lane in seat.own_lanes] for name, seat in seats.items()}
        assert owned == {"P-A": ["P-A", "P-B"], "P-B": ["P-B", "P-A"], "P-C": ["P-C"]}
        assert {name: sorted(seat.groups) for name, seat in seats.items()} == {
            "P-A": ["desk", "firm"], "P-B": ["firm"], "P-C": ["desk", "firm"],
        }  # fmt: skip
        assert seats[AccountId("P-A")].groups["desk"] is seats[AccountId("P-C")].groups["desk"]
        assert seats[AccountId("P-A")].groups["desk"].absent == {"P-A", "P-C"}


async def test_an_own_resting_order_is_met_by_none_of_ones_own() -> None:
    async with Stage(limits={"self_match_refused": True}) as stage:
        await stage.accepted(side=Side.SELL, limit="4810")
        answer = await stage.place(limit="4810")
        assert isinstance(answer, Answer)
        assert [no.control for no in answer.failed] == ["R21"]
        await stage.restart()
        answer = await stage.place(limit="4810")
        assert isinstance(answer, Answer)
        assert [no.control for no in answer.failed] == ["R21"]
        await stage.accepted(limit="4809")


@pytest.mark.parametrize("is_open", [True, False])
async def test_the_hours_of_the_market_are_asked_for_where_the_limits_want_them(is_open: bool) -> None:
    async with Stage(limits={"hours": "session"}) as stage:
        assert await refused(stage) == {"R22 hours-unknown"}
        stage.node.gate._judging._hours = lambda symbol, now: MarketHours(is_open=is_open)
        assert await refused(stage) == (set() if is_open else {"R22 market-closed"})


async def test_a_mark_that_is_older_than_it_may_be_makes_the_value_unknown() -> None:
    limits = {"max_gross_exposure": "10000000", "mark_max_age_s": "60"}
    async with Stage(limits=limits) as stage:
        await held(stage, 2, 4800)
        assert await refused(stage) == set()
        await stage.clock.move(61)
        await stage.until(lambda: stage.lane.books.valuation.unknown)
        assert await refused(stage) == {"R12 valuation-stale"}
        stage.price(Decimal(4800))
        await stage.until(lambda: not stage.lane.books.valuation.unknown)
        assert await refused(stage) == set()


async def test_what_is_in_shadow_is_shown_with_the_order_that_it_would_have_refused() -> None:
    each = {**LIMITED, "max_order_quantity": "1"}
    async with Stage(limits={"shadow": ["R06"], "instruments": {"ESH4": each}}) as stage:
        answer = await stage.place(quantity=2)
        assert isinstance(answer, Answer)
        noted = stage.body(answer)["noted_controls"]
        assert isinstance(noted, list)
        assert [(no["control"], no["limit"], no["value"]) for no in noted] == [("R06", "1", "2")]
        told = msgspec.json.decode(stage.listener.frames[-1])
        assert told["account_id"] == ACCOUNT


@pytest.mark.parametrize("ahead_s", [0, 3_600], ids=["a true clock", "a clock that had run ahead"])
async def test_an_order_of_before_a_restart_is_not_to_be_repeated(ahead_s: int) -> None:
    async with Stage(limits={"duplicate_window_s": "60"}) as stage:
        stage.clock.wrong_by = timedelta(seconds=ahead_s)
        await stage.accepted(quantity=2)
        stage.clock.wrong_by = timedelta()
        await stage.place(quantity=9)  # a step back costs the message window what was in it
        await stage.clock.move(1)
        await stage.accepted(quantity=3)
        await stage.clock.move(1)
        await stage.restart()
        again = await stage.place(quantity=3)
        assert isinstance(again, Answer)
        assert [no.control for no in again.failed] == ["R16"]


async def test_messages_of_before_a_restart_still_count() -> None:
    async with Stage(limits={"message_windows": [[3, 3600]]}) as stage:
        for _ in range(3):
            assert await refused(stage) == set()
        assert await refused(stage) == {"R15 message-rate"}
        await stage.restart()
        assert await refused(stage) == {"R15 message-rate"}
        await stage.clock.move(1300)
        assert await refused(stage) == set()
        stage.lane.stop(RuntimeError("distrusted"))
        await stage.until(lambda: not stage.gate.readiness())
        assert await refused(stage) == {"R15 message-rate"}


async def test_messages_of_before_a_restart_count_though_the_limits_are_read_after_the_account() -> None:
    async with Stage(limits={"message_windows": [[2, 3600]]}) as stage:
        await stage.accepted()
        await stage.accepted()
        assert await refused(stage) == {"R15 message-rate"}
        await stage.crash()
        known, take = asyncio.Event(), stage.journal.take

        async def late(account: AccountId) -> Taken:
            if account == AccountId("P-LIMITS"):
                await known.wait()
            return await take(account)

        stage.journal.take = late  # type: ignore[method-assign]  # the database answers in another order
        await stage.start(ready=False)
        await stage.until(lambda: stage.seat.trouble is None)
        known.set()
        await stage.until(lambda: not stage.gate.readiness())
        assert await refused(stage) == {"R15 message-rate"}
