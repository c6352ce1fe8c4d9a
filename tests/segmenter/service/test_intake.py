"""Who is asked before a body is read, and what becomes of what was read."""

import resource
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from captionary.schemas.dictionary import NounEntry
from captionary.schemas.errors import CaptionaryError
from captionary.segmenter.segmenter import Segmenter
from captionary.segmenter.service.routes import READS, WAITING_READS
from captionary.serving.api_keys import Keys
from captionary.serving.limits import Gate, Limits
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.segmenter.service.served import Answer, Taught, ask, png, problem, started, until

KEYS = Keys(read=("this-key-may-only-read",))
FORM = "multipart/form-data; boundary=b"
PATHS = pytest.mark.parametrize("path", ["segment", "retrieve"])


def unread(client: TestClient, path: str, kind: str = FORM) -> Answer:
    """The answer to a body that nobody asks for."""

    def body() -> Iterator[bytes]:
        pytest.fail("the body was read")
        yield b""

    answer: Answer = client.post(f"/v1/{path}", content=body(), headers={"Content-Type": kind})
    return answer


@PATHS
def test_a_body_without_a_key_is_not_read(taught: Taught, path: str) -> None:
    with started(lambda: taught.segmenter, keys=KEYS) as client:
        assert "needs an API key" in problem(unread(client, path), 401)


@PATHS
def test_a_body_of_another_kind_is_not_read(client: TestClient, path: str) -> None:
    assert "send a form" in problem(unread(client, path, "text/plain"), 415)


@PATHS
def test_a_body_is_not_read_before_there_is_a_dictionary(path: str) -> None:
    def never() -> Segmenter:
        raise CaptionaryError("the server does not answer")

    with started(never, ready=False) as client:
        assert problem(unread(client, path), 503)


@PATHS
def test_a_body_without_a_place_in_line_is_not_read(taught: Taught, path: str) -> None:
    gate = Gate(working=1, waiting=0)
    with started(lambda: taught.segmenter, gate=gate) as client, gate.place():
        assert "as many as may be" in problem(unread(client, path), 503)


def test_a_place_is_held_while_a_body_comes_and_free_after_it(taught: Taught) -> None:
    gate, inside = Gate(working=1, waiting=0), []

    def body() -> Iterator[bytes]:
        inside.append(gate.inside)
        yield b"--b\r\n\r\n"

    with started(lambda: taught.segmenter, gate=gate) as client:
        headers = {"Content-Type": FORM}
        answer = client.post("/v1/segment", content=body(), headers=headers)

    assert answer.status_code == 400
    assert (inside, gate.inside) == ([1], 0)


@PATHS
def test_a_form_of_many_files_or_fields_is_refused(client: TestClient, path: str) -> None:
    two = [("image", ("a.png", png())), ("image", ("b.png", png()))]
    files = client.post(f"/v1/{path}", files=two, data={"classes": "dog"})
    fields = client.post(
        f"/v1/{path}", files=two[:1], data={f"field{number}": "x" for number in range(101)}
    )
    long = client.post(f"/v1/{path}", files=two[:1], data={"classes": "x" * (1 << 21)})

    assert "files" in problem(files, 400)
    assert "fields" in problem(fields, 400)
    assert "maximum size" in problem(long, 400)


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Files of this process cannot grow above a size: what a full disk does, for all we know."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@PATHS
def test_no_room_for_a_body_is_the_services_lack(taught: Taught, path: str) -> None:
    picture = png() + bytes(3 << 20)
    with started(lambda: taught.segmenter, limits=Limits(body=4 << 20)) as client:
        with no_file_above(1 << 20):
            refused = ask(client, picture, path=path)
        accepted = ask(client, picture, path=path)

    assert "no room on its disk" in problem(refused, 503)
    assert int(refused.headers["Retry-After"]) > 0
    assert accepted.status_code == 200


@PATHS
def test_nothing_of_a_body_is_left_over(
    client: TestClient, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    held = set(Path("/proc/self/fd").iterdir())

    assert ask(client, bytes(3 << 20), path=path).status_code == 422
    assert ask(client, bytes(3 << 20), path=path, fusion="magic", limit=0).status_code == 422

    assert list(tmp_path.iterdir()) == []
    left = {one for one in set(Path("/proc/self/fd").iterdir()) - held if one.is_symlink()}
    assert not [one for one in left if str(tmp_path) in str(one.readlink())]


class Silent(StoredDictionary):
    """Answers nothing about its nouns until it may."""

    may_answer = threading.Event()

    def entries(self) -> list[NounEntry]:
        assert self.may_answer.wait(30)
        return super().entries()


def test_a_silent_store_holds_up_nobody_else(taught: Taught, tmp_path: Path) -> None:
    looking, most = taught.looking, READS + WAITING_READS
    fingerprint, dim = looking.extractor.fingerprint, looking.extractor.dim
    with (
        Silent(EdgeEngine(tmp_path / "store"), fingerprint=fingerprint, dim=dim) as silent,
        ThreadPoolExecutor(most + 4) as pool,
    ):
        segmenter = Segmenter(looking.extractor, looking.encoder, Retriever(silent))
        with started(lambda: segmenter, keys=KEYS) as client:
            headers = {"X-API-Key": KEYS.read[0]}
            asked = [
                pool.submit(client.get, "/v1/vocabulary", headers=headers) for _ in range(most + 4)
            ]
            try:
                until(lambda: any(one.done() for one in asked))
                figures, page = client.get("/metrics"), client.get("/")
                by_text = ask(client, png(), fusion="text", classes="dog", headers=headers)
                turned_away = next(one for one in asked if one.done()).result()
            finally:
                Silent.may_answer.set()
            statuses = sorted(one.result().status_code for one in asked)

    assert (figures.status_code, page.status_code, by_text.status_code) == (200, 200, 200)
    assert "as many as may be" in problem(turned_away, 503)
    assert statuses[:60] == [200] * 60
    assert statuses[-4:] == [503] * 4
