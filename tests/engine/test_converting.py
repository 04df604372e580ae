"""An account in dollars trades what is in euros, by a table or by the market's own rate, and starts again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec

from ordergate.core.ids import Symbol
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import Side
from ordergate.engine.accounts.snapshots import SnapshotPace
from ordergate.engine.answering.answers import Answer
from ordergate.ports.market_data import Quote
from tests.engine.stage import ACCOUNT, ES, INSTRUMENT, START, Stage, let_run

PAIR = Symbol("EUR/USD")
HOUSE: Mapping[str, object] = {
    "max_order_quantity": "100",
    "max_order_notional": "300000",
    "max_long": "1000",
    "max_short": "1000",
    "collar_percent": "10",
    "initial_margin": "1",
}


def limited(rate: Mapping[str, object], **more: object) -> dict[str, object]:
    return {
        "fx_rates": {"base": "USD", "rates": {"EUR": rate}},
        "max_gross_exposure": "10000000",
        "instruments": {"ESH4": HOUSE},
        **more,
    }


TABLE = limited({"rate": "1.25", "as_of": START.isoformat(), "source": "treasury"})
MARKET = limited({"symbol": PAIR}, fx_max_age_s="60")


def in_euros(stage: Stage) -> Stage:
    """A whole order of one at 4800 is 240 000 euros, and 300 000 dollars."""
    instrument = msgspec.structs.replace(INSTRUMENT, currency="EUR")
    stage.instruments[ES] = instrument
    stage.exchange.ledger._instruments = {ES: instrument}  # the exchange's list is the stage's
    return stage


def rate(stage: Stage, middle: str) -> None:
    half = Decimal("0.01")
    bid, ask, size = Decimal(middle) - half, Decimal(middle) + half, Decimal(1)
    at = stage.clock.now()
    stage.node.prices.take(Quote(symbol=PAIR, bid=bid, bid_size=size, ask=ask, ask_size=size, at=at))


async def valued(stage: Stage) -> None:
    await stage.until(lambda: stage.lane.books.valuation.marked_at)


async def judged(stage: Stage, **asked: Any) -> dict[str, e.FailedControl]:
    answer = await stage.place(**asked)
    assert isinstance(answer, Answer), answer
    return {no.control: no for no in answer.failed}


async def test_an_order_is_judged_in_dollars_and_the_journal_has_the_rate() -> None:
    async with in_euros(Stage(limits=TABLE)) as stage:
        await valued(stage)
        assert await judged(stage, limit="4800") == {}
        no = (await judged(stage, limit="4800.25"))["R07"]
        assert (no.reason, no.value, no.inputs["fx_rate_EURUSD"]) == ("order-notional", "300015.625", "1.25")
        found = [
            stored.event
            async for stored in stage.journal.read(ACCOUNT, after=0)
            if isinstance(stored.event, e.OrderAccepted)
        ]
        assert [event.fx["fx_source_EURUSD"] for event in found] == ["treasury"]


async def test_a_table_gets_old_and_the_market_s_own_rate_does_too() -> None:
    for limits, moved in ((TABLE, timedelta(days=1, seconds=1)), (MARKET, timedelta(seconds=61))):
        async with in_euros(Stage(limits=limits)) as stage:
            rate(stage, "1.25")
            await stage.until(lambda: stage.lane.books.valuation.marked_at)
            assert await judged(stage, limit="4700") == {}
            await stage.clock.move(moved.total_seconds())
            stage.price(Decimal(4800))
            await let_run()
            assert (await judged(stage, limit="4700"))["R07"].reason == "stale-fx-rate"
            rate(stage, "1.2")
            fresh = await judged(stage, limit="4700")
            assert ("R07" in fresh) is (limits is TABLE)


async def test_without_a_rate_nothing_passes_until_there_is_one() -> None:
    async with in_euros(Stage(limits=MARKET)) as stage:
        assert (await judged(stage, limit="4700"))["R07"].reason == "no-fx-rate"
        rate(stage, "1.25")
        await valued(stage)
        assert await judged(stage, limit="4700") == {}


async def test_what_is_made_in_euros_is_euros_and_is_so_after_a_restart() -> None:
    losses = {"losses": {"max_daily_loss": "1000"}, "trading_day": {"zone": "UTC", "ends_at": "00:00"}}
    often = SnapshotPace(events=1, look_s=0.5)
    async with in_euros(Stage(limits={**TABLE, **losses}, snapshots=often)) as stage:
        await valued(stage)
        bought = await stage.accepted(limit=None)
        await stage.until(lambda: stage.status(bought) == "filled")
        stage.exchange.mark(ES, Decimal(4784))  # 800 euros less, a thousand dollars
        stage.price(Decimal(4784))
        sold = await stage.accepted(side=Side.SELL, limit=None)
        await stage.until(lambda: stage.status(sold) == "filled")
        for _ in range(2):
            books = stage.lane.books.account
            assert books is not None
            assert books.cash == stage.exchange.ledger.cash
            assert books.foreign_cash == dict(stage.exchange.ledger.foreign) == {"EUR": Decimal(-800)}
            assert not books.breaks
            assert [made.realised for made in stage.lane.books.profit.kept().values()] == [0]
            rows = [msgspec.json.decode(row) for row in await stage.views.balances(ACCOUNT)]
            assert {row["currency"]: row["cash"] for row in rows}["EUR"] == "-800"
            await stage.until(lambda: stage.lane.books.account and stage.lane.books.account.loss_locks)
            assert (await judged(stage, limit="4700"))["R18"].reason == "daily-loss"
            await stage.clock.move(1)
            await stage.restart()
            await valued(stage)
