"""Both clients on scripted responses: retries, problems, silence, unexpected responses."""

import inspect
import io
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from captionary.client import (
    AsyncClient,
    Busy,
    Client,
    Pair,
    ServiceProblem,
    UnexpectedResponse,
    Unreachable,
)
from captionary.client.endpoints import Endpoints
from captionary.client.uploads import MAX_BATCH_BYTES, MAX_BATCH_PAIRS, Image
from captionary.schemas.bodies import SegmentationBody
from captionary.schemas.errors import CaptionaryError, WrongInput
from tests.client.conftest import Connect
from tests.client.scripted import Reply, Script

URL = "http://service:8000"
PROBLEM = {"title": "Too Many Requests", "detail": "come again in 1 s", "request_id": "r1"}
AT_ONCE = Reply(429, PROBLEM | {"status": 429}, {"Retry-After": "0"})
ACCEPTED = Reply(202, {"job": "j1"})
PNG = Reply(200, b"PNG", {"content-type": "image/png"})


def job(state: str) -> Reply:
    return Reply(200, {"job": "j1", "state": state, "pairs": 2, "done": 0, "failures": []})


def test_a_busy_service_is_retried_with_the_whole_picture(connect: Connect) -> None:
    script = Script(AT_ONCE, AT_ONCE, PNG)

    assert connect(URL, transport=script).class_map(b"picture", "dog") == b"PNG"
    assert len(script.requests) == 3
    assert all(b"\r\n\r\npicture\r\n" in request.content for request in script.requests)


def test_pauses_are_made(connect: Connect) -> None:
    script = Script(job("queued"), job("running"), job("running"), job("done"))

    assert connect(URL, transport=script).wait("j1").state == "done"
    gaps = [later - earlier for earlier, later in zip(script.times, script.times[1:], strict=False)]
    assert len(gaps) == 3
    assert all(gap >= pause for gap, pause in zip(gaps, (0.05, 0.1, 0.2), strict=True))


@pytest.mark.parametrize("status", [400, 404, 413, 500, 502])
def test_other_problems_are_raised_and_not_retried(connect: Connect, status: int) -> None:
    problem = {"title": "x", "status": status, "detail": "what, and what to do", "request_id": "r7"}
    script = Script(Reply(status, problem, {"Retry-After": "0"}))
    with pytest.raises(ServiceProblem) as caught:
        connect(URL, transport=script).noun("dog")

    assert len(script.requests) == 1
    assert not isinstance(caught.value, Busy)
    assert str(caught.value) == f"what, and what to do (status {status}, request r7)"
    assert (caught.value.status, caught.value.detail) == (status, "what, and what to do")


def test_problems_of_a_proxy_are_raised_too(connect: Connect) -> None:
    page = Reply(502, b"<html>", {"content-type": "text/html", "x-request-id": "p1"})
    with pytest.raises(ServiceProblem) as caught:
        connect(URL, transport=Script(page)).about()

    assert caught.value.detail == f"{URL}/v1/about answered 502 Bad Gateway"
    assert caught.value.request_id == "p1"


def test_a_closed_port_is_unreachable(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(Unreachable, match=f"^no answer from {url}/v1/about: .+") as caught:
        connect(url).about()

    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, CaptionaryError)


def test_a_service_that_is_too_slow_is_unreachable(connect: Connect) -> None:
    # The kernel accepts the connection; nothing ever answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unreachable, match=f"no answer from {url}/v1/about: .*[Tt]ime"):
            connect(url, timeout=0.2).about()


@pytest.mark.parametrize("reply", [Reply(200, {"hello": "world"}), Reply(200, b"<html>")])
def test_unexpected_responses_are_raised(connect: Connect, reply: Reply) -> None:
    client = connect(URL, transport=Script(reply))
    with pytest.raises(UnexpectedResponse, match="/v1/about answered application/json that cannot"):
        client.about()
    with pytest.raises(UnexpectedResponse, match="/v1/segment answered application/json"):
        client.overlay(b"picture", "dog")


