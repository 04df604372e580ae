"""Measurements for Prometheus: how long each stage takes, how much waits, what was refused.

Looking a labelled child up costs more than counting, so the stages are bound once, here, and
the hot path calls `metrics.decide.observe(seconds)`. Label values come from closed sets (stages,
statuses, refusal codes), never from a request, so that no client can grow the registry.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ordergate.core.orders.lifecycle import Status
from ordergate.core.refusals import Code
from ordergate.telemetry.instruments import Counters, Histograms

STAGES: Final = ("authenticate", "decide", "commit", "dispatch", "broker", "absorb", "publish")
CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

_SECONDS: Final = (
    0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
_BATCH: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Every measurement of one process. Tests and benches make their own registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._bind_stages()
        self._bind_orders()
        self._bind_gauges()

    def _bind_stages(self) -> None:
        stages = Histograms(
            "ordergate_stage_seconds",
            "Time an order spends in each stage between request and answer.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        bound = {stage: stages.of(stage) for stage in STAGES}
        self.authenticate = bound["authenticate"]
        self.decide = bound["decide"]
        self.commit = bound["commit"]
        self.dispatch = bound["dispatch"]
        self.broker = bound["broker"]
        self.absorb = bound["absorb"]
        self.publish = bound["publish"]
        batches = Histograms(
            "ordergate_journal_batch_size",
            "Units of work that one journal commit made durable.",
            buckets=_BATCH,
            registry=self.registry,
        )
        self.batch_size = batches.of()

    def _bind_orders(self) -> None:
        orders = Counters(
            "ordergate_orders", "Orders that reached a status.", ["status"], registry=self.registry
        )
        refusals = Counters(
            "ordergate_refusals", "Requests refused, by code.", ["code"], registry=self.registry
        )
        self._orders = {status: orders.of(status.value) for status in Status}
        self._refusals = {code: refusals.of(code.value) for code in Code}

    def _bind_gauges(self) -> None:
        def gauge(name: str, meaning: str) -> Gauge:
            return Gauge(name, meaning, registry=self.registry)

        self.unknown_orders = gauge("ordergate_unknown_orders", "Orders whose fate is not yet proven.")
        self.stream_clients = gauge("ordergate_stream_clients", "Open stream connections.")
        self.kill_switch = gauge("ordergate_kill_switch_engaged", "1 while the kill switch is engaged.")
        self.broker_stream_silence = gauge(
            "ordergate_broker_stream_silence_seconds", "Time since the broker's stream last said anything."
        )

    def order_reached(self, status: Status) -> None:
        self._orders[status].inc()

    def refused(self, code: Code) -> None:
        self._refusals[code].inc()

    def exposition(self) -> bytes:
        """The text that `/metrics` answers, of type `CONTENT_TYPE`."""
        return generate_latest(self.registry)
