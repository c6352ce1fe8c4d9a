import re

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from captionary.serving.metrics import Metrics
from tests.serving.parts import Part, app_of


def samples(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All figures of a page, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def page_of(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return samples(bytes(metrics.response().body).decode())


def one(
    page: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str
) -> float:
    return page[name, frozenset(labels.items())]


def test_requests_are_counted_and_timed() -> None:
    metrics = Metrics()
    metrics.count_request("GET", "/a", 200, 0.02)
    metrics.count_request("GET", "/a", 200, 0.3)
    metrics.count_request("GET", "/a", 503, 0.0)
    page = page_of(metrics)
    assert one(page, "captionary_requests_total", method="GET", route="/a", status="200") == 2
    assert one(page, "captionary_requests_total", method="GET", route="/a", status="503") == 1
    timed = {"method": "GET", "route": "/a"}
    assert one(page, "captionary_request_seconds_count", **timed) == 3
    assert one(page, "captionary_request_seconds_sum", **timed) == pytest.approx(0.32)
    assert one(page, "captionary_request_seconds_bucket", **timed, le="0.025") == 2
    assert one(page, "captionary_request_seconds_bucket", **timed, le="+Inf") == 3


def test_stages_are_timed_also_when_they_fail() -> None:
    metrics = Metrics()
    with metrics.stage("cut"):
        pass
    with pytest.raises(LookupError), metrics.stage("cut"):
        raise LookupError
    assert one(page_of(metrics), "captionary_stage_seconds_count", stage="cut") == 2


def test_gauges_are_read_when_the_page_is() -> None:
    metrics, waiting = Metrics(), [1.0]
    metrics.add_gauge("waiting", "In line.", lambda: waiting[0])
    metrics.add_gauges("size", "Of it.", "kind", {"nouns": lambda: 3, "regions": lambda: 4})
    assert one(page_of(metrics), "captionary_waiting") == 1
    waiting[0] = 7
    page = page_of(metrics)
    assert one(page, "captionary_waiting") == 7
    assert one(page, "captionary_size", kind="nouns") == 3
    assert one(page, "captionary_size", kind="regions") == 4


def test_two_processes_in_one_do_not_share_figures() -> None:
    first, second = Metrics(), Metrics()
    first.count_request("GET", "/a", 200, 0.1)
    assert not any(name == "captionary_requests_total" for name, _ in page_of(second))


def test_the_process_is_measured() -> None:
    assert one(page_of(Metrics()), "process_resident_memory_bytes") > 1e6


def test_the_page_over_http() -> None:
    part = Part()
    part.router.add_api_route("/things/{name}", lambda name: name)
    client = TestClient(app_of(part))
    for name in ("one", "two"):
        client.get(f"/things/{name}")
    for path in ("/nowhere/1", "/nowhere/2"):
        client.get(path)
    client.request("BREW", "/things/one")
    client.request("STEW", "/things/one")
    response = client.get("/metrics")
    assert re.match(r"text/plain; version=", response.headers["Content-Type"])
    counted = {
        labels: value
        for (name, labels), value in samples(response.text).items()
        if name == "captionary_requests_total"
    }

    def how_many(method: str, route: str, status: int) -> float:
        return counted[frozenset({("method", method), ("route", route), ("status", str(status))})]

    assert how_many("GET", "/things/{name}", 200) == 2
    # Neither addresses nor methods that somebody makes up become figures of their own.
    assert how_many("GET", "none", 404) == 2
    assert how_many("other", "/things/{name}", 405) == 2