def test_pictures_of_any_kind_are_sent_alike(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "dog.png"
    path.write_bytes(b"picture")
    script = Script(PNG)
    client = connect(URL, transport=script)
    kinds: list[Image] = [path, str(path), b"picture", io.BytesIO(b"picture")]
    for image in kinds:
        client.class_map(image, ["dog", "sky: air"])

    for request, name in zip(
        script.requests, (b"dog.png", b"dog.png", b"picture", b"picture"), strict=True
    ):
        assert b'name="image"; filename="' + name + b'"' in request.content
        assert b"\r\n\r\npicture\r\n" in request.content
        assert b'\r\n\r\n["dog", "sky: air"]\r\n' in request.content


def test_many_pairs_go_in_batches(connect: Connect) -> None:
    script = Script(*(Reply(202, {"job": f"j{n}"}) for n in range(1, 9)))
    small = [Pair(b"p%d" % n, "a dog", id=f"s{n}") for n in range(MAX_BATCH_PAIRS + 1)]
    large = [Pair(bytes(MAX_BATCH_BYTES // 2), "a dog", id=f"l{n}") for n in range(3)]
    jobs = connect(URL, transport=script).add_many([*small, *large])

    sent = [[pair["id"] for pair in json.loads(r.content)["pairs"]] for r in script.requests]
    assert jobs == [f"j{n}" for n in range(1, len(sent) + 1)]
    assert [len(ids) for ids in sent] == [MAX_BATCH_PAIRS, 2, 1, 1]
    assert [id for ids in sent for id in ids] == [pair.id for pair in [*small, *large]]
    assert max(len(request.content) for request in script.requests) < MAX_BATCH_BYTES + 10_000


def test_no_pairs_are_no_request(connect: Connect) -> None:
    script = Script(ACCEPTED)

    assert connect(URL, transport=script).add_many([]) == []
    assert script.requests == []


def test_urls_of_pictures_are_left_to_the_indexer(connect: Connect) -> None:
    script = Script(ACCEPTED)
    connect(URL, transport=script).add("https://example.org/dog.jpg", "a dog", tags=["x"])

    (pair,) = json.loads(script.requests[0].content)["pairs"]
    assert (pair["url"], pair["image"]) == ("https://example.org/dog.jpg", None)
    assert (pair["captions"], pair["tags"]) == (["a dog"], ["x"])


def test_the_indexer_may_be_elsewhere_and_keys_go_to_both(connect: Connect) -> None:
    script = Script(ACCEPTED, Reply(404, PROBLEM | {"status": 404}))
    client = connect(URL + "/", indexer="https://indexer", key="a-key", transport=script)
    assert client.remove_source("a/b c") == "j1"
    with pytest.raises(ServiceProblem):
        client.noun("fire hydrant")

    removal, noun = script.requests
    assert (removal.method, removal.url.host) == ("DELETE", "indexer")
    assert removal.url.raw_path == b"/v1/sources/a%2Fb%20c"
    assert (noun.method, noun.url.host) == ("GET", "service")
    assert noun.url.raw_path == b"/v1/vocabulary/fire%20hydrant"
    assert removal.headers["x-api-key"] == noun.headers["x-api-key"] == "a-key"


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("localhost:8000", {}, "'localhost:8000' is no address of a service"),
        ("http://here:port", {}, "'http://here:port' is no address of a service"),
        ("http://here", {"indexer": "there"}, "'there' is no address of a service"),
        ("http://here", {"key": "schlüssel"}, "the API key has characters that no key has"),
        ("http://here", {"key": "key\n"}, "the API key has characters that no key has"),
    ],
)
def test_malformed_addresses_and_keys(
    connect: Connect, url: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(WrongInput, match=message):
        connect(url, **options)


def test_what_cannot_be_sent(connect: Connect) -> None:
    client = connect("http://127.0.0.1:9")
    with pytest.raises(WrongInput, match=r"cannot read the picture nowhere.jpg: No such file"):
        client.segment("nowhere.jpg", "dog")
    with pytest.raises(WrongInput, match="it has neither captions nor regions"):
        client.add(b"picture", [])


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_endpoint_is_a_method_with_its_own_signature_and_docstring(client: type) -> None:
    endpoints = {
        name: function
        for name, function in vars(Endpoints).items()
        if inspect.isfunction(function) and not name.startswith("_")
    }

    for name, endpoint in endpoints.items():
        method = vars(client)[name]
        shown, expected = inspect.signature(method), inspect.signature(endpoint)
        assert shown.parameters == expected.parameters
        assert "Generator" not in str(shown)
        assert method.__doc__ == endpoint.__doc__
        assert method.__qualname__ == f"{client.__name__}.{name}"
        assert inspect.iscoroutinefunction(method) == (client is AsyncClient)
    assert inspect.signature(vars(client)["segment"]).return_annotation is SegmentationBody


def test_it_imports_nothing_heavy() -> None:
    code = "import sys, captionary.client; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert not {"torch", "spacy", "numpy", "PIL", "fastapi"} & {*done.stdout.split()}
