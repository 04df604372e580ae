"""Which execution it is that a broker tells under an id nobody knows: its list decides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import cast

from msgspec.structs import replace

from ordergate.core.ids import Symbol
from ordergate.core.orders.reports import ExecutedReport
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.wire.repeats import Repeat, repeat_of
from ordergate.ports.broker import BrokerExecution
from tests.core.examples import NOW, working
from tests.core.execution_reports import correct, fill, hear

SYMBOL = Symbol("ESH4")


class Listing:
    """An account whose broker lists these executions, and nothing else of it."""

    def __init__(self, *listed: ExecutedReport) -> None:
        self.broker = self
        self._listed = listed

    async def executions(self, *, after: str | None) -> AsyncIterator[BrokerExecution]:
        for number, report in enumerate(self._listed):
            yield BrokerExecution(cursor=str(number), report=report, symbol=SYMBOL)


def seat(*listed: ExecutedReport) -> Seat:
    return cast(Seat, Listing(*listed))


async def test_what_stands_beside_it_on_the_list_is_not_the_one_that_a_change_is_of() -> None:
    """One is known by its correction alone and equals it; the other, of its moment, is on no list."""
    order = hear(working(), correct(4, 1, price=101), fill(4, "x-2"))
    changed = fill(4, "x-3", revision=1, price=101)
    found = await repeat_of(seat(fill(4, revision=1, price=101), changed), order, changed)
    assert found == Repeat("x-2", is_sure=True, is_listed=True)


async def test_where_all_that_it_may_be_stand_beside_it_it_is_one_of_its_own() -> None:
    order = hear(working(), fill(4), fill(4, "x-2"))
    told = fill(4, "x-3")
    assert await repeat_of(seat(fill(4), fill(4, "x-2"), told), order, told) is None


async def test_a_change_of_one_that_was_of_another_moment_by_the_list_is_not_of_this_one() -> None:
    """News of a change does not say when the execution was; the list does."""
    order = hear(working(), fill(4, "x-2"))
    news = replace(fill(4, revision=3, price=102), broker_at=None)
    on_the_list = replace(fill(4, revision=3, price=102), broker_at=NOW - timedelta(seconds=1))
    assert await repeat_of(seat(on_the_list), order, news) is None
    assert await repeat_of(seat(replace(on_the_list, broker_at=NOW)), order, news) is not None
