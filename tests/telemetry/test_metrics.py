"""What is measured is there for Prometheus from the start, by name and label."""

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from ordergate.core.accounts.alarms import AlarmNature
from ordergate.core.ids import AccountId
from ordergate.core.orders.lifecycle import Status
from ordergate.core.refusals import Code
from ordergate.telemetry.metrics import STAGES, Metrics


def test_every_stage_status_and_code_is_exposed_before_anything_happens() -> None:
    families = {f.name: f for f in text_string_to_metric_families(Metrics().exposition().decode())}

    stages = {sample.labels["stage"] for sample in families["ordergate_stage_seconds"].samples}
    statuses = {sample.labels["status"] for sample in families["ordergate_orders"].samples}
    codes = {sample.labels["code"] for sample in families["ordergate_refusals"].samples}
    assert stages == set(STAGES)
    assert statuses == {status.value for status in Status}
    assert codes == {code.value for code in Code}


def test_bound_children_count_where_their_label_says() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)

    metrics.decide.observe(0.002)
    metrics.order_reached(Status.FILLED)
    metrics.refused(Code.RISK_DENIED)
    metrics.unknown(AccountId("P-DEMO"), "under_5s").set(3)
    metrics.alarm(AlarmNature.UNKNOWN_ORDER)
    metrics.batch_size.observe(17)

    assert registry.get_sample_value("ordergate_stage_seconds_count", {"stage": "decide"}) == 1
    assert registry.get_sample_value("ordergate_orders_total", {"status": "filled"}) == 1
    assert registry.get_sample_value("ordergate_refusals_total", {"code": "risk-denied"}) == 1
    unknown = {"account": "P-DEMO", "age": "under_5s"}
    assert registry.get_sample_value("ordergate_unknown_orders", unknown) == 3
    assert registry.get_sample_value("ordergate_alarms_total", {"nature": "unknown_order"}) == 1
    assert registry.get_sample_value("ordergate_journal_batch_size_sum") == 17


def test_two_registries_do_not_share_counts() -> None:
    one, other = Metrics(), Metrics()

    one.commit.observe(1)

    assert other.registry.get_sample_value("ordergate_stage_seconds_count", {"stage": "commit"}) == 0
