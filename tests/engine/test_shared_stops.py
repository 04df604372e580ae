"""Several gateways, each with a journal of its own, that stop together: what one person stops, all hold."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.core.risk.trading_state import Grade, KillEngaged, Level, Trip
from ordergate.ports.kill_flags import Flag
from tests.engine.killing import engage, kinds, placed
from tests.engine.stage import ACCOUNT, RISK, TRADER, Stage


class Board:
    """What the gateways tell each other."""

    def __init__(self) -> None:
        self.told: dict[str, Flag] = {}
        self.over: set[str] = set()
        self.by: dict[str, str] = {}


class Shared:
    """One gateway's view of the board."""

    name = "the shared database"
    poll_s = 0.25

    def __init__(self, board: Board, gateway: str) -> None:
        self._board = board
        self._gateway = gateway
        self.taken: set[str] = set()
        self.lost = False

    async def tell(self, stops: Sequence[Flag]) -> None:
        self._reach()
        for one in stops:
            self._board.told.setdefault(one.id, one)
            self._board.by.setdefault(one.id, self._gateway)
        ours = {flag for flag, by in self._board.by.items() if by == self._gateway}
        self._board.over |= ours - {one.id for one in stops}

    async def raised(self) -> Sequence[Flag]:
        self._reach()
        hidden = self._board.over | self.taken
        return [flag for key, flag in self._board.told.items() if key not in hidden]

    async def lower(self, flag: Flag) -> None:
        self._reach()
        self.taken.add(flag.id)

    def _reach(self) -> None:
        if self.lost:
            raise JournalUnavailable("cut off")


async def denied(stage: Stage, limit: str) -> bool:
    return [no.control for no in (await placed(stage, limit=limit)).failed] == ["R01"]


async def test_what_is_stopped_at_one_gateway_is_stopped_at_the_other_within_a_second() -> None:
    board = Board()
    async with (
        Stage(shared_stops=Shared(board, "east")) as east,
        Stage(shared_stops=Shared(board, "west")) as west,
    ):
        order = (await placed(west)).order_id
        await west.until(lambda: west.status(order) == "working")
        await engage(east, Level.GLOBAL, "", Grade.CANCEL_ALL)
        await east.clock.move(0.5)
        await west.clock.move(0.5)
        assert await denied(west, "4601")
        view = west.gate.kill_state()
        assert (view.actor, view.reason) == (TRADER.subject, "drill")
        await west.until(lambda: west.status(order) == "canceled")


async def test_a_stop_goes_round_once_however_often_both_look() -> None:
    board = Board()
    async with (
        Stage(shared_stops=Shared(board, "east")) as east,
        Stage(shared_stops=Shared(board, "west")) as west,
    ):
        await engage(east, Level.GLOBAL, "", Grade.BLOCK_NEW)
        await engage(west, Level.GLOBAL, "", Grade.CANCEL_ALL)
        for _ in range(20):
            await east.clock.move(0.25)
            await west.clock.move(0.25)
        assert {east.gate.kill_state().grade, west.gate.kill_state().grade} == {"cancel_all"}
        assert kinds(east).count("kill_engaged") <= 3
        assert kinds(west).count("kill_engaged") <= 3
        assert len(board.told) <= 3


async def test_each_gateway_is_released_by_itself_and_stays_so() -> None:
    board = Board()
    async with (
        Stage(shared_stops=Shared(board, "east")) as east,
        Stage(shared_stops=Shared(board, "west")) as west,
    ):
        await engage(east, Level.GLOBAL, "", Grade.BLOCK_NEW)
        for one in (east, west):
            await one.clock.move(1)
        refused = await west.gate.release_kill(TRADER, reason="over", correlation="test")
        assert "same-person" in str(refused), "whoever stopped it elsewhere"
        await west.gate.release_kill(RISK, reason="over", correlation="test")
        for _ in range(4):
            await east.clock.move(0.5)
            await west.clock.move(0.5)
        assert not west.gate.kill_state().engaged
        assert east.gate.kill_state().engaged
        await west.restart()
        await west.clock.move(1)
        assert not west.gate.kill_state().engaged
        await east.gate.release_kill(RISK, reason="over", correlation="test")
        await east.clock.move(1)
        async with Stage(shared_stops=Shared(board, "north")) as north:
            assert not north.gate.kill_state().engaged, "what is over does not stop a newcomer"


async def test_a_gateway_that_starts_holds_what_the_others_hold_before_it_takes_anything() -> None:
    board = Board()
    async with Stage(shared_stops=Shared(board, "east")) as east:
        await engage(east, Level.GLOBAL, "", Grade.BLOCK_NEW)
        await east.clock.move(1)
        async with Stage(shared_stops=Shared(board, "west")) as west:
            assert await denied(west, "4601")


async def test_a_gateway_that_cannot_hear_the_others_for_three_seconds_stops_everything_new() -> None:
    shared = Shared(Board(), "east")
    async with Stage(shared_stops=shared) as east:
        order = (await placed(east)).order_id
        await east.until(lambda: east.status(order) == "working")
        shared.lost = True
        await east.clock.move(2)
        assert not await denied(east, "4601")
        for _ in range(6):
            await east.clock.move(0.5)
        assert await denied(east, "4602")
        assert "has not been heard for 3 s" in east.gate.readiness()["kill-switch"]
        await east.gate.cancel(TRADER, order, key=east.key(), correlation="test")
        await east.until(lambda: east.status(order) == "canceled")
        shared.lost = False
        await east.until(lambda: not east.gate.readiness())
        assert not await denied(east, "4603")


async def test_what_is_of_one_gateway_alone_or_that_no_person_decided_is_not_told() -> None:
    board = Board()
    async with Stage(shared_stops=Shared(board, "east")) as east:
        await engage(east, Level.ACCOUNT, AccountId(ACCOUNT), Grade.BLOCK_NEW)
        trip = KillEngaged(
            at=east.clock.now(),
            level=Level.INSTRUMENT,
            target="ESH4",
            grade=Grade.REDUCE_ONLY,
            actor="gateway",
            reason="no price",
            trip=Trip.STALE_MARKET_DATA,
        )
        east.node.kill_switch.hold(trip)
        await east.clock.move(1)
        assert board.told == {}


async def test_a_stop_that_was_told_before_it_was_durable_is_found_again_after_a_crash() -> None:
    board = Board()
    shared = Shared(board, "east")
    async with Stage(shared_stops=shared) as east:
        event = KillEngaged(at=east.clock.now(), grade=Grade.BLOCK_NEW, actor="risk", reason="now")
        east.journal.hold()
        east.node.kill_switch.hold(event)
        await east.clock.move(0.5)
        assert len(board.told) == 1
        assert shared.taken == set()
        await east.crash()
        east.journal.cut(written=False)
        east.journal.release()
        await east.start()
        assert east.gate.kill_state().engaged
        await east.until(lambda: len(shared.taken) == 1)


async def test_a_flatten_elsewhere_only_cancels_here() -> None:
    board = Board()
    flag = Flag(
        id="f",
        level=Level.ENVIRONMENT,
        target="paper",
        grade=Grade.FLATTEN,
        actor="ann",
        reason="close",
        at=Stage().clock.now(),
    )
    board.told["f"] = flag
    async with Stage(shared_stops=Shared(board, "east")) as east:
        await east.clock.move(0.5)
        view = msgspec.to_builtins(east.gate.kill_state())
        assert view["grade"] == "cancel_all"
