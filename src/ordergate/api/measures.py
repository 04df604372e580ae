"""What the public face counts and times. Label values come from our own tables, never from a client."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_LATENCY_S = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class Measures:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.request_s = Histogram(
            "ordergate_http_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("method", "route"),
            buckets=_LATENCY_S,
            registry=registry,
        )
        self.requests = Counter(
            "ordergate_http_requests",
            "Answered requests.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.faults = Counter(
            "ordergate_http_faults", "Requests that met a defect of ours.", registry=registry
        )
        self.sent = Counter("ordergate_stream_messages_sent", "Messages given to clients.", registry=registry)
        self.received = Counter(
            "ordergate_stream_messages_received", "Messages that clients sent.", registry=registry
        )
        self.closed = Counter(
            "ordergate_stream_closed", "Streams that we closed, by close code.", ("code",), registry=registry
        )
        self._timers: dict[tuple[str, str], Histogram] = {}
        self._counters: dict[tuple[str, str, int], Counter] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Children are kept: looking one up through its labels costs more than counting."""
        timer = self._timers.get((method, route))
        if timer is None:
            timer = self._timers[method, route] = self.request_s.labels(method, route)
        timer.observe(seconds)
        counter = self._counters.get((method, route, status))
        if counter is None:
            counter = self._counters[method, route, status] = self.requests.labels(method, route, str(status))
        counter.inc()
