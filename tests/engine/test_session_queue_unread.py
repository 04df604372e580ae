"""What is kept for the next session while the hours of its market are not read yet, as after a start."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from ordergate.core.ids import Symbol
from ordergate.core.risk.view import MarketHours
from ordergate.engine.answering.answers import Answer
from ordergate.wiring.market_hours import Sessions
from tests.engine.stage import ES, START, TRADER, Stage
from tests.engine.test_key_bounds import order as a_day_order

OPENS = START + timedelta(seconds=60)
CLOSES = OPENS + timedelta(seconds=60)
SPANS = (
    (START - timedelta(hours=2), START - timedelta(hours=1)),
    (OPENS, CLOSES),
    (CLOSES + timedelta(days=1), CLOSES + timedelta(days=2)),
)


def from_when_read(read: Callable[[], bool]) -> Callable[[Symbol, datetime], MarketHours | None]:
    sessions = Sessions(SPANS)
    return lambda symbol, now: sessions.at(now) if read() and symbol == ES else None


@pytest.mark.parametrize(
    ("back", "becomes"), [(OPENS + timedelta(seconds=1), "working"), (CLOSES, "expired")], ids=str
)
async def test_hours_that_are_not_read_yet_end_no_day_order(back: datetime, becomes: str) -> None:
    is_read = True
    limits = {"hours": "session", "outside_session": "queue", "reference_price_max_age_s": "60"}
    async with Stage(limits=limits, hours=from_when_read(lambda: is_read)) as stage:
        answer = await stage.gate.place(TRADER, a_day_order(), key=stage.key(), correlation="test")
        assert isinstance(answer, Answer), answer
        order = answer.order_id
        assert stage.status(order) == "held"
        await stage.crash()
        is_read = False
        await stage.clock.move((back - stage.clock.now()).total_seconds())
        await stage.start()
        stage.price(Decimal(4800))
        await stage.until(lambda: stage.seat.synced, within_s=5)
        await stage.clock.move(1)
        assert stage.status(order) == "held"
        is_read = True
        await stage.until(lambda: stage.status(order) == becomes, within_s=5)
        assert stage.placed_at_exchange() == (1 if becomes == "working" else 0)
