"""A client that commands two accounts uses a key once, whichever account it is for: `IDM-3` of every pair."""

from __future__ import annotations

import msgspec
import pytest

from ordergate.core.access import Principal
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.accounts.lane import Lane
from ordergate.engine.answering.answers import Answer
from tests.engine.stage import ACCOUNT, TRADER, Stage
from tests.engine.test_shares import order_of

OTHER = AccountId("P-OTHER")
BOTH = msgspec.structs.replace(TRADER, accounts=frozenset({ACCOUNT, OTHER}))
KEY = "one-key-for-both-01"


async def place(stage: Stage, account: AccountId, who: Principal = BOTH) -> Answer | Refusal:
    return await stage.gate.place(who, order_of(account), key=KEY, correlation="test")


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[Fault]:
    """What any lane was stopped by."""
    stopped: list[Fault] = []
    stop = Lane.stop

    def noted(lane: Lane, fault: BaseException) -> None:
        assert isinstance(fault, Fault)
        stopped.append(fault)
        stop(lane, fault)

    monkeypatch.setattr(Lane, "stop", noted)
    return stopped


async def test_a_key_that_bought_something_on_one_account_is_refused_on_the_other_and_stops_nothing(
    stops: list[Fault],
) -> None:
    async with Stage(others=(OTHER,)) as stage:
        first = await place(stage, ACCOUNT)
        assert isinstance(first, Answer)

        for _ in range(3):
            refused = await place(stage, OTHER)
            assert isinstance(refused, Refusal)
            assert refused.code is Code.IDEMPOTENCY_KEY_REUSED

        again = await place(stage, ACCOUNT)
        assert isinstance(again, Answer)
        assert (again.order_id, again.replayed) == (first.order_id, True)
        assert stops == []


async def test_it_is_refused_after_a_restart_too(stops: list[Fault]) -> None:
    async with Stage(others=(OTHER,)) as stage:
        assert isinstance(await place(stage, ACCOUNT), Answer)
        await stage.restart()
        stops.clear()

        refused = await place(stage, OTHER)

        assert isinstance(refused, Refusal)
        assert refused.code is Code.IDEMPOTENCY_KEY_REUSED
        assert stops == []


async def test_a_key_of_an_account_that_the_client_has_lost_is_refused_by_the_journal(
    stops: list[Fault],
) -> None:
    """Nobody here looks into the keys of an account that is not the client's, so the lane is folded."""
    async with Stage(others=(OTHER,)) as stage:
        assert isinstance(await place(stage, ACCOUNT), Answer)
        only = msgspec.structs.replace(BOTH, accounts=frozenset({OTHER}))

        refused = await place(stage, OTHER, only)

        assert isinstance(refused, Refusal)
        assert refused.code is Code.IDEMPOTENCY_KEY_REUSED
        assert len(stops) == 2, "by the short way and by the long one, and not once more"


async def test_an_account_in_trouble_keeps_nobody_from_canceling_on_another() -> None:
    for troubled in (ACCOUNT, OTHER):
        async with Stage(others=(OTHER,)) as stage:
            healthy = OTHER if troubled == ACCOUNT else ACCOUNT
            placed = await place(stage, healthy)
            assert isinstance(placed, Answer)
            lane = next(seat.lane for seat in stage.node.lanes if seat.lane.account == troubled)
            lane.ready.clear()
            canceled = await stage.gate.cancel(
                BOTH, placed.order_id, key="another-key-0001", correlation="test"
            )
            assert isinstance(canceled, Answer)
            lane.ready.set()
