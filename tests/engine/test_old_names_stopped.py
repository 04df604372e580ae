"""What was asked under an instrument's old name is stopped, canceled and guarded under its new one."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ordergate.core.ids import Symbol
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Refusal
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.engine.answering.answers import CancelAllAnswer
from tests.engine.groups import has_ended, placed, trailing
from tests.engine.killing import engage
from tests.engine.settling import natures, refused_controls, working
from tests.engine.stage import ES, TRADER, Stage
from tests.engine.test_old_names import BOTH, NEW, price, renamed


async def test_a_cancel_of_everything_in_the_instrument_reaches_it() -> None:
    async with Stage(limits=BOTH) as stage:
        order, _ = await working(stage)
        await renamed(stage, ES)
        answer = await stage.gate.cancel_all(
            TRADER, stage.account, key=stage.key(), correlation="test", symbol=NEW
        )
        assert isinstance(answer, CancelAllAnswer)
        assert [one.order_id for one in answer.results] == [order]


async def test_a_stop_of_the_instrument_cancels_it() -> None:
    async with Stage(limits=BOTH) as stage:
        order, _ = await working(stage)
        await renamed(stage, ES)
        await engage(stage, Level.INSTRUMENT, NEW, Grade.CANCEL_ALL)
        await stage.until(lambda: stage.status(order) == "canceled")


async def test_a_stop_under_the_old_name_is_in_force_under_the_new_one() -> None:
    async with Stage(limits=BOTH) as stage:
        order, _ = await working(stage)
        held = stage.lane.books.order(order)
        assert held is not None
        await engage(stage, Level.INSTRUMENT, ES, Grade.BLOCK_NEW)
        await renamed(stage, ES)
        terms = msgspec.structs.replace(held.terms, symbol=NEW)
        answer = await stage.gate.place(TRADER, terms, key=stage.key(), correlation="test")
        assert ("R01", "kill-switch") in refused_controls(answer)


async def test_a_trailing_stop_goes_on_guarding_what_is_held() -> None:
    async with Stage(limits=BOTH) as stage:
        await stage.accepted(side=Side.BUY, quantity=4, limit="4800")
        await stage.until(lambda: stage.held(ES) == 4)
        group = await placed(stage, trailing())
        await renamed(stage, ES)
        stage.exchange.mark(ES, Decimal(4770))
        price(stage, Decimal(4770))
        await stage.until(lambda: has_ended(stage, group))
        assert stage.held(NEW) == 0


async def test_a_flatten_waits_until_it_is_gone() -> None:
    async with Stage(limits=BOTH) as stage:
        await stage.accepted(side=Side.BUY, quantity=4, limit="4800")
        await stage.until(lambda: stage.held(ES) == 4)
        order = await stage.accepted(side=Side.SELL, quantity=4, limit="4900")
        await stage.until(lambda: stage.status(order) == "working")
        await renamed(stage, ES)
        await flattened(stage, NEW)
        await stage.until(lambda: stage.held(NEW) == 0)
        assert stage.status(order) == "canceled"


async def test_a_flatten_that_began_under_the_old_name_ends_under_the_new_one() -> None:
    async with Stage(limits=BOTH) as stage:
        await stage.accepted(side=Side.BUY, quantity=4, limit="4800")
        await stage.until(lambda: stage.held(ES) == 4)
        stage.broker.stream.cut()  # nothing is closed while the account is behind its broker
        await flattened(stage, ES)
        await renamed(stage, ES)
        stage.broker.stream.restore()
        await stage.until(lambda: stage.held(NEW) == 0)
        assert natures(stage) == []


async def flattened(stage: Stage, symbol: Symbol) -> None:
    answer = await stage.node.groups.flatten(
        TRADER, stage.account, symbol=symbol, key=stage.key(), correlation="test"
    )
    assert not isinstance(answer, Refusal), answer
