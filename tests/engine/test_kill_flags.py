"""The ways to stop that do not lead through the API: at once in force, in the journal when it is back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ordergate.core.faults import JournalUnavailable
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.engine.answering.answers import Answer
from ordergate.ports.kill_flags import Flag
from tests.engine.stage import START, Stage, let_run


class Flags:
    """What somebody raised."""

    poll_s = 0.05

    def __init__(self, name: str = "files") -> None:
        self.name = name
        self.up: dict[str, Flag] = {}
        self.lowered: list[str] = []
        self.lost = False

    def put(self, name: str, grade: Grade = Grade.BLOCK_NEW, at: datetime = START) -> None:
        self.up[name] = Flag(id=name, grade=grade, actor="local:ops", reason="all else is down", at=at)

    async def raised(self) -> Sequence[Flag]:
        if self.lost:
            raise JournalUnavailable("the folder is gone")
        return list(self.up.values())

    async def lower(self, flag: Flag) -> None:
        self.lowered.append(flag.id)
        self.up.pop(flag.id, None)


async def denied(stage: Stage, limit: str) -> bool:
    answer = await stage.place(limit=limit)
    assert isinstance(answer, Answer), answer
    return [no.control for no in answer.failed] == ["R01"]


async def test_a_flag_is_in_force_within_a_tenth_of_a_second_and_folds_into_the_journal() -> None:
    flags = Flags()
    async with Stage(kill_flags=[flags]) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        flags.put("one", Grade.CANCEL_ALL)
        await stage.clock.move(0.1)
        assert await denied(stage, "4600")
        await stage.until(lambda: flags.lowered == ["one"])
        await stage.until(lambda: stage.status(order) == "canceled")
        await stage.restart()
        view = stage.gate.kill_state()
        assert (view.engaged, view.actor, view.reason) == (True, "local:ops", "all else is down")


async def test_a_flag_holds_while_the_journal_cannot_be_written_and_stays_raised_until_it_can() -> None:
    flags = Flags()
    async with Stage(kill_flags=[flags]) as stage:
        stage.journal.hold()
        flags.put("one")
        await stage.clock.move(0.1)
        assert stage.gate.kill_state().engaged
        assert not stage.gate.kill_state().stops[0].durable
        assert flags.lowered == []
        stage.journal.release()
        await stage.until(lambda: flags.lowered == ["one"])
        assert stage.gate.kill_state().stops[0].durable


async def test_a_flag_raised_while_the_gateway_was_down_is_in_force_before_anything_is_taken() -> None:
    flags = Flags()
    flags.put("one")
    async with Stage(kill_flags=[flags]) as stage:
        assert await denied(stage, "4600")


async def test_nothing_new_passes_before_every_way_to_stop_was_looked_at() -> None:
    flags = Flags()
    flags.lost = True
    stage = Stage(kill_flags=[flags])
    await stage.start(ready=False)
    try:
        for _ in range(20):
            await stage.clock.move(0.5)
        assert "not been looked at" in stage.gate.readiness()["kill-switch"]
        assert await denied(stage, "4600")
        flags.lost = False
        await stage.until(lambda: not stage.gate.readiness())
        assert not await denied(stage, "4601")
    finally:
        await stage.crash()


async def test_a_flag_is_seen_once_and_a_release_of_its_stop_is_final() -> None:
    flags = Flags()
    async with Stage(kill_flags=[flags]) as stage:
        flags.put("one")
        await stage.clock.move(0.1)
        await stage.until(lambda: flags.lowered == ["one"])
        await stage.node.kill_desk.lift((Level.GLOBAL, ""), "risk", "over", "test")
        await let_run()
        await stage.clock.move(1)
        assert not await denied(stage, "4600")


async def test_a_flag_that_is_raised_again_under_its_name_stops_again() -> None:
    flags = Flags()
    async with Stage(kill_flags=[flags]) as stage:
        for times in (1, 2):
            flags.put("now")
            await stage.until(lambda: not flags.up)
            assert await denied(stage, f"460{times}")
            await stage.node.kill_desk.lift((Level.GLOBAL, ""), "risk", "over", "test")
            assert not await denied(stage, f"461{times}")


async def test_a_flag_that_is_up_in_two_ways_is_one_and_a_release_of_its_stop_is_final() -> None:
    """Raised as a file and as a row: the row may be seen long after the file was taken, and released."""
    files, rows = Flags(), Flags("rows")
    async with Stage(kill_flags=[files, rows]) as stage:
        files.put("one")
        await stage.until(lambda: not files.up)
        assert await denied(stage, "4600")
        await stage.node.kill_desk.lift((Level.GLOBAL, ""), "risk", "over", "test")
        rows.put("one")
        await stage.until(lambda: not rows.up)
        assert not await denied(stage, "4601")


async def test_a_flag_of_the_same_name_from_another_time_is_another_one() -> None:
    files, rows = Flags(), Flags("rows")
    async with Stage(kill_flags=[files, rows]) as stage:
        files.put("now")
        await stage.until(lambda: not files.up)
        await stage.node.kill_desk.lift((Level.GLOBAL, ""), "risk", "over", "test")
        rows.put("now", at=START + timedelta(hours=1))
        await stage.until(lambda: not rows.up)
        assert await denied(stage, "4600")
