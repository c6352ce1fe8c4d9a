"""How calls go: busy services, problems, silence, strange answers."""

import json
import socket
import time

import pytest

from captionary.client import (
    Busy,
    NotDone,
    Pair,
    ServiceProblem,
    StrangeAnswer,
    Unreachable,
)
from captionary.client.sans_io import RETRIES
from captionary.client.uploads import MOST_BYTES, MOST_PAIRS
from captionary.schemas.errors import CaptionaryError, WrongInput
from tests.client.conftest import Connect
from tests.client.scripted import Said, Script, served

PROBLEM = {"title": "Service Unavailable", "detail": "16 requests are under way; come again in 1 s"}
BUSY = Said(503, PROBLEM | {"status": 503, "request_id": "r1"}, {"Retry-After": "1"})
AT_ONCE = Said(429, PROBLEM | {"status": 429, "request_id": "r1"}, {"Retry-After": "0"})
ACCEPTED = Said(202, {"job": "j1"})


def job(state: str, done: int = 0) -> Said:
    return Said(200, {"job": "j1", "state": state, "pairs": 2, "done": done, "failures": []})


@pytest.mark.parametrize("busy", [BUSY, AT_ONCE])
def test_a_busy_service_is_asked_again_when_it_says(connect: Connect, busy: Said) -> None:
    script = Script(busy, busy, ACCEPTED)
    with served(script) as url:
        assert connect(url).add(b"picture", "a dog", id="d") == "j1"

    pause = float(busy.headers["Retry-After"])
    gaps = [later - earlier for earlier, later in zip(script.times, script.times[1:], strict=False)]
    assert len(gaps) == 2
    assert all(pause <= gap for gap in gaps)
    assert len({heard.body for heard in script.heard}) == 1


def test_a_picture_is_sent_whole_again(connect: Connect) -> None:
    script = Script(AT_ONCE, Said(200, b"PNG", {"content-type": "image/png"}))
    with served(script) as url:
        assert connect(url).class_map(b"picture", "dog") == b"PNG"

    assert all(b"\r\n\r\npicture\r\n" in heard.body for heard in script.heard)
    assert len(script.heard) == 2


def test_patience_ends_with_the_timeout(connect: Connect) -> None:
    script = Script(Said(503, BUSY.body, {"Retry-After": "3"}))
    with served(script) as url, pytest.raises(Busy, match="come again in 1 s") as caught:
        connect(url, timeout=2).about()

    assert len(script.heard) == 1
    assert (caught.value.status, caught.value.retry_after) == (503, 3)
    assert caught.value.request_id == "r1"


def test_retries_are_bounded(connect: Connect) -> None:
    script = Script(AT_ONCE)
    with served(script) as url, pytest.raises(Busy) as caught:
        connect(url).about()

    assert len(script.heard) == RETRIES + 1
    assert caught.value.status == 429


@pytest.mark.parametrize("told", [{}, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}])
def test_without_seconds_to_wait_nothing_is_retried(connect: Connect, told: dict[str, str]) -> None:
    script = Script(Said(503, PROBLEM | {"status": 503}, told))
    with served(script) as url, pytest.raises(Busy) as caught:
        connect(url).about()

    assert len(script.heard) == 1
    assert caught.value.retry_after is None


@pytest.mark.parametrize("status", [400, 404, 413, 500, 502])
def test_other_problems_are_told_and_not_retried(connect: Connect, status: int) -> None:
    said = {"title": "x", "status": status, "detail": "what, and what to do", "request_id": "r7"}
    script = Script(Said(status, said, {"Retry-After": "0"}))
    with served(script) as url, pytest.raises(ServiceProblem) as caught:
        connect(url).noun("dog")

    assert len(script.heard) == 1
    assert not isinstance(caught.value, Busy)
    assert str(caught.value) == f"what, and what to do (status {status}, request r7)"
    assert (caught.value.status, caught.value.detail) == (status, "what, and what to do")


def test_problems_of_a_proxy_are_told_too(connect: Connect) -> None:
    page = Said(502, b"<html>", {"content-type": "text/html", "x-request-id": "p1"})
    with served(Script(page)) as url, pytest.raises(ServiceProblem) as caught:
        connect(url).about()

    assert caught.value.detail == f"{url}/v1/about answered 502 Bad Gateway"
    assert caught.value.request_id == "p1"


def test_nobody_there_is_told_in_one_line(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(Unreachable, match=f"^no answer from {url}/v1/about: .+") as caught:
        connect(url).about()

    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, CaptionaryError)


def test_a_service_that_is_too_slow_is_told(connect: Connect) -> None:
    script = Script(Said(200, {}, seconds=1))
    with served(script) as url, pytest.raises(Unreachable, match="no answer from"):
        connect(url, timeout=0.2).about()

    assert len(script.heard) <= 1


