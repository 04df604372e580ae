"""Rules say how many errors and executions stop: for whom they please, beside what the settings say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ordergate.core.refusals import Refusal
from ordergate.core.risk.rules import Reach
from ordergate.engine.limits.use import UseView
from tests.engine.limit_people import edit, edited, rule, setting
from tests.engine.stage import ACCOUNT, Stage
from tests.engine.test_trips import Answering, filled, passes, rejected, stops


async def ruled(stage: Stage, its: dict[str, Any], scope: Reach = Reach.FIRM, of: str = "") -> None:
    done = await edited(stage, setting(rule(its, scope=scope, of=of)))
    assert done.change is None, "it is tighter"


def used(stage: Stage, limit: str) -> list[tuple[str | None, str | None, str | None]]:
    body = stage.node.limits.use_of(ACCOUNT)
    assert body is not None
    view = msgspec.json.decode(body, type=UseView)
    return [(use.strategy, use.used, use.value) for use in view.limits if use.limit == limit]


async def test_errors_stop_an_account_by_the_limits_where_the_settings_name_none() -> None:
    async with Stage(fate=Answering()) as stage:
        await ruled(stage, {"error_windows": [[2, 60]]})
        await rejected(stage)
        await passes(stage, 1)
        assert stops(stage) == []
        assert used(stage, "error_windows") == [(None, "1", "2")]
        await rejected(stage)
        await passes(stage, 1)
        (stop,) = stops(stage)
        assert (stop.level, stop.trip, stop.grade) == ("account", "error-rate", "reduce_only")
        assert "2 errors within 60 s" in stop.reason


async def test_executions_stop_the_strategy_that_a_rule_names_and_no_other() -> None:
    async with Stage() as stage:
        await ruled(stage, {"execution_windows": [[1, 60]]}, Reach.STRATEGY, "trend")
        await filled(stage, "slow")
        await passes(stage, 1)
        assert stops(stage) == []
        await filled(stage, "trend")
        await passes(stage, 1)
        (stop,) = stops(stage)
        assert (stop.level, stop.target, stop.trip) == ("strategy", "trend", "repeated-execution")
        assert used(stage, "execution_windows") == [("trend", "1", "1")]


@pytest.mark.parametrize(
    ("its", "scope", "of", "why"),
    [
        ({"execution_windows": [[5, 60]]}, Reach.USER, "anna", "is counted by strategy"),
        ({"error_windows": [[5, 60]]}, Reach.STRATEGY, "trend", "is counted by account"),
        ({"error_windows": [[5, 3601]]}, Reach.FIRM, "", "no more than 10000 in 3600 s"),
        ({"execution_windows": [[10_001, 60]]}, Reach.FIRM, "", "no more than 10000 in 3600 s"),
    ],
)
async def test_a_window_that_nobody_counts_is_no_rule(
    its: dict[str, Any], scope: Reach, of: str, why: str
) -> None:
    async with Stage() as stage:
        no = await edit(stage, setting(rule(its, scope=scope, of=of)))
        assert isinstance(no, Refusal)
        assert why in f"{no.detail} {no.fields}"
