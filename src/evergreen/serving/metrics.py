"""What a server counts, for Prometheus."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.whole = CollectorRegistry()
        """Has these counters, and what others register beside them, which only those learn who may."""
        self.whole.register(registry)
        self._counters: dict[tuple[Any, ...], Counter] = {}
        self.requests = Counter("evergreen_requests", "Requests answered.", ["route", "status"], registry=registry)
        self.seconds = Histogram("evergreen_request_seconds", "Seconds to an answer.", ["route"], buckets=SECONDS, registry=registry)
        self.predictions = Counter("evergreen_predictions", "Rows predicted.", ["version"], registry=registry)
        self.swaps = Gauge("evergreen_swaps", "Versions that have taken over since the start.", registry=registry)
        self.refusals = Gauge("evergreen_refused_versions", "Champions that were refused since the start.", registry=registry)
        self.deaths = Gauge("evergreen_worker_deaths", "Workers that ended by themselves since the start.", registry=registry)
        gauge = ("Rows that wait for a prediction.", "Predictions that wait to be logged.")
        self.queue = Gauge("evergreen_queue_rows", gauge[0], registry=registry)
        self.unlogged = Gauge("evergreen_log_queue_rows", gauge[1], registry=registry)
        self.logged = Gauge("evergreen_logged_predictions", "Predictions written to the log since the start.", registry=registry)
        self.dropped = Gauge("evergreen_dropped_predictions", "Predictions answered and not logged since the start.", registry=registry)
        self.batches = Gauge("evergreen_batches", "Batches predicted since the start.", registry=registry)
        self.faults = Gauge("evergreen_model_faults", "Requests at which the model failed, since the start.", registry=registry)
        self.version = Gauge("evergreen_model_version", "The version that serves; 0 when none does.", registry=registry)
        self.ready = Gauge("evergreen_ready", "1 when requests are answered.", registry=registry)
        self.degraded = Gauge("evergreen_degraded", "1 when the journal or the registry cannot be followed.", registry=registry)
        told = ("The version that is asked in shadow; 0 when none is.", "Predictions that it was not asked about yet.")
        self.shadow = Gauge("evergreen_shadow_version", told[0], registry=registry)
        self.shadow_waiting = Gauge("evergreen_shadow_waiting_rows", told[1], registry=registry)
        self.shadow_dropped = Gauge("evergreen_shadow_dropped_rows", "Predictions that it is never asked about.", registry=registry)

    def count(self, route: str, status: int) -> None:
        """One request was answered."""
        self._counter(self.requests, route, status).inc()

    def count_rows(self, version: int, rows: int) -> None:
        """Rows were predicted."""
        self._counter(self.predictions, version).inc(rows)

    def _counter(self, counter: Counter, *labels: Any) -> Counter:
        """The part of a counter that has these labels, kept: to look it up takes as long as to read a request."""
        if (kept := self._counters.get(labels)) is None:
            kept = self._counters[labels] = counter.labels(*labels)
        return kept

    def exposition(self, *, is_whole: bool) -> bytes:
        """These counters in Prometheus's text form, or them and what is registered beside them; that may take a while."""
        told: bytes = generate_latest(self.whole if is_whole else self.registry)
        return told
