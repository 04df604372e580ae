"""Groups under lost calls, crashes and a moving market, checked in the exchange's own ledger."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import pytest

from ordergate.brokers.paper import fates
from ordergate.core.contingent.events import End
from ordergate.core.contingent.terms import GroupId, GroupTerms
from ordergate.core.orders.terms import Side
from tests.engine.groups import bracket, group, has_ended, move_market, oto, placed, position
from tests.engine.stage import ES, Stage

SEEDS: Final = 25
TURNS: Final = 30

KINDS: Final[dict[str, Callable[[], GroupTerms]]] = {
    "bracket": bracket,
    "trailing bracket": lambda: bracket(trails=True),
    "oto": oto,
}


class Weather:
    """Fates drawn by seed while the storm lasts; whatever is asked is delivered once it is over."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.over = False

    def __call__(self, call: fates.Call) -> fates.Fate:
        if self.over or call is fates.Call.QUERY or self._dice.random() < 0.6:
            return fates.DELIVERED
        kinds = (fates.LostAnswer(), fates.LostCall(), fates.NotSent(), fates.TurnedAway("not now"))
        return self._dice.choice(kinds[:3] if call is fates.Call.PLACE else kinds)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_the_exchange_never_holds_more_exits_than_the_entry_has_filled(kind: str, seed: int) -> None:
    dice = random.Random(f"{kind} {seed}")
    weather = Weather(dice)
    async with Stage(fate=weather) as stage:
        group_id = await placed(stage, KINDS[kind]())
        wrong: list[str] = []
        stage.exchange.subscribe(lambda _: wrong.extend(violations(stage)))
        for _ in range(TURNS):
            await turn(stage, dice)
        weather.over = True
        await stage.clock.move(120)
        await come_to_its_end(stage, group_id)
        assert not wrong
        assert not [one for one in stage.exchange.orders() if one.is_open]
        if group(stage, group_id).reason is not End.LEG_REFUSED:
            assert position(stage) == stage.held(ES) == 0


async def turn(stage: Stage, dice: random.Random) -> None:
    """The market moves, time passes, part of an order fills, or the gateway dies."""
    what = dice.random()
    if what < 0.4:
        move_market(stage, str(4770 + dice.randrange(60)))
    elif what < 0.6:
        resting = [one for one in stage.exchange.orders() if one.is_open]
        if resting:
            order = dice.choice(resting)
            stage.exchange.fill(order.id, Decimal(1), Decimal(4800))
    elif what < 0.7:
        await stage.restart()
    await stage.clock.move(dice.choice((0.25, 1, 5)))


async def come_to_its_end(stage: Stage, group_id: GroupId) -> None:
    """The market falls through every stop, and not below the limit behind one: what guards must act."""
    stage.exchange.mark(ES, Decimal(4800))
    move_market(stage, "4799")
    await stage.clock.move(30)
    move_market(stage, "4772")

    def ended() -> bool:
        stage.price(Decimal(4772))
        return has_ended(stage, group_id)

    await stage.until(ended, within_s=900)


def violations(stage: Stage) -> list[str]:
    """In the exchange's own words: what exits have sold and may still sell, against what was bought."""
    found = []
    live = [one for one in stage.exchange.orders() if one.is_open and one.terms.side is Side.SELL]
    most = total(stage, Side.SELL) + sum((one.leaves_qty for one in live), Decimal(0))
    if most > total(stage, Side.BUY):
        found.append(f"{most} may be sold of {total(stage, Side.BUY)}")
    if len({str(one.terms.type) for one in live}) > 1:
        found.append("two legs live together")
    return found


def total(stage: Stage, side: Side) -> Decimal:
    done = (one.quantity for one in stage.exchange.executions if one.order.terms.side is side)
    return sum(done, Decimal(0))
