"""One tenant neither stops nor sees what is another's, and a stop that holds for both is for neither."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ordergate.core.ids import Env
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Grade, KillEngaged, Level
from ordergate.engine.answering.answers import KillView
from tests.security.floor import OWN, SISTER, THEIRS, Floor, floor


@pytest.fixture
async def here() -> AsyncIterator[Floor]:
    async with floor(Env.PAPER) as made:
        yield made


async def engage(
    here: Floor, who: str, level: Level, target: str = "", grade: Grade = Grade.BLOCK_NEW
) -> KillView | Refusal:
    return await here.node.gate.engage_kill(
        here.owner(who), grade=grade, reason="test", correlation="t", level=level, target=target
    )


def code(answer: KillView | Refusal) -> Code | None:
    return answer.code if isinstance(answer, Refusal) else None


async def test_an_account_a_tenant_or_an_order_of_others_is_as_unknown_as_none(here: Floor) -> None:
    for level, target, nothing in (
        (Level.ACCOUNT, here.accounts[THEIRS], "P-NOTHING"),
        (Level.TENANT, "zeta", "nothing"),
        (Level.BROKER, "login-theirs", "nothing"),
        (Level.ORDER, here.things[THEIRS]["order"], "P-00000000000000000A"),
    ):
        no, missing = await engage(here, OWN, level, target), await engage(here, OWN, level, nothing)
        assert isinstance(no, Refusal)
        assert code(no) is Code.INVALID
        if level is not Level.ORDER:
            assert no == missing
        assert "THEIRS" not in str(no)
        assert "zeta" not in str(no)
    assert here.untouched()


async def test_a_stop_that_would_hold_for_another_tenant_is_not_one_tenants_to_engage(here: Floor) -> None:
    for level, target in (
        (Level.GLOBAL, ""),
        (Level.ENVIRONMENT, "paper"),
        (Level.INSTRUMENT, "ESH4"),
        (Level.USER, "anybody"),
        (Level.STRATEGY, "any"),
    ):
        assert code(await engage(here, OWN, level, target)) is Code.FORBIDDEN
    assert not here.node.gate.kill_state().engaged


async def test_within_a_tenant_one_stops_and_another_releases(here: Floor) -> None:
    view = await engage(here, OWN, Level.TENANT, "acme")
    assert isinstance(view, KillView)
    gate, place = here.node.gate, {"level": Level.TENANT, "target": "acme", "reason": "r", "correlation": "t"}

    assert code(await gate.release_kill(here.owner(OWN), **place)) is Code.SAME_PERSON
    released = await gate.release_kill(here.owner(SISTER), **place)

    assert isinstance(released, KillView)
    assert not released.engaged


async def test_what_another_tenant_has_stopped_for_itself_is_not_seen_and_not_released(here: Floor) -> None:
    account = here.accounts[THEIRS]
    await engage(here, THEIRS, Level.ACCOUNT, account, Grade.CANCEL_ALL)
    gate = here.node.gate

    seen = gate.kill_state_for(here.owner(OWN))
    assert (seen.engaged, seen.stops, seen.reason) == (False, (), None)
    answer = await gate.release_kill(
        here.owner(OWN), reason="r", correlation="t", level=Level.ACCOUNT, target=account
    )
    assert answer == seen
    no = await gate.flatten_kill(
        here.owner(OWN), reason="r", correlation="t", level=Level.ACCOUNT, target=account
    )
    assert code(no) is Code.ACTION_NOT_ALLOWED
    assert gate.kill_state_for(here.owner(THEIRS)).engaged


async def test_a_stop_of_everything_is_seen_by_all_and_released_by_no_tenant(here: Floor) -> None:
    alone = here.owner(OWN)
    await here.node.kill_desk.stop(_everything(here), "console")

    seen = here.node.gate.kill_state_for(alone)
    assert seen.engaged
    assert [stop.level for stop in seen.stops] == [Level.GLOBAL]
    assert code(await here.node.gate.release_kill(alone, reason="r", correlation="t")) is Code.FORBIDDEN


def _everything(here: Floor) -> KillEngaged:
    return KillEngaged(at=here.clock.now(), grade=Grade.BLOCK_NEW, actor="console", reason="everything")
