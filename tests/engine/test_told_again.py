"""An execution told again under another id, and what only looks like one."""

from __future__ import annotations

from decimal import Decimal

from ordergate.ports.broker import DedupClass
from tests.engine.stage import Stage, let_run
from tests.engine.test_executions import cum_qty, tell, working
from tests.engine.test_reconciliation import position
from tests.engine.test_unknown_outcomes import alarms


async def test_an_execution_told_again_under_a_new_id_is_evidence_and_no_quantity() -> None:
    async with Stage() as stage:
        order, at_exchange = await working(stage)
        execution = stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        await stage.until(lambda: position(stage) == 4)
        for _ in range(3):
            tell(stage, execution, "after-the-restart")
            await stage.clock.move(1)
        assert (position(stage), cum_qty(stage, order)) == (Decimal(4), Decimal(4))
        (told,) = stage.listener.frames_of("execution_duplicated")
        assert told["detail"]["same_as"] == execution.exec_id
        assert told["detail"]["exec_id"] == "after-the-restart"
        assert "execution_repeated:after-the-restart" in alarms(stage)


async def test_a_change_that_was_missed_does_not_make_an_execution_new_under_another_id() -> None:
    async with Stage(dedup=DedupClass.B) as stage:
        order, at_exchange = await working(stage)
        execution = stage.exchange.fill(at_exchange, Decimal(4), Decimal(4700))
        await stage.until(lambda: position(stage) == 4)
        stage.broker.stream.copies = lambda _: 0
        stage.exchange.correct(execution.exec_id, Decimal(5), Decimal(4701))
        tell(stage, stage.exchange.executions[-1], "after-the-restart")
        await stage.until(lambda: position(stage) == 5)
        assert cum_qty(stage, order) == 5
        held = stage.lane.books.order(order)
        assert held is not None
        assert dict(held.repeated) == {"after-the-restart": execution.exec_id}


async def test_an_execution_that_is_not_listed_yet_repeats_none_while_others_are_missed() -> None:
    """The broker's sum speaks for more than it: nothing is concluded before the list is there."""
    async with Stage() as stage:
        _, at_exchange = await working(stage)
        stage.broker.stream.copies = lambda _: 0
        never_told = stage.exchange.fill(at_exchange, Decimal(2), Decimal(4700))
        stage.broker.stream.copies = lambda _: 1
        stage.exchange.bust(never_told.exec_id)
        await stage.until(lambda: "execution_busted" in stage.listener.kinds)
        stage.broker.stream.copies = lambda _: 0
        stage.exchange.fill(at_exchange, Decimal(2), Decimal(4700))
        late = stage.exchange.fill(at_exchange, Decimal(1), Decimal(4700))
        unlisted = stage.exchange.executions[-2:]
        del stage.exchange.executions[-2:]
        tell(stage, late, late.exec_id)
        await let_run()
        stage.exchange.executions += unlisted
        await stage.until(lambda: position(stage) == 3)
        assert "execution_duplicated" not in stage.listener.kinds
