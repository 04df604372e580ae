"""How tests stop things, and what the control stream says of it."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from ordergate.brokers.paper import fates
from ordergate.core.ids import AccountId, OrderId
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.engine.answering.answers import Answer, KillView
from tests.engine.stage import ACCOUNT, ES, RISK, TRADER, Stage

CONTROL = AccountId("P-CONTROL")


class NoCancels:
    """The fate of calls to a broker that turns away cancels for as long as it is `refusing`."""

    def __init__(self) -> None:
        self.refusing = False

    def __call__(self, call: fates.Call) -> fates.Fate:
        refused = self.refusing and call is fates.Call.CANCEL
        return fates.TurnedAway("not now") if refused else fates.DELIVERED


async def placed(stage: Stage, side: Side = Side.BUY, quantity: int = 1, limit: str = "4700") -> Answer:
    terms = Terms(
        account=ACCOUNT,
        symbol=ES,
        side=side,
        type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        limit_price=Decimal(limit),
        time_in_force=TimeInForce.GTC,
        strategy="trend",
    )
    answer = await stage.gate.place(TRADER, terms, key=stage.key(), correlation="test")
    assert isinstance(answer, Answer), answer
    return answer


async def engage(stage: Stage, level: Level, target: str, grade: Grade) -> KillView:
    view = await stage.gate.engage_kill(
        TRADER, grade=grade, reason="drill", correlation="test", level=level, target=target
    )
    assert isinstance(view, KillView), view
    return view


async def working(stage: Stage) -> OrderId:
    order = (await placed(stage)).order_id
    await stage.until(lambda: stage.status(order) == "working")
    return order


async def doubled(stage: Stage, order: OrderId) -> Answer:
    """Asked to become an order for two."""
    answer = await stage.gate.replace(
        TRADER,
        order,
        quantity=Decimal(2),
        limit_price=None,
        stop_price=None,
        key=stage.key(),
        correlation="test",
    )
    assert isinstance(answer, Answer), answer
    return answer


async def flattened_by_two(stage: Stage, level: Level = Level.GLOBAL, target: str = "") -> None:
    await engage(stage, level, target, Grade.CANCEL_ALL)
    for who in (TRADER, RISK):
        view = await stage.gate.flatten_kill(
            who, reason="get out", correlation="test", level=level, target=target
        )
        assert isinstance(view, KillView), view


async def hold(stage: Stage, quantity: int) -> None:
    """A long position of so many."""
    bought = await stage.accepted(limit=None, quantity=quantity)
    await stage.until(lambda: stage.status(bought) == "filled")


def control(stage: Stage) -> list[dict[str, object]]:
    """What the control stream says."""
    books = stage.journal.books.get(CONTROL)
    entries = [] if books is None else books.events
    return [msgspec.to_builtins(entry.event) for entry, _ in entries]


def kinds(stage: Stage) -> list[object]:
    return [one["kind"] for one in control(stage)]


async def engage_anyhow(stage: Stage) -> object:
    return await stage.gate.engage_kill(TRADER, grade="block_new", reason="drill", correlation="test")
