"""A dry run judges every control by what the journal has of the moment, and says which it could not judge."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ordergate.core.ids import AccountId, OrderId, Symbol
from ordergate.core.orders.events import OrderDenied
from ordergate.core.orders.terms import Side
from ordergate.core.risk.rules import Mode, Rule
from ordergate.core.risk.view import MarketHours
from ordergate.engine.answering.answers import Answer
from ordergate.engine.limits.rehearsal import NotJudged, Rehearsed
from ordergate.ports.market_data import Quote
from tests.engine.groups import bracket, group, placed
from tests.engine.limit_people import ANNA, edited, rule, setting
from tests.engine.stage import ACCOUNT, ES, START, Stage
from tests.engine.test_risk_memory import of_strategy

DAY = {"zone": "America/Chicago", "ends_at": "17:00"}


def open_for_a_minute(symbol: Symbol, at: datetime) -> MarketHours:
    return MarketHours(is_open=at < START + timedelta(seconds=60))


def its(**limits: str) -> dict[str, Any]:
    return {"instruments": {"ESH4": limits}}


def losses(**limits: Any) -> dict[str, Any]:
    return {"losses": limits, "trading_day": DAY}


def drift(percent: str) -> dict[str, Any]:
    return {"drift_window_s": "3600", **its(drift_percent=percent)}


async def rehearsed(stage: Stage, *rules: Rule, orders: int = 100, shadows: bool = False) -> Rehearsed:
    found = await stage.node.limits.dry_run(ANNA, ACCOUNT, rules, prune=False, orders=orders, shadows=shadows)
    assert isinstance(found, Rehearsed), found
    return found


def refused(found: Rehearsed) -> dict[str, list[str]]:
    """By order, what would refuse it."""
    return {one.order_id: [f"{no.control} {no.reason}" for no in one.newly] for one in found.differences}


async def bought(stage: Stage, quantity: int, price: int, side: Side = Side.BUY) -> OrderId:
    """Trade so much at that price, which is the market's as well."""
    before = stage.held(ES)
    stage.exchange.mark(ES, Decimal(price))
    stage.price(Decimal(price))
    order = await stage.accepted(side=side, quantity=quantity, limit=str(price))
    await stage.until(lambda: stage.held(ES) == before + side.sign * quantity)
    return order


async def denied(stage: Stage, **asked: Any) -> set[str]:
    answer = await stage.place(**asked)
    assert isinstance(answer, Answer), answer
    assert answer.failed
    return {no.control for no in answer.failed}


GENEROUS = (
    pytest.param(drift("50"), id="drift"),
    pytest.param({"max_gross_exposure": "999999999", "max_net_exposure": "999999999"}, id="exposure"),
    pytest.param({"shared_exposure": {"firm": {"max_gross": "999999999"}}}, id="exposure of the firm"),
    pytest.param(losses(max_daily_loss="99999999", max_drawdown="99999999", max_trades=99), id="losses"),
    pytest.param(its(max_concentration_percent="100000"), id="concentration"),
    pytest.param({"self_match_refused": True}, id="self-match"),
    pytest.param({"hours": "session"}, id="hours"),
    pytest.param({"canary": {"days": 5, "percent": "100"}}, id="canary"),
    pytest.param(
        its(
            max_volume_percent="100",
            average_daily_volume="1000",
            average_daily_volume_at=(START + timedelta(days=30)).isoformat(),
        ),
        id="volume, known as of later",
    ),
    pytest.param(
        {
            "restricted": {
                "as_of": (START + timedelta(days=30)).isoformat(),
                "source": "compliance",
                "max_age_hours": 24,
                "symbols": {},
            }
        },
        id="restricted list of later",
    ),
)


@pytest.mark.parametrize("limits", GENEROUS)
async def test_a_generous_limit_refuses_none_of_the_orders(limits: dict[str, Any]) -> None:
    async with Stage(hours=open_for_a_minute) as stage:
        await bought(stage, 2, 4800)
        await stage.accepted(limit="4790")
        await stage.accepted(limit=None)
        found = await rehearsed(stage, rule(limits))
        assert (found.orders, found.would_refuse, found.differences) == (3, 0, ())
        assert (found.not_judged, found.unlisted) == ((), 0)


