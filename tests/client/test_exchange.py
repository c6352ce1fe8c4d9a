"""The steps of calls, one by one, without a network or a clock: retries and polling."""

from typing import Generic, TypeVar

import pytest

from captionary.client import Busy, JobUnfinished
from captionary.client.endpoints import Endpoints
from captionary.client.exchange import RETRIES, Exchange, Pause, Request
from tests.client.scripted import Reply

T = TypeVar("T")

ENDPOINTS = Endpoints(segmenter="http://a", indexer="http://b", retry_timeout=60)
PROBLEM = {"title": "Service Unavailable", "detail": "16 requests are under way; come again in 1 s"}


def busy(status: int, **headers: str) -> Reply:
    body = PROBLEM | {"status": status, "request_id": "r1"}
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def job(state: str, done: int = 0) -> Reply:
    return Reply(200, {"job": "j1", "state": state, "pairs": 2, "done": done, "failures": []})


class Run(Generic[T]):
    """Carries an exchange out on scripted replies, the last one for ever, and takes no pause."""

    def __init__(self, exchange: Exchange[T], *replies: Reply) -> None:
        self.requests: list[Request] = []
        self.pauses: list[float] = []
        self._exchange = exchange
        self._replies = replies

    def result(self) -> T:
        response = None
        while True:
            try:
                step = self._exchange.send(response)
            except StopIteration as end:
                result: T = end.value
                return result
            response = None
            if isinstance(step, Pause):
                self.pauses.append(step.seconds)
            else:
                self.requests.append(step)
                reply = self._replies[min(len(self.requests), len(self._replies)) - 1]
                response = reply.response()


@pytest.mark.parametrize(("status", "seconds"), [(503, 1), (429, 0), (429, 20)])
def test_a_busy_service_is_retried_when_it_says(status: int, seconds: int) -> None:
    reply = busy(status, Retry_After=str(seconds))
    run = Run(ENDPOINTS.add(b"picture", "a dog", id="d"), reply, reply, Reply(202, {"job": "j1"}))

    assert run.result() == "j1"
    assert run.pauses == [seconds, seconds]
    assert len(run.requests) == 3
    assert len({request.content for request in run.requests}) == 1


def test_retries_end_with_the_timeout() -> None:
    endpoints = Endpoints(segmenter="http://a", indexer="http://b", retry_timeout=2)
    run = Run(endpoints.about(), busy(503, Retry_After="3"))
    with pytest.raises(Busy, match="come again in 1 s") as caught:
        run.result()

    assert (len(run.requests), run.pauses) == (1, [])
    assert (caught.value.status, caught.value.retry_after) == (503, 3)
    assert caught.value.request_id == "r1"


def test_retries_are_bounded() -> None:
    run = Run(ENDPOINTS.about(), busy(429, Retry_After="0"))
    with pytest.raises(Busy) as caught:
        run.result()

    assert len(run.requests) == RETRIES + 1
    assert caught.value.status == 429


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "Wed, 21 Oct 2015 07:28:00 GMT"}])
def test_without_seconds_to_wait_nothing_is_retried(headers: dict[str, str]) -> None:
    run = Run(ENDPOINTS.about(), busy(503, **headers))
    with pytest.raises(Busy) as caught:
        run.result()

    assert len(run.requests) == 1
    assert caught.value.retry_after is None


def test_a_job_is_polled_less_and_less_often() -> None:
    run = Run(ENDPOINTS.wait("j1"), job("queued"), *[job("running")] * 7, job("done", 2))
    state = run.result()

    assert (state.state, state.done) == ("done", 2)
    assert {request.url for request in run.requests} == {"http://b/v1/jobs/j1"}
    assert run.pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2]


def test_waiting_ends_with_its_timeout() -> None:
    run = Run(ENDPOINTS.wait("j1", timeout=1.9), job("running", 1))
    with pytest.raises(JobUnfinished, match=r"^job j1 is running after 1.9 s, 1 of 2") as caught:
        run.result()

    assert run.pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]
    assert caught.value.job.done == 1


def test_a_failed_job_is_not_waited_for() -> None:
    run = Run(ENDPOINTS.wait("j1"), job("failed", 2))

    assert run.result().state == "failed"
    assert run.pauses == []
