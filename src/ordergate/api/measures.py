"""What the public face counts and times. Label values come from our own tables, never from a client."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from ordergate.telemetry.instruments import Counter, Counters, Histogram, Histograms

_LATENCY_S = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class Measures:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._request_s = Histograms(
            "ordergate_http_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ("method", "route"),
            buckets=_LATENCY_S,
            registry=registry,
        )
        self._requests = Counters(
            "ordergate_http_requests",
            "Answered requests.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._closed = Counters(
            "ordergate_stream_closed", "Streams that we closed, by close code.", ("code",), registry=registry
        )
        faults = "Requests that met a defect of ours."
        self.faults = Counters("ordergate_http_faults", faults, registry=registry).of()
        sent = "Messages given to clients."
        self.sent = Counters("ordergate_stream_messages_sent", sent, registry=registry).of()
        received = "Messages that clients sent."
        self.received = Counters("ordergate_stream_messages_received", received, registry=registry).of()
        self._of_answer: dict[tuple[str, str, int], tuple[Histogram, Counter]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Children are kept: looking one up through its labels costs more than counting."""
        kept = self._of_answer.get((method, route, status))
        if kept is None:
            kept = self._request_s.of(method, route), self._requests.of(method, route, str(status))
            self._of_answer[method, route, status] = kept
        timer, counter = kept
        timer.observe(seconds)
        counter.inc()

    def closed(self, code: int) -> None:
        """We closed a stream."""
        self._closed.of(str(code)).inc()
