"""A crash after any event of a group's life, and a restart, come to the same end."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import pytest

from ordergate.core.contingent.terms import GroupId
from ordergate.core.ids import AccountId
from ordergate.core.orders.terms import Side
from ordergate.engine.answering.answers import GroupAnswer
from tests.engine.groups import (
    at_exchange,
    bracket,
    has_ended,
    move_market,
    oco,
    oto,
    placed,
    position,
    trailing,
)
from tests.engine.stage import ACCOUNT, ES, STEP_S, TRADER, Listener, Stage, let_run

EVENTS_MAX: Final = 40


class Tripwire(Listener):
    """Stops the journal the moment the account's event of this number is told."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at
        self.cut: Callable[[], None] = lambda: None
        self.tripped = False

    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None:
        super().tell(account, seq, kind, frame)
        if account == ACCOUNT and seq == self.at:
            self.tripped = True
            self.cut()


class CrashingStage(Stage):
    """Dies after the event of this number, once: nothing later is durable, and a new node starts."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.wire = self.listener = Tripwire(at)
        self.wire.cut = self.journal.hold
        self.crashes = 0

    async def until(self, true: Callable[[], object], *, within_s: float = 180) -> None:
        await let_run()
        await self._die_if_told()
        waited = 0.0
        while not true():
            assert waited < within_s, "it never came true"
            await self.clock.move(STEP_S)
            waited += STEP_S
            await self._die_if_told()

    async def _die_if_told(self) -> None:
        if not self.wire.tripped:
            return
        self.wire.tripped = False
        self.crashes += 1
        await self.crash()
        self.journal.cut(written=False)
        self.journal.release()
        await self.start()


async def a_bracket_that_takes_its_profit(stage: Stage) -> None:
    group_id = await placed(stage, bracket())
    await stage.until(lambda: at_exchange(stage, Side.SELL))
    stage.price(Decimal(4820))
    await stage.until(lambda: at_exchange(stage, Side.SELL) == [("limit", Decimal(4))])
    profit = next(one for one in stage.exchange.orders() if one.is_open)
    stage.exchange.fill(profit.id, Decimal(1), Decimal(4820))
    await stage.until(lambda: stage.held(ES) == 3)
    move_market(stage, "4775")
    await stage.until(lambda: has_ended(stage, group_id))


async def a_bracket_whose_stop_is_hit(stage: Stage) -> None:
    group_id = await placed(stage, bracket(entry="4790"))
    await stage.until(lambda: at_exchange(stage, Side.BUY))
    move_market(stage, "4789")
    await stage.until(lambda: at_exchange(stage, Side.SELL) == [("stop", Decimal(4))])
    move_market(stage, "4775")
    await stage.until(lambda: has_ended(stage, group_id))


async def an_oto_whose_second_fills(stage: Stage) -> None:
    group_id = await placed(stage, oto())
    await stage.until(lambda: at_exchange(stage, Side.SELL))
    move_market(stage, "4775")
    await stage.until(lambda: has_ended(stage, group_id))


async def an_oco_that_takes_its_profit(stage: Stage) -> None:
    await hold(stage)
    group_id = await placed(stage, oco())
    await stage.until(lambda: at_exchange(stage, Side.SELL))
    move_market(stage, "4821")
    await stage.until(lambda: has_ended(stage, group_id))


async def a_trailing_stop(stage: Stage) -> None:
    await hold(stage)
    group_id = await placed(stage, trailing())
    move_market(stage, "4830")
    await stage.until(lambda: stage.lane.books.groups.active[group_id].mark == Decimal(4830))
    move_market(stage, "4810")
    await stage.until(lambda: has_ended(stage, group_id))


async def a_flatten(stage: Stage) -> None:
    await hold(stage)
    await stage.accepted(side=Side.BUY, quantity=2, limit="4700")
    await stage.until(lambda: at_exchange(stage, Side.BUY))
    answer = await stage.node.groups.flatten(TRADER, ACCOUNT, key=stage.key(), correlation="test")
    assert isinstance(answer, GroupAnswer)
    group_id: GroupId = answer.group_id
    await stage.until(lambda: has_ended(stage, group_id))


async def hold(stage: Stage) -> None:
    await stage.accepted(side=Side.BUY, quantity=4, limit="4800")
    await stage.until(lambda: stage.held(ES) == 4)


STORIES: Final = (
    a_bracket_that_takes_its_profit,
    a_bracket_whose_stop_is_hit,
    an_oto_whose_second_fills,
    an_oco_that_takes_its_profit,
    a_trailing_stop,
    a_flatten,
)


@pytest.mark.parametrize("story", STORIES)
async def test_a_crash_after_any_event_comes_to_the_same_end(story: Callable[[Stage], object]) -> None:
    crashes = 0
    for at in range(2, EVENTS_MAX):
        async with CrashingStage(at) as stage:
            await story(stage)  # type: ignore[misc]  # a story is a coroutine function
            crashes += stage.crashes
            assert position(stage) == 0, f"crashed after event {at}"
            assert stage.held(ES) == 0, f"crashed after event {at}"
            assert not [one for one in stage.exchange.orders() if one.is_open]
            assert sold(stage) == 4, f"crashed after event {at}"
    assert crashes > 8


def sold(stage: Stage) -> Decimal:
    """What the exchange sold for us, in all."""
    sides = ((one.order.terms.side, one.quantity) for one in stage.exchange.executions)
    return sum((quantity for side, quantity in sides if side is Side.SELL), Decimal(0))
