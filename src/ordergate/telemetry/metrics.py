"""Measurements for Prometheus: how long each stage takes, how much waits, what was refused.

Looking a labelled child up costs more than counting, so the stages are bound once, here, and
the hot path calls `metrics.decide.observe(seconds)`. Label values come from closed sets (stages,
statuses, refusal codes, the accounts of the settings, a bounded number of registered clients), never from a
request, so that no client can grow the registry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ordergate.core.accounts.alarms import AlarmNature
from ordergate.core.accounts.breaks import Severity
from ordergate.core.ids import AccountId
from ordergate.core.orders.lifecycle import Status
from ordergate.core.refusals import Code
from ordergate.core.risk.trading_state import Level, Trip
from ordergate.telemetry.instruments import Counters, Histograms

STAGES: Final = ("authenticate", "decide", "commit", "dispatch", "broker", "absorb", "publish")
CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

# How long something has not been known: the name of an age, and the seconds that it is below.
AGES: Final[Mapping[str, float]] = {"under_5s": 5.0, "under_60s": 60.0, "over_60s": math.inf}

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
        alarms = Counters("ordergate_alarms", "Alarms raised, by nature.", ["nature"], registry=self.registry)
        trips = Counters(
            "ordergate_trips", "Stops engaged by the gateway itself.", ["trip"], registry=self.registry
        )
        self._trips = {trip: trips.of(trip.value) for trip in Trip}
        self._alarms = {nature: alarms.of(nature.value) for nature in AlarmNature}
        self._orders = {status: orders.of(status.value) for status in Status}
        self._refusals = {code: refusals.of(code.value) for code in Code}

    def _bind_gauges(self) -> None:
        def gauge(name: str, meaning: str) -> Gauge:
            return Gauge(name, meaning, registry=self.registry)

        self._unknown = Gauge(
            "ordergate_unknown_orders",
            "Orders with a question to the broker whose answer is not known, by how long.",
            ["account", "age"],
            registry=self.registry,
        )
        self._secret_age = Gauge(
            "ordergate_secret_age_seconds",
            "Since each secret was made or last replaced, where that is known.",
            ["secret"],
            registry=self.registry,
        )
        self._secrets_told: frozenset[str] = frozenset()
        self._credential_expires = Gauge(
            "ordergate_credential_expires_seconds",
            "Until what a user granted at a broker runs out, unless it is refreshed.",
            ["broker"],
            registry=self.registry,
        )
        self.stream_clients = gauge("ordergate_stream_clients", "Open stream connections.")
        self.kill_switch = gauge("ordergate_kill_switch_engaged", "1 while the kill switch is engaged.")
        stops = Gauge("ordergate_stops", "Stops in force, by level.", ["level"], registry=self.registry)
        self.stops = {level: stops.labels(level.value) for level in Level}
        self.stops_left = gauge(
            "ordergate_stops_orders_left", "Open orders that a stop or a dead man's switch cancels."
        )
        self.control_age = gauge(
            "ordergate_control_stream_age_seconds", "Since this node last heard what is stopped."
        )
        self.clock_offset = gauge(
            "ordergate_clock_offset_seconds",
            "How far the clock is ahead, as its time keeper says; NaN: unknown.",
        )
        self.broker_stream_silence = gauge(
            "ordergate_broker_stream_silence_seconds", "Time since the broker's stream last said anything."
        )
        self.snapshot_behind = gauge(
            "ordergate_snapshot_events_behind",
            "Events since the latest snapshot, of the account that has most: what a start would fold.",
        )
        breaks = Gauge(
            "ordergate_breaks_open", "Open breaks, by severity.", ["severity"], registry=self.registry
        )
        self.breaks_open = {severity: breaks.labels(severity.value) for severity in Severity}
        self.break_age = gauge("ordergate_break_oldest_seconds", "How long the oldest open break is open.")
        self.stale_accounts = gauge(
            "ordergate_stale_accounts", "Accounts whose picture of the broker is not current."
        )
        self.reconciliation_age = gauge(
            "ordergate_reconciliation_age_seconds",
            "Since the latest completed reconciliation, of the account that waits longest.",
        )
        self.reconciliation_took = gauge(
            "ordergate_reconciliation_seconds", "How long the latest one took, the longest of all accounts."
        )

    def order_reached(self, status: Status) -> None:
        self._orders[status].inc()

    def alarm(self, nature: AlarmNature) -> None:
        self._alarms[nature].inc()

    def tripped(self, trip: Trip) -> None:
        self._trips[trip].inc()

    def unknown(self, account: AccountId, age: str) -> Gauge:
        """One of the accounts in the settings, and an age of `AGES`."""
        return self._unknown.labels(account, age)

    def secret_ages(self, ages: Mapping[str, float]) -> None:
        """All that are known now, by name: keys, secrets that the settings name, registered clients."""
        for name in self._secrets_told - ages.keys():
            self._secret_age.remove(name)
        for name, age in ages.items():
            self._secret_age.labels(name).set(age)
        self._secrets_told = frozenset(ages)

    def credential_expires(self, broker: str) -> Gauge:
        """One of the brokers in the settings."""
        return self._credential_expires.labels(broker)

    def refused(self, code: Code) -> None:
        self._refusals[code].inc()

    def exposition(self) -> bytes:
        """The text that `/metrics` answers, of type `CONTENT_TYPE`."""
        return generate_latest(self.registry)
