"""One order past one control, once: two persons who have just logged in, and never what stops for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ordergate.core.access import Principal, Scope
from ordergate.core.accounts.events import OverrideUsed
from ordergate.core.approvals import Change, State
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.limits import ADJUSTABLE
from ordergate.core.risk.overrides import NEVER
from ordergate.core.risk.rates import MessageBuckets
from ordergate.engine.answering.answers import Answer
from ordergate.engine.limits.override_desk import Asked
from tests.engine.limit_people import ANNA, BEN
from tests.engine.stage import ACCOUNT, ES, START, Stage

LARGE = Terms(
    account=ACCOUNT,
    symbol=ES,
    side=Side.BUY,
    type=OrderType.LIMIT,
    quantity=Decimal(101),
    limit_price=Decimal(4700),
    time_in_force=TimeInForce.GTC,
)


def logged_in(who: Principal, stage: Stage, ago_s: float = 0) -> Principal:
    return msgspec.structs.replace(who, auth_time=int(stage.clock.now().timestamp() - ago_s))


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage(limits={"soft": sorted(ADJUSTABLE)}) as stage:
        yield stage


async def asked(stage: Stage, *controls: str, who: Principal = ANNA, **more: Any) -> Change | Refusal:
    terms, lives_s = more.pop("terms", LARGE), more.pop("lives_s", 900)
    return await stage.node.limits.ask_override(
        logged_in(who, stage, **more),
        Asked((ACCOUNT,), terms, controls, lives_s),
        reason="a large client order",
        correlation="test",
    )


async def granted(stage: Stage, *controls: str, **more: Any) -> Change:
    change = await asked(stage, *controls, **more)
    assert isinstance(change, Change), change
    approved = await stage.node.limits.approve(
        logged_in(BEN, stage), change.id, reason="seen", correlation="test"
    )
    assert isinstance(approved, Change), approved
    return approved


async def placed(stage: Stage, terms: Terms = LARGE, who: Principal = ANNA) -> list[str]:
    """The controls that refuse it."""
    answer = await stage.gate.place(who, terms, key=stage.key(), correlation="test")
    assert isinstance(answer, Answer), answer
    return [no.control for no in answer.failed]


async def used(stage: Stage) -> list[OverrideUsed]:
    return [
        stored.event
        async for stored in stage.journal.read(ACCOUNT, after=0)
        if isinstance(stored.event, OverrideUsed)
    ]


async def test_the_order_passes_once_and_what_was_lifted_is_written_with_it(stage: Stage) -> None:
    assert await placed(stage) == ["R06"]
    change = await granted(stage, "R06")
    assert await placed(stage) == []
    assert await placed(stage) == ["R06"]
    (spent,) = await used(stage)
    assert (spent.override_id, [no.control for no in spent.lifted]) == (change.id, ["R06"])
    assert spent.lifted[0].value == "101"
    await stage.until(lambda: stage.status(spent.order_id) == "working")
    assert stage.listener.frames_of("override_used")[0]["detail"]["override_id"] == change.id


async def test_it_stays_spent_after_a_restart_and_unspent_ones_survive_it(stage: Stage) -> None:
    await granted(stage, "R06")
    await stage.restart()
    assert await placed(stage) == []
    await stage.restart()
    assert await placed(stage) == ["R06"]


@pytest.mark.parametrize(
    "changed",
    [
        {"quantity": Decimal(102)},
        {"limit_price": Decimal(4701)},
        {"side": Side.SELL},
        {"time_in_force": TimeInForce.DAY},
        {"strategy": "other"},
    ],
)
async def test_it_is_for_the_very_order_alone(stage: Stage, changed: dict[str, Any]) -> None:
    await granted(stage, "R06")
    assert await placed(stage, msgspec.structs.replace(LARGE, **changed)) == ["R06"]
    assert await placed(stage, msgspec.structs.replace(LARGE, client_order_id="mine")) == []


async def test_nobody_but_who_asked_can_use_it(stage: Stage) -> None:
    await granted(stage, "R06")
    assert await placed(stage, who=BEN) == ["R06"]


async def test_it_lives_for_minutes_from_the_second_persons_yes(stage: Stage) -> None:
    await granted(stage, "R06", lives_s=60)
    await stage.clock.move(60)
    stage.price(stage.last_price)
    assert "R06" in await placed(stage)


async def test_of_several_for_one_order_the_one_that_lifts_enough_is_spent(stage: Stage) -> None:
    dear = msgspec.structs.replace(LARGE, limit_price=Decimal(6000))
    await granted(stage, "R06", terms=dear)
    enough = await granted(stage, "R06", "R08", terms=dear)
    assert await placed(stage, dear) == []
    assert [one.override_id for one in await used(stage)] == [enough.id]
    assert await placed(stage, dear) == ["R06", "R08"]


async def test_an_order_that_has_several_is_one_message(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    dear = msgspec.structs.replace(LARGE, limit_price=Decimal(6000))
    await granted(stage, "R06", terms=dear)
    await granted(stage, "R08", terms=dear)
    counted, count = [], MessageBuckets.order_sent

    def sent(buckets: MessageBuckets, now: datetime) -> None:
        counted.append(now)
        count(buckets, now)

    monkeypatch.setattr(MessageBuckets, "order_sent", sent)
    assert await placed(stage, dear) == ["R06", "R08"]
    assert len(counted) == 1


async def test_a_control_that_it_does_not_name_still_refuses_and_spends_nothing(stage: Stage) -> None:
    dear = msgspec.structs.replace(LARGE, limit_price=Decimal(6000))
    await granted(stage, "R06", terms=dear)
    assert await placed(stage, dear) == ["R06", "R08"]
    assert await used(stage) == []


async def test_an_override_that_has_nothing_to_lift_is_not_spent(stage: Stage) -> None:
    small = msgspec.structs.replace(LARGE, quantity=Decimal(3))
    await granted(stage, "R06", terms=small)
    assert await placed(stage, small) == []
    assert await used(stage) == []


async def test_what_could_not_be_evaluated_is_not_lifted(stage: Stage) -> None:
    every = [control.id for control in PRECEDENCE if control.id not in NEVER]
    await granted(stage, *every)
    stage.node.prices._quotes.clear()
    failed = await placed(stage)
    assert {"R07", "R08"} <= set(failed)
    assert await used(stage) == []


@pytest.mark.parametrize("control", [*sorted(NEVER), "R99", ""])
async def test_some_controls_are_never_lifted(stage: Stage, control: str) -> None:
    no = await asked(stage, *([control] if control else []))
    assert isinstance(no, Refusal)
    assert no.code is Code.INVALID


async def test_both_persons_have_logged_in_lately(stage: Stage) -> None:
    never = msgspec.structs.replace(ANNA, auth_time=None)
    for who in (never, logged_in(ANNA, stage, 301), logged_in(ANNA, stage, -60)):
        no = await stage.node.limits.ask_override(
            who, Asked((ACCOUNT,), LARGE, ("R06",), 900), reason="r", correlation="t"
        )
        assert isinstance(no, Refusal)
        assert no.code is Code.STEP_UP_REQUIRED
    change = await asked(stage, "R06")
    assert isinstance(change, Change)
    long_ago = logged_in(BEN, stage, 301)
    late = await stage.node.limits.approve(long_ago, change.id, reason="r", correlation="t")
    assert isinstance(late, Refusal)
    assert late.code is Code.STEP_UP_REQUIRED
    assert stage.node.limits.book.changes[change.id].state is State.PENDING


async def test_who_asked_cannot_grant_and_who_may_not_trade_cannot_ask(stage: Stage) -> None:
    change = await asked(stage, "R06")
    assert isinstance(change, Change)
    own = await stage.node.limits.approve(logged_in(ANNA, stage), change.id, reason="mine", correlation="t")
    assert isinstance(own, Refusal)
    assert own.code is Code.SAME_PERSON
    reader = msgspec.structs.replace(ANNA, scopes=frozenset({Scope.RISK_WRITE}))
    no = await asked(stage, "R06", who=reader)
    assert isinstance(no, Refusal)
    assert no.code is Code.FORBIDDEN
    no = await asked(stage, "R06", who=msgspec.structs.replace(ANNA, accounts=frozenset()))
    assert isinstance(no, Refusal)
    assert no.code is Code.NOT_FOUND


async def test_a_request_waits_as_long_as_it_would_live(stage: Stage) -> None:
    change = await asked(stage, "R06")
    assert isinstance(change, Change)
    await stage.clock.move(900)
    late = await stage.node.limits.approve(logged_in(BEN, stage), change.id, reason="late", correlation="t")
    assert isinstance(late, Refusal)
    assert late.code is Code.CHANGE_SETTLED
    assert stage.clock.now() > START