async def three(stage: Stage) -> tuple[OrderId, OrderId, OrderId]:
    """Two are bought at 4800, one is asked for, and one more when the market has come down to 4780."""
    first = await bought(stage, 2, 4800)
    second = await stage.accepted(limit="4790")
    await stage.clock.move(100)
    stage.price(Decimal(4780))
    third = await stage.accepted(quantity=2, limit="4770")
    return first, second, third


TIGHT = (
    pytest.param({"max_gross_exposure": "500000"}, "R12 gross-exposure", (1, 2), id="gross"),
    pytest.param({"max_net_exposure": "720000"}, "R12 net-exposure", (2,), id="net"),
    pytest.param(
        {"shared_exposure": {"firm": {"max_gross": "720000"}}}, "R12 gross-exposure", (2,), id="firm"
    ),
    pytest.param(losses(max_daily_loss="2000"), "R18 daily-loss", (2,), id="daily loss"),
    pytest.param(losses(max_trades=1), "R18 trade-count", (1, 2), id="trades"),
    pytest.param({"hours": "session"}, "R22 market-closed", (2,), id="hours"),
    pytest.param({"canary": {"days": 5, "percent": "1"}}, "R27 canary", (0, 2), id="canary"),
)


@pytest.mark.parametrize(("limits", "why", "which"), TIGHT)
async def test_a_tight_limit_refuses_exactly_those_it_would_have(
    limits: dict[str, Any], why: str, which: tuple[int, ...]
) -> None:
    async with Stage(hours=open_for_a_minute) as stage:
        orders = await three(stage)
        found = await rehearsed(stage, rule(limits))
        expected = {orders[number] for number in which}
        assert {order for order, whys in refused(found).items() if why in whys} == expected
        assert found.would_refuse == len(expected)
        assert found.not_judged == ()


async def test_a_tight_concentration_refuses_what_would_have_been_too_large_a_part() -> None:
    async with Stage() as stage:
        await bought(stage, 1, 4800)
        worth = stage.lane.books.account.cash  # type: ignore[union-attr]  # it has been opened
        order = await stage.accepted(quantity=3, limit="4790")
        percent = Decimal(50 * 4800 * 3) / worth * 100
        found = await rehearsed(stage, rule(its(max_concentration_percent=f"{percent:.2f}")))
        assert refused(found) == {order: ["R19 concentration"]}


async def test_drift_is_measured_from_the_prices_at_which_orders_were_accepted() -> None:
    async with Stage() as stage:
        await stage.accepted(limit="4700")
        stage.price(Decimal(4860))
        order = await stage.accepted(limit="4850")
        assert refused(await rehearsed(stage, rule(drift("1")))) == {order: ["R09 price-drift"]}
        assert refused(await rehearsed(stage, rule(drift("1")), orders=1)) == {order: ["R09 price-drift"]}


async def test_an_order_that_would_have_met_an_own_one_is_named() -> None:
    async with Stage() as stage:
        await stage.accepted(side=Side.SELL, limit="4810")
        order = await stage.accepted(limit="4810")
        await stage.accepted(limit="4790")
        found = await rehearsed(stage, rule({"self_match_refused": True}))
        assert refused(found) == {order: ["R21 self-match"]}


async def test_a_version_of_a_strategy_is_new_in_its_first_days_alone() -> None:
    async with Stage() as stage:
        for _ in range(2):
            stage.price(Decimal(4800))
            assert await of_strategy(stage, 3) == set()
            await stage.clock.move(timedelta(days=5).total_seconds())
            await stage.until(lambda: stage.seat.freshness.stale_since is None)
        found = await rehearsed(stage, rule({"canary": {"days": 5, "percent": "2"}}))
        assert [[no.control for no in one.newly] for one in found.differences] == [["R27"]]
        assert found.differences[0].at < START + timedelta(days=5)


async def test_a_loss_that_was_reached_would_have_held_until_the_day_was_over() -> None:
    async with Stage() as stage:
        await bought(stage, 2, 4800)
        stage.price(Decimal(4780))
        lost = await stage.accepted(limit="4760")
        await stage.clock.move(2)
        stage.price(Decimal(4800))
        later = await stage.accepted(limit="4765")
        closing = await stage.accepted(side=Side.SELL, limit="4820")
        await stage.clock.move(timedelta(hours=9).total_seconds())
        await stage.until(lambda: stage.seat.freshness.stale_since is None)
        stage.price(Decimal(4800))
        next_day = await stage.accepted(limit="4770")
        for limits in (losses(max_daily_loss="2000"), losses(max_drawdown="2000")):
            found = refused(await rehearsed(stage, rule(limits)))
            assert set(found) == {lost, later}
            assert not {closing, next_day} & set(found)
        assert set(refused(await rehearsed(stage, rule(losses(max_daily_loss="2000")), orders=3))) == {later}


