"""What an account is worth at the last prices, over REST with a whole engine behind it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ordergate.core.access import Principal, Scope
from ordergate.core.instruments import AssetClass
from ordergate.engine.worth.appraising import Appraising
from tests.api.over_engine import client_of
from tests.engine.killing import hold
from tests.engine.stage import ACCOUNT, ES, INSTRUMENT, TRADER, Stage
from tests.engine.test_converting import TABLE, in_euros


async def shown(stage: Stage, who: Principal = TRADER) -> dict[str, Any]:
    async with client_of(stage, who) as client:
        answer = await client.get(f"/v1/accounts/{ACCOUNT}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_future_is_worth_what_no_cash_shows_yet() -> None:
    async with Stage() as stage:
        await hold(stage, 2)
        stage.price(Decimal(4810))
        told = await shown(stage)
    (held,) = told["positions"]
    assert (held["symbol"], held["quantity"], held["mark"]) == (ES, "2", "4810")
    assert held["unrealised_pnl"] == "1000"
    assert Decimal(told["equity"]) == Decimal(told["balances"][0]["cash"]) + 1000


async def test_who_may_not_see_the_market_is_told_no_price_and_nothing_that_tells_one() -> None:
    who = msgspec.structs.replace(TRADER, scopes=TRADER.scopes - {Scope.MARKET_DATA_READ})
    async with Stage() as stage:
        await hold(stage, 2)
        stage.price(Decimal(4810))
        told = await shown(stage, who)
    (held,) = told["positions"]
    hidden = (told["equity"], held["mark"], held["mark_at"], held["unrealised_pnl"])
    assert (held["quantity"], hidden) == ("2", (None,) * 4)


async def test_a_security_is_worth_what_it_could_be_sold_for() -> None:
    stock = msgspec.structs.replace(INSTRUMENT, asset_class=AssetClass.EQUITY)
    async with Stage() as stage:
        await hold(stage, 2)
        stage.price(Decimal(4810))
        stage.instruments[ES] = stock
        told = await shown(stage)
    value = 2 * 4810 * stock.multiplier
    assert Decimal(told["equity"]) == Decimal(told["balances"][0]["cash"]) + value


async def test_buying_power_is_what_the_broker_said_last_and_when() -> None:
    async with Stage() as stage:
        told = await shown(stage)
        said = stage.seat.buying_power
    assert said is not None
    assert (told["buying_power"], told["currency"]) == (format(said.amount, "f"), "USD")
    assert told["buying_power_at"] <= told["as_of"]


async def test_what_is_not_held_any_more_is_not_shown() -> None:
    async with Stage() as stage:
        assert (await shown(stage))["positions"] == []


async def test_without_a_price_there_is_no_profit_and_no_equity() -> None:
    async with Stage() as stage:
        await hold(stage, 1)
        snapshot = await stage.views.snapshot(ACCOUNT)
        assert snapshot is not None
        blind = Appraising(stage.node.lanes, lambda _: None, stage.instruments, stage.clock)
        told = blind.of(ACCOUNT, snapshot)
    assert [(one.mark, one.mark_at, one.unrealised_pnl) for one in told.positions] == [(None, None, None)]
    assert told.equity is None


async def test_an_account_that_no_engine_has_shows_what_is_stored_and_nulls() -> None:
    async with Stage() as stage:
        snapshot = await stage.views.snapshot(ACCOUNT)
        assert snapshot is not None
        idle = Appraising(type(stage.node.lanes)(), lambda _: None, stage.instruments, stage.clock)
        told = idle.of(ACCOUNT, snapshot)
    assert (told.currency, told.equity, told.buying_power) == (None, None, None)


@pytest.mark.parametrize(("age_s", "known"), [(0, True), (2 * 86_400, False)])
async def test_what_is_held_in_another_currency_counts_while_its_rate_is_young(
    age_s: float, *, known: bool
) -> None:
    async with in_euros(Stage(limits=TABLE)) as stage:
        await stage.until(lambda: stage.lane.books.valuation.marked_at)
        await hold(stage, 1)
        stage.price(Decimal(4810))
        await stage.clock.move(age_s)
        told = await shown(stage)
    cash = sum(Decimal(one["cash"]) for one in told["balances"] if one["currency"] == "USD")
    assert told["positions"][0]["unrealised_pnl"] == "500"
    assert told["equity"] == (format(cash + 625, "f") if known else None)
