"""Barrier 9: in live an account trades when two persons have said so, a moment ago, and for a while."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ordergate.core.approvals import State
from ordergate.core.ids import Env
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.limits import mapping_of
from ordergate.engine.answering.answers import Answer
from ordergate.engine.limits.desk import Edited
from ordergate.engine.limits.live_enabling import ENABLED_MAX
from ordergate.wiring.settings import CannotStart, parse
from tests.engine.stage import LIMITS, Stage
from tests.isolation.live import ENABLED_S, ask_to_enable, enabled, person, place


async def denied(stage: Stage, **more: Any) -> list[str]:
    answer = await place(stage, **more)
    assert isinstance(answer, Answer), answer
    return [f"{failed.control} {failed.reason}" for failed in answer.failed]


async def test_nothing_is_sent_in_live_until_two_persons_enable_it() -> None:
    async with Stage(env=Env.LIVE) as stage:
        assert await denied(stage) == ["R02 not-enabled"]
        assert stage.placed_at_exchange() == 0
        change = await enabled(stage)
        assert change.state is State.APPROVED
        assert await denied(stage) == []
        await stage.until(lambda: stage.placed_at_exchange() == 1)


async def test_it_ends_by_itself_and_is_prolonged_by_two_persons_again() -> None:
    async with Stage(env=Env.LIVE) as stage:
        await enabled(stage)
        await stage.clock.move(ENABLED_S)
        stage.price(stage.last_price)
        assert await denied(stage) == ["R02 not-enabled"]
        again = await ask_to_enable(stage, person("anna", stage.clock.now()), expected=1)
        assert isinstance(again, Edited)
        assert again.change is not None
        assert again.change.state is State.PENDING
        assert await denied(stage) == ["R02 not-enabled"]


async def test_one_person_is_not_two() -> None:
    async with Stage(env=Env.LIVE) as stage:
        now = stage.clock.now()
        asked = await ask_to_enable(stage, person("anna", now))
        assert isinstance(asked, Edited)
        assert asked.change is not None
        own = await stage.node.limits.approve(
            person("anna", now), asked.change.id, reason="mine", correlation="t"
        )
        assert isinstance(own, Refusal)
        assert own.code is Code.SAME_PERSON
        assert await denied(stage) == ["R02 not-enabled"]


async def test_both_have_to_have_logged_in_a_moment_ago() -> None:
    async with Stage(env=Env.LIVE) as stage:
        now = stage.clock.now()
        old = person("anna", now - timedelta(seconds=301))
        unknown = msgspec.structs.replace(old, auth_time=None)
        for who in (old, unknown):
            refused = await ask_to_enable(stage, who)
            assert isinstance(refused, Refusal)
            assert refused.code is Code.STEP_UP_REQUIRED
        asked = await ask_to_enable(stage, person("anna", now))
        assert isinstance(asked, Edited)
        assert asked.change is not None
        stale = person("ben", now - timedelta(seconds=301))
        second = await stage.node.limits.approve(stale, asked.change.id, reason="x", correlation="t")
        assert isinstance(second, Refusal)
        assert second.code is Code.STEP_UP_REQUIRED


async def test_nobody_enables_an_account_for_ever() -> None:
    async with Stage(env=Env.LIVE) as stage:
        now = stage.clock.now()
        until = now + ENABLED_MAX + timedelta(seconds=1)
        refused = await ask_to_enable(stage, person("anna", now), until=until)
        assert isinstance(refused, Refusal)
        assert refused.code is Code.INVALID


async def test_what_is_held_can_still_be_made_smaller_when_it_has_ended() -> None:
    async with Stage(env=Env.LIVE) as stage:
        await enabled(stage)
        assert await denied(stage) == []
        await stage.until(lambda: stage.placed_at_exchange() == 1)
        stage.exchange.mark(stage.instruments[next(iter(stage.instruments))].symbol, stage.last_price - 200)
        await stage.until(lambda: stage.held(next(iter(stage.instruments))) == 1)
        await stage.clock.move(ENABLED_S)
        stage.price(stage.last_price)
        assert await denied(stage) == ["R02 not-enabled"]
        assert "R02 not-enabled" not in await denied(stage, side=Side.SELL)


def test_no_file_enables_an_account_in_live(tmp_path: Path) -> None:
    limits = {**mapping_of(LIMITS), "enabled_until": "2099-01-01T00:00:00+00:00"}
    for environment, account in (("live", "L-TEST"), ("paper", "P-TEST")):
        plain = {
            "environment": environment,
            "data_dir": str(tmp_path),
            "instruments": [],
            "brokers": {"b": {}},
            "accounts": {account: {"broker": "b", "limits": limits}},
        }
        if environment == "paper":
            assert parse(plain, "test").accounts
            continue
        with pytest.raises(CannotStart, match="two persons enable"):
            parse(plain, "test")