CHANGES = (
    pytest.param({"max_gross_exposure": "900000"}, {"max_gross_exposure": "600000"}, "R12", id="exposure"),
    pytest.param(losses(max_daily_loss="9000"), losses(max_daily_loss="500"), "R18", id="losses"),
    pytest.param(drift("5"), drift("0.1"), "R09", id="drift"),
    pytest.param(
        {"canary": {"days": 5, "percent": "50"}}, {"canary": {"days": 5, "percent": "1"}}, "R27", id="canary"
    ),
)


@pytest.mark.parametrize(("standing", "proposed", "control"), CHANGES)
async def test_a_change_of_a_limit_that_there_is_shows_the_difference(
    standing: dict[str, Any], proposed: dict[str, Any], control: str
) -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule(standing)))
        await bought(stage, 2, 4800)
        stage.price(Decimal(4790))
        order = await stage.accepted(limit="4796")
        found = await rehearsed(stage, rule(proposed))
        assert control in {no.control for one in found.differences for no in one.newly}
        assert (await rehearsed(stage, rule(standing))).differences == ()
        assert control == "R27" or set(refused(found)) == {order}


async def test_what_a_limit_refused_would_be_accepted_where_it_is_looser() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule({"max_gross_exposure": "500000"})))
        await bought(stage, 2, 4800)
        assert await denied(stage, limit="4790") == {"R12"}
        found = await rehearsed(stage, rule({"max_gross_exposure": "900000"}))
        assert (found.would_refuse, found.would_accept, found.not_judged) == (0, 1, ())
        assert found.differences[0].no_longer == ("R12",)


async def test_a_denied_order_is_judged_at_the_price_of_its_own_decision() -> None:
    async with Stage() as stage:
        await stage.accepted(limit="4800")
        await edited(stage, setting(rule(its(max_order_quantity="5", collar_percent="1"))))
        stage.price(Decimal(4900))
        assert await denied(stage, quantity=6, limit="4890") == {"R06"}  # ninety above the price before
        found = await rehearsed(stage, rule(its(max_order_quantity="9", collar_percent="1")))
        assert (found.would_accept, found.differences[0].no_longer) == (1, ("R06",))


async def test_the_price_is_as_old_as_it_was() -> None:
    async with Stage() as stage:
        await stage.clock.move(30)
        await stage.until(lambda: stage.seat.freshness.stale_since is None)
        order = await stage.accepted(limit="4790")
        age = (await reference_age(stage, order)).total_seconds()
        own = stage.node.limits.rule(ANNA, f"settings:{ACCOUNT}")
        assert isinstance(own, Rule)
        for most, expected in ((age - 1, 1), (age + 1, 0)):
            tried = msgspec.structs.replace(
                own, limits={**own.limits, "reference_price_max_age_s": str(most)}
            )
            assert (await rehearsed(stage, tried)).would_refuse == expected


async def reference_age(stage: Stage, order: OrderId) -> timedelta:
    (first, *_) = await stage.journal.history(order)
    basis = getattr(first.event, "basis", None)
    assert basis is not None
    return first.at - basis.reference_at  # type: ignore[no-any-return]  # of whatever event


async def test_a_price_that_no_decision_wrote_down_is_no_refusal() -> None:
    async with Stage() as stage:
        await stage.accepted(limit="4790")
        await edited(stage, setting(rule(its(max_order_quantity="5"))))
        assert await denied(stage, quantity=6) == {"R06"}
        forgets_the_basis(stage)
        found = await rehearsed(stage, rule(its(max_order_quantity="9")))
        assert found.would_accept == 1
        assert NotJudged(control="R07", orders=1) in found.not_judged
        assert "R07" in found.differences[0].not_judged


def forgets_the_basis(stage: Stage) -> None:
    """As releases wrote a denial that knew nothing of its price."""
    real = stage.journal.read

    async def read(*asked: Any, **more: Any) -> Any:
        async for stored in real(*asked, **more):
            event = stored.event
            if isinstance(event, OrderDenied):
                event = msgspec.structs.replace(event, basis=None, reference_price=None)
            yield msgspec.structs.replace(stored, event=event)

    stage.journal.read = read  # type: ignore[method-assign]  # the old journal


