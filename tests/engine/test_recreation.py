"""State at any past event is made again, and equals what was recorded then (17a-4(f))."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

import pytest

from ordergate.core.accounts.events import AccountEvent, AccountOpened, PositionAdjusted
from ordergate.core.faults import InvariantBroken
from ordergate.core.ids import AccountId, OrderId, Symbol
from ordergate.core.instruments import Instrument, by_any_name
from ordergate.core.orders.events import OrderEvent
from ordergate.core.orders.terms import Side
from ordergate.engine.accounts.recreation import Recreation
from ordergate.journal.memory_store import stored
from ordergate.ports.journal import Stored
from tests.core.examples import NOW, SHARE
from tests.dose import dose
from tests.engine.groups import bracket, placed
from tests.engine.stage import ACCOUNT, TRADER, Stage, let_run
from tests.keeping import keep

Rows = dict[tuple[str, str], bytes]


def shown(stage: Stage) -> tuple[int, Rows]:
    """The read tables as they are now, and the event that they are as of."""
    books = stage.journal.books[ACCOUNT]
    rows: Rows = {("orders", key): row.body for key, row in books.orders.items()}
    rows |= {("executions", key): one.row.body for key, one in books.executions.items()}
    for table in ("positions", "balances", "breaks"):
        rows |= {(table, key): row.body for key, row in getattr(books, table).items()}
    return len(books.events), rows


async def act(stage: Stage, chance: random.Random, orders: list[OrderId]) -> None:
    """Something that a day has: orders, groups, fills, cancels, replaces, restarts."""
    alive = [one for one in stage.exchange.orders() if one.status == "working"]
    match chance.randrange(8):
        case 0 | 1 | 2:
            side = chance.choice(list(Side))
            price = str(4800 + (chance.randrange(1, 20) if side is Side.SELL else -chance.randrange(1, 20)))
            orders.append(await stage.accepted(side=side, quantity=chance.randrange(1, 9), limit=price))
        case 3 | 4 if alive:
            one = chance.choice(alive)
            stage.exchange.fill(one.id, Decimal(1), one.terms.limit_price or Decimal(4800))
        case 5 if orders:
            await stage.gate.cancel(TRADER, chance.choice(orders), key=stage.key(), correlation="test")
        case 6 if orders:
            await stage.gate.replace(
                TRADER,
                chance.choice(orders),
                quantity=Decimal(chance.randrange(9, 20)),
                limit_price=None,
                stop_price=None,
                key=stage.key(),
                correlation="test",
            )
        case 7 if chance.random() < 0.1:
            await placed(stage, bracket(2, entry="4790"))
        case _:
            await stage.clock.move(1)
    await let_run()


async def test_a_thousand_random_points_are_made_again_exactly() -> None:
    """200 in the usual dose; the figures of a long one are kept where somebody wants them."""
    chance = random.Random(17)
    points = dose(200, 1_000)
    recorded: dict[int, Rows] = {}
    async with Stage() as stage:
        orders: list[OrderId] = []
        while len(recorded) < points:
            await act(stage, chance, orders)
            head, rows = shown(stage)
            recorded[head] = rows
        events = list(stage.journal.books[ACCOUNT].events)
        instruments = by_any_name(stage.instruments)
        compared = 0
        for head in chance.sample(sorted(recorded), points):
            fold = await recreated(stage, ACCOUNT, head, instruments)
            assert fold.rows == recorded[head]
            compared += len(fold.rows)
        told = {"points": points, "events": len(events), "rows_compared": compared, "different": 0}
        keep("recreated", told)
        assert {one for one in recorded if one} <= set(range(1, len(events) + 1))
        assert {table for table, _ in recorded[max(recorded)]} >= {
            "orders",
            "executions",
            "positions",
            "balances",
        }


async def recreated(
    stage: Stage, account: AccountId, head: int, instruments: dict[Symbol, Instrument]
) -> Recreation:
    fold = Recreation(account, instruments, stage.journal.history)
    for entry, sealed in stage.journal.books[account].events[:head]:
        event = stored(entry, sealed).event
        if isinstance(event, OrderEvent | AccountEvent):
            await fold.add(sealed.seq, event)
    return fold


async def test_a_holding_in_what_is_listed_no_more_is_named() -> None:
    async def no_history(_: OrderId) -> Sequence[Stored]:
        return []

    fold = Recreation(ACCOUNT, {}, no_history)
    await fold.add(
        1,
        AccountOpened(
            account=ACCOUNT, at=NOW, broker="paper", broker_account="1", currency="USD", cash=Decimal(0)
        ),
    )
    held = PositionAdjusted(
        account=ACCOUNT, at=NOW, symbol=SHARE, quantity=Decimal(1), price=Decimal(2), why="held"
    )
    with pytest.raises(InvariantBroken, match=f"{SHARE} is not listed"):
        await fold.add(2, held)
