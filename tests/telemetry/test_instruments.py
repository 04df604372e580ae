"""What our own counters expose is what Prometheus's own would have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Counter as TheirCounter
from prometheus_client import Histogram as TheirHistogram
from prometheus_client.parser import text_string_to_metric_families

from ordergate.telemetry.instruments import Counters, Histograms

BOUNDS = (0.001, 0.5, 1.0, 10.0)


def samples(registry: CollectorRegistry) -> set[tuple[str, tuple[tuple[str, str], ...], float]]:
    """Name, labels and value of everything exposed; when a metric was made is not compared."""
    return {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from((*BOUNDS, 0.0, 0.25, 7.5, 99.0)))))
def test_a_histogram_exposes_what_the_library_does(seen: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Histograms("waited_seconds", "How long.", ["who"], buckets=BOUNDS, registry=ours)
    library = TheirHistogram("waited_seconds", "How long.", ["who"], buckets=BOUNDS, registry=theirs)
    for who, value in seen:
        mine.of(who).observe(value)
        library.labels(who).observe(value)
    assert samples(ours) == samples(theirs)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 1_000))))
def test_a_counter_exposes_what_the_library_does(seen: list[tuple[str, int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = Counters("things", "How many.", ["which"], registry=ours)
    library = TheirCounter("things", "How many.", ["which"], registry=theirs)
    for which, count in seen:
        mine.of(which).inc(count)
        library.labels(which).inc(count)
    assert samples(ours) == samples(theirs)


def test_without_labels_there_is_one() -> None:
    registry = CollectorRegistry()
    things = Counters("things", "How many.", registry=registry)
    things.of().inc()
    things.of().inc(2)
    assert registry.get_sample_value("things_total") == 3