async def test_a_market_order_whose_quote_was_not_kept_is_not_judged_by_it() -> None:
    async with Stage() as stage:
        await stage.accepted(limit=None)
        await stage.accepted(limit="4790")
        found = await rehearsed(stage, rule(its(market_spread_percent="5")))
        assert (found.would_refuse, found.differences) == (0, ())
        assert found.not_judged == (NotJudged(control="R10", orders=1),)


async def test_a_quote_that_was_a_reason_to_refuse_is_judged_by() -> None:
    async with Stage() as stage:
        await edited(stage, setting(rule(its(market_spread_percent="1"))))
        stage.node.prices.take(wide(stage.clock.now()))
        assert await denied(stage, limit=None) == {"R10"}
        for percent, accepted in (("5", 1), ("2", 0)):
            found = await rehearsed(stage, rule(its(market_spread_percent=percent)))
            assert (found.would_accept, found.not_judged) == (accepted, ())


def wide(at: datetime) -> Quote:
    one = Decimal(1)
    return Quote(symbol=ES, bid=Decimal(4700), bid_size=one, ask=Decimal(4900), ask_size=one, at=at)


async def test_hours_that_no_calendar_knows_refuse_as_they_would() -> None:
    async with Stage() as stage:
        order = await stage.accepted(limit="4790")
        found = await rehearsed(stage, rule({"hours": "session"}))
        assert refused(found) == {order: ["R22 hours-unknown"]}


async def test_a_day_before_the_calendar_begins_is_not_judged() -> None:
    def hours(symbol: Symbol, at: datetime) -> MarketHours | None:
        return MarketHours(is_open=True) if at >= START + timedelta(seconds=60) else None

    async with Stage(hours=hours) as stage:
        await stage.accepted(limit="4790")
        await stage.clock.move(100)
        await stage.accepted(limit="4780")
        found = await rehearsed(stage, rule({"hours": "session"}))
        assert (found.would_refuse, found.not_judged) == (0, (NotJudged(control="R22", orders=1),))


async def test_what_other_accounts_had_open_is_not_in_the_journal_of_this_one() -> None:
    async with Stage(others=[AccountId("P-OTHER")]) as stage:
        stage.seat.own_lanes = tuple(seat.lane for seat in stage.node.lanes)
        await stage.accepted(side=Side.SELL, limit="4810")
        order = await stage.accepted(limit="4810")
        firm = {"shared_exposure": {"firm": {"max_gross": "1"}}}
        found = await rehearsed(stage, rule({"self_match_refused": True, **firm}))
        assert refused(found) == {order: ["R21 self-match"]}
        counted = {one.control: one.orders for one in found.not_judged}
        assert counted == {"R12": 2, "R21": 1}


async def test_an_own_limit_is_judged_where_the_groups_sum_is_not_known() -> None:
    async with Stage(others=[AccountId("P-OTHER")]) as stage:
        order = await stage.accepted(limit="4790")
        limits = {"shared_exposure": {"firm": {"max_gross": "999999999"}}, "max_gross_exposure": "1"}
        found = await rehearsed(stage, rule(limits))
        assert refused(found) == {order: ["R12 gross-exposure"]}
        assert found.not_judged == ()


async def test_an_order_of_a_group_is_judged_as_one() -> None:
    async with Stage() as stage:
        one = await placed(stage, bracket(4))
        await stage.until(lambda: stage.held(ES) == 4)
        await stage.until(lambda: len(group(stage, one).released) > 1)
        found = await rehearsed(stage, rule({"max_gross_exposure": "1", "max_open_orders": 0}))
        assert found.orders > 1
        assert found.would_refuse == 1  # the entry: what exits is asked less


async def test_what_is_in_shadow_is_neither_refused_nor_said_to_be_unknown() -> None:
    async with Stage() as stage:
        await stage.accepted(limit=None)
        shadow = rule({**its(market_spread_percent="5"), "max_gross_exposure": "1"}, mode=Mode.SHADOW)
        quiet = await rehearsed(stage, shadow)
        assert (quiet.differences, quiet.not_judged) == ((), ())
        loud = await rehearsed(stage, shadow, shadows=True)
        assert loud.would_refuse == 1
        assert loud.not_judged == (NotJudged(control="R10", orders=1),)
