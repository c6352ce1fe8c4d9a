"""Metrics for Prometheus: requests, time by stage, queues, the dictionary, the process."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Upper bounds of the histograms, in seconds."""


class Metrics:
    """The metrics of one process, in a registry of their own: apps in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        # The default registry has this collector; our own needs it added.
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "captionary_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "captionary_request_seconds",
            "From the first byte asked to the last byte answered.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "captionary_stage_seconds",
            "Time of each part of the work.",
            ("stage",),
            buckets=BUCKETS,
            registry=self._registry,
        )

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered, and the seconds it took."""
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(seconds)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage of the work."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.observe_stage(name, time.perf_counter() - start)

    def observe_stage(self, stage: str, seconds: float) -> None:
        """Count the seconds of a stage of the work."""
        self._stages.labels(stage).observe(seconds)

    def add_gauge(self, name: str, help: str, read: Callable[[], float]) -> None:
        """Add the gauge captionary_NAME, read whenever Prometheus scrapes."""
        gauge = Gauge(f"captionary_{name}", help, registry=self._registry)
        gauge.set_function(read)

    def add_gauges(
        self, name: str, help: str, label: str, readers: Mapping[str, Callable[[], float]]
    ) -> None:
        """Add gauges of one name, one for each value of a label."""
        gauge = Gauge(f"captionary_{name}", help, (label,), registry=self._registry)
        for value, read in readers.items():
            gauge.labels(value).set_function(read)

    def response(self) -> Response:
        """All metrics, in the text format of Prometheus."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
