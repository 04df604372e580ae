"""Somebody trades the account in Alpaca's own app, with what is not offered here: the books stay true."""

from __future__ import annotations

from typing import Any, Final

import pytest

from ordergate.core.orders.lifecycle import Status
from tests.engine import stage as stages
from tests.engine.alpaca_stage import AlpacaAccount, AlpacaAsked
from tests.engine.settling import natures
from tests.engine.stage import ES, Stage
from tests.engine.test_foreign_kinds import a_while
from tests.engine.test_unknown_outcomes import alarms

THEIRS: Final = "of-the-app"
of_every_kind = pytest.mark.parametrize(
    "changes",
    [
        {"qty": None, "notional": "50000", "type": "market", "limit_price": None},
        {"type": "trailing_stop", "trail_price": "1", "limit_price": None},
        {"time_in_force": "opg"},
        {"time_in_force": "cls"},
        {"order_class": "bracket"},
        {"order_class": "oco", "status": "held"},
        {"order_class": "mleg", "symbol": "", "side": ""},
        {"order_class": "mleg", "symbol": None, "side": None},
        {"type": "iceberg"},
        {"side": "buy_minus"},
    ],
    ids=lambda changes: " ".join(f"{key}={value}" for key, value in changes.items()),
)


@pytest.fixture
def alpaca(monkeypatch: pytest.MonkeyPatch) -> AlpacaAccount:
    account = AlpacaAccount()
    monkeypatch.setattr(AlpacaAsked, "alpaca", account, raising=False)
    monkeypatch.setattr(stages, "PaperBroker", AlpacaAsked)
    return account


def placed(alpaca: AlpacaAccount, changes: dict[str, Any]) -> dict[str, Any]:
    order = alpaca.order(THEIRS)
    order.update(changes)
    return order


@of_every_kind
async def test_the_fills_of_any_order_are_booked(alpaca: AlpacaAccount, changes: dict[str, Any]) -> None:
    async with Stage() as stage:
        theirs = placed(alpaca, changes)
        alpaca.fill(theirs, 2)
        await stage.until(lambda: stage.held(ES) == 2)
        alpaca.fill(theirs, 3, done=True)
        await stage.until(lambda: stage.held(ES) == 5)
        assert f"order_inexpressible:{theirs['id']}" in {one.partition("/")[0] for one in alarms(stage)}


@of_every_kind
async def test_every_run_is_whole_and_nothing_is_left_open(
    alpaca: AlpacaAccount, changes: dict[str, Any]
) -> None:
    async with Stage() as stage:
        alpaca.fill(placed(alpaca, changes), 2, done=True)
        await a_while(stage)
        assert {run.result for run in stage.seat.runs.newest_first()} == {"completed"}
        assert natures(stage) == []
        assert [one for one in stage.lane.books.open_orders() if one.external] == []


@of_every_kind
async def test_a_gateway_that_starts_gets_ready(alpaca: AlpacaAccount, changes: dict[str, Any]) -> None:
    theirs = placed(alpaca, changes)
    alpaca.fill(theirs, 1)
    async with Stage() as stage:
        await stage.crash()
        alpaca.fill(theirs, 1)
        await stage.start()
        await stage.until(lambda: stage.held(ES) == 2)


async def test_a_fill_of_an_order_that_alpaca_does_not_show_keeps_nothing_else_back(
    alpaca: AlpacaAccount,
) -> None:
    async with Stage() as stage:
        gone, shown = alpaca.order("gone"), alpaca.order("shown")
        alpaca.fill(gone, 1, done=True)
        alpaca.fill(shown, 2, done=True)
        alpaca.orders.remove(gone)
        await stage.until(lambda: stage.held(ES) == 2)
        await stage.until(lambda: natures(stage) == ["position"])
        assert f"order_not_shown:{gone['id']}" in alarms(stage)


async def test_a_status_that_nobody_knows_keeps_an_order_open(alpaca: AlpacaAccount) -> None:
    async with Stage() as stage:
        theirs = placed(alpaca, {"status": "on_holiday"})
        await a_while(stage)
        (order,) = stage.lane.books.open_orders()
        assert (order.external, order.status) == (True, Status.WORKING)
        assert f"order_inexpressible:{theirs['id']}" in alarms(stage)
