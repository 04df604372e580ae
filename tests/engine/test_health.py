"""What a watcher sees of accounts that do not agree with their broker."""

from __future__ import annotations

from tests.engine.settling import drift, natures
from tests.engine.stage import Stage


def gauge(stage: Stage, name: str, **labels: str) -> float:
    value = stage.metrics.registry.get_sample_value(name, labels)
    assert value is not None, name
    return value


async def test_open_breaks_are_counted_by_severity_with_the_age_of_the_oldest() -> None:
    async with Stage() as stage:
        assert gauge(stage, "ordergate_breaks_open", severity="severe") == 0
        drift(stage, 2)
        await stage.until(lambda: natures(stage) == ["position"])
        await stage.until(lambda: gauge(stage, "ordergate_breaks_open", severity="severe") == 1)
        assert gauge(stage, "ordergate_breaks_open", severity="warning") == 0
        await stage.until(lambda: gauge(stage, "ordergate_break_oldest_seconds") > 60)
        drift(stage, -2)
        await stage.until(lambda: gauge(stage, "ordergate_breaks_open", severity="severe") == 0)
        assert gauge(stage, "ordergate_break_oldest_seconds") == 0


async def test_an_account_behind_its_broker_is_counted_and_the_age_of_its_reconciliation_grows() -> None:
    async with Stage() as stage:
        await stage.until(lambda: gauge(stage, "ordergate_stale_accounts") == 0)
        stage.broker.stream.cut("maintenance")
        await stage.until(lambda: gauge(stage, "ordergate_stale_accounts") == 1)
        stage.broker.account_number = "SOMEBODY-ELSE"  # no run is completed any more
        await stage.until(lambda: gauge(stage, "ordergate_reconciliation_age_seconds") > 120)
        stage.broker.account_number = "PAPER-1"
        stage.broker.stream.restore()
        await stage.until(lambda: gauge(stage, "ordergate_stale_accounts") == 0)
        await stage.until(lambda: gauge(stage, "ordergate_reconciliation_age_seconds") < 70)
