"""Figures for Prometheus: requests, time by stage, queues, the dictionary, the process."""

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

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The figures of one process, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
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
            buckets=SECONDS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "captionary_stage_seconds",
            "Time of each part of the work.",
            ("stage",),
            buckets=SECONDS,
            registry=self._registry,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(seconds)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a part of the work."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.took(name, time.perf_counter() - start)

    def took(self, stage: str, seconds: float) -> None:
        """Count the time of a part of the work."""
        self._stages.labels(stage).observe(seconds)

    def gauge(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A figure that is read whenever Prometheus asks: captionary_NAME."""
        gauge = Gauge(f"captionary_{name}", help, registry=self._registry)
        gauge.set_function(read)

    def gauges(
        self, name: str, help: str, label: str, kinds: Mapping[str, Callable[[], float]]
    ) -> None:
        """Figures of one name, told apart by a label."""
        gauge = Gauge(f"captionary_{name}", help, (label,), registry=self._registry)
        for kind, read in kinds.items():
            gauge.labels(kind).set_function(read)

    def page(self) -> Response:
        """All figures, as Prometheus reads them."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
