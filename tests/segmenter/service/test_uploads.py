"""Uploads: what is checked before a body is read, and that nothing of it is left over."""

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
from captionary.segmenter.service.routes import READERS, WAITING_READERS
from captionary.serving.api_keys import Keys
from captionary.serving.limits import Limits
from captionary.serving.work_queue import WorkQueue
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.segmenter.service.served import (
    FilledDictionary,
    Response,
    assert_problem,
    png,
    post_picture,
    running_service,
    wait_until,
)

KEYS = Keys(read=("this-key-may-only-read",))
FORM = "multipart/form-data; boundary=b"
PATHS = pytest.mark.parametrize("path", ["segment", "retrieve"])


def unread(client: TestClient, path: str, kind: str = FORM) -> Response:
    """The response to a body that nobody asks for."""

    def body() -> Iterator[bytes]:
        pytest.fail("the body was read")
        yield b""

    response: Response = client.post(f"/v1/{path}", content=body(), headers={"Content-Type": kind})
    return response


@PATHS
def test_a_body_without_a_key_is_not_read(filled: FilledDictionary, path: str) -> None:
    with running_service(lambda: filled.segmenter, keys=KEYS) as client:
        assert "needs an API key" in assert_problem(unread(client, path), 401)


@PATHS
def test_a_body_of_another_kind_is_not_read(client: TestClient, path: str) -> None:
    assert "send a form" in assert_problem(unread(client, path, "text/plain"), 415)


@PATHS
def test_a_body_is_not_read_before_there_is_a_dictionary(path: str) -> None:
    def never() -> Segmenter:
        raise CaptionaryError("the server does not response")

    with running_service(never, ready=False) as client:
        assert assert_problem(unread(client, path), 503)


@PATHS
def test_a_body_without_a_place_in_line_is_not_read(filled: FilledDictionary, path: str) -> None:
    queue = WorkQueue(workers=1, waiting=0)
    with running_service(lambda: filled.segmenter, queue=queue) as client, queue.reserve():
        assert "as many as may be" in assert_problem(unread(client, path), 503)


def test_a_place_is_held_while_a_body_comes_and_free_after_it(filled: FilledDictionary) -> None:
    queue, inside = WorkQueue(workers=1, waiting=0), []

    def body() -> Iterator[bytes]:
        inside.append(queue.pending)
        yield b"--b\r\n\r\n"

    with running_service(lambda: filled.segmenter, queue=queue) as client:
        headers = {"Content-Type": FORM}
        response = client.post("/v1/segment", content=body(), headers=headers)

    assert response.status_code == 400
    assert (inside, queue.pending) == ([1], 0)


@PATHS
def test_a_form_of_many_files_or_fields_is_refused(client: TestClient, path: str) -> None:
    two = [("image", ("a.png", png())), ("image", ("b.png", png()))]
    files = client.post(f"/v1/{path}", files=two, data={"classes": "dog"})
    fields = client.post(
        f"/v1/{path}", files=two[:1], data={f"field{number}": "x" for number in range(1001)}
    )
    long = client.post(f"/v1/{path}", files=two[:1], data={"classes": "x" * (1 << 21)})

    assert "files" in assert_problem(files, 400)
    assert "fields" in assert_problem(fields, 400)
    assert "maximum size" in assert_problem(long, 400)


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
def test_no_room_for_a_body_is_the_services_lack(filled: FilledDictionary, path: str) -> None:
    picture = png() + bytes(3 << 20)
    with running_service(lambda: filled.segmenter, limits=Limits(body=4 << 20)) as client:
        with no_file_above(1 << 20):
            refused = post_picture(client, picture, path=path)
        accepted = post_picture(client, picture, path=path)

    assert "no room on its disk" in assert_problem(refused, 503)
    assert int(refused.headers["Retry-After"]) > 0
    assert accepted.status_code == 200


@PATHS
def test_nothing_of_a_body_is_left_over(
    client: TestClient, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    held = set(Path("/proc/self/fd").iterdir())

    assert post_picture(client, bytes(3 << 20), path=path).status_code == 422
    assert (
        post_picture(client, bytes(3 << 20), path=path, fusion="magic", limit=0).status_code == 422
    )

    assert list(tmp_path.iterdir()) == []
    left = {one for one in set(Path("/proc/self/fd").iterdir()) - held if one.is_symlink()}
    assert not [one for one in left if str(tmp_path) in str(one.readlink())]


class Silent(StoredDictionary):
    """Answers nothing about its nouns until it may."""

    may_answer = threading.Event()

    def entries(self) -> list[NounEntry]:
        assert self.may_answer.wait(30)
        return super().entries()


def test_a_silent_store_holds_up_nobody_else(filled: FilledDictionary, tmp_path: Path) -> None:
    models, most = filled.models, READERS + WAITING_READERS
    fingerprint, dim = models.extractor.fingerprint, models.extractor.dim
    with (
        Silent(EdgeEngine(tmp_path / "store"), fingerprint=fingerprint, dim=dim) as silent,
        ThreadPoolExecutor(most + 4) as pool,
    ):
        segmenter = Segmenter(models.extractor, models.encoder, Retriever(silent))
        with running_service(lambda: segmenter, keys=KEYS) as client:
            headers = {"X-API-Key": KEYS.read[0]}
            pending = [
                pool.submit(client.get, "/v1/vocabulary", headers=headers) for _ in range(most + 4)
            ]
            try:
                wait_until(lambda: any(one.done() for one in pending))
                figures, page = client.get("/metrics"), client.get("/")
                by_text = post_picture(client, png(), fusion="text", classes="dog", headers=headers)
                turned_away = next(one for one in pending if one.done()).result()
            finally:
                Silent.may_answer.set()
            statuses = sorted(one.result().status_code for one in pending)

    assert (figures.status_code, page.status_code, by_text.status_code) == (200, 200, 200)
    assert "as many as may be" in assert_problem(turned_away, 503)
    assert statuses[:60] == [200] * 60
    assert statuses[-4:] == [503] * 4