@pytest.mark.parametrize("said", [Said(200, {"hello": "world"}), Said(200, b"<html>")])
def test_strange_answers_are_told(connect: Connect, said: Said) -> None:
    with served(Script(said)) as url:
        client = connect(url)
        with pytest.raises(StrangeAnswer, match="/v1/about answered application/json that cannot"):
            client.about()
        with pytest.raises(StrangeAnswer, match="/v1/segment answered application/json"):
            client.overlay(b"picture", "dog")


def test_waiting_looks_less_and_less_often(connect: Connect) -> None:
    script = Script(job("queued"), job("running"), job("running", 1), job("done", 2))
    with served(script) as url:
        state = connect(url).wait("j1")

    assert (state.state, state.done) == ("done", 2)
    assert {heard.path for heard in script.heard} == {"/v1/jobs/j1"}
    gaps = [later - earlier for earlier, later in zip(script.times, script.times[1:], strict=False)]
    assert len(gaps) == 3
    assert all(gap >= pause for gap, pause in zip(gaps, (0.05, 0.1, 0.2), strict=True))


def test_waiting_ends_with_its_timeout(connect: Connect) -> None:
    start = time.monotonic()
    with (
        served(Script(job("running", 1))) as url,
        pytest.raises(NotDone, match=r"^job j1 is running after 0.4 s, 1 of 2 pairs") as caught,
    ):
        connect(url).wait("j1", timeout=0.4)

    assert time.monotonic() - start > 0.1
    assert caught.value.job.done == 1


def test_a_failed_job_is_not_waited_for(connect: Connect) -> None:
    with served(Script(job("failed", 2))) as url:
        assert connect(url).wait("j1", timeout=0.4).state == "failed"


def test_many_pairs_go_in_batches(connect: Connect) -> None:
    script = Script(*(Said(202, {"job": f"j{n}"}) for n in range(1, 9)))
    small = [Pair(b"p%d" % n, "a dog", id=f"s{n}") for n in range(MOST_PAIRS + 1)]
    large = [Pair(bytes(MOST_BYTES // 2), "a dog", id=f"l{n}") for n in range(3)]
    with served(script) as url:
        jobs = connect(url).add_many([*small, *large])

    sent = [[pair["id"] for pair in json.loads(heard.body)["pairs"]] for heard in script.heard]
    assert jobs == [f"j{n}" for n in range(1, len(sent) + 1)]
    assert [len(ids) for ids in sent] == [MOST_PAIRS, 2, 1, 1]
    assert [id for ids in sent for id in ids] == [pair.id for pair in [*small, *large]]
    assert max(len(heard.body) for heard in script.heard) < MOST_BYTES + 10_000


def test_no_pairs_are_no_request(connect: Connect) -> None:
    script = Script(ACCEPTED)
    with served(script) as url:
        assert connect(url).add_many([]) == []

    assert script.heard == []


def test_addresses_of_pictures_are_left_to_the_indexer(connect: Connect) -> None:
    script = Script(ACCEPTED)
    with served(script) as url:
        connect(url).add("https://example.org/dog.jpg", "a dog", tags=["x"])

    (pair,) = json.loads(script.heard[0].body)["pairs"]
    assert (pair["url"], pair["image"]) == ("https://example.org/dog.jpg", None)
    assert (pair["captions"], pair["tags"]) == (["a dog"], ["x"])


def test_the_indexer_may_be_elsewhere_and_keys_go_to_both(connect: Connect) -> None:
    reader, writer = Script(Said(404, PROBLEM | {"status": 404})), Script(ACCEPTED)
    with served(reader) as segmenter, served(writer) as indexer:
        client = connect(segmenter + "/", indexer=indexer, key="a-key")
        assert client.remove_source("a/b c") == "j1"
        with pytest.raises(ServiceProblem):
            client.noun("fire hydrant")

    (removal,), (noun,) = writer.heard, reader.heard
    assert (removal.method, removal.path) == ("DELETE", "/v1/sources/a%2Fb%20c")
    assert noun.path == "/v1/vocabulary/fire%20hydrant"
    assert removal.headers["x-api-key"] == noun.headers["x-api-key"] == "a-key"


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("localhost:8000", {}, "'localhost:8000' is no address of a service"),
        ("http://here:port", {}, "'http://here:port' is no address of a service"),
        ("http://here", {"indexer": "there"}, "'there' is no address of a service"),
        ("http://here", {"key": "schlüssel"}, "the API key has characters that no key has"),
        ("http://here", {"key": "key\n"}, "the API key has characters that no key has"),
    ],
)
def test_wrong_addresses_and_keys_are_told(
    connect: Connect, url: str, options: dict[str, str], said: str
) -> None:
    with pytest.raises(WrongInput, match=said):
        connect(url, **options)


def test_what_cannot_be_sent_is_told(connect: Connect) -> None:
    client = connect("http://127.0.0.1:9")
    with pytest.raises(WrongInput, match=r"cannot read the picture nowhere.jpg: No such file"):
        client.segment("nowhere.jpg", "dog")
    with pytest.raises(WrongInput, match=r"a pair cannot be sent: captions: .* at least 1 item"):
        client.add(b"picture", [])
