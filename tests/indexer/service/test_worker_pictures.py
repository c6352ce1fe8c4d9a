"""Where the worker finds its pictures: by URL, in the spool, or no longer."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.service.job_queue import JobQueue
from captionary.indexer.service.jobs import AcceptedPair
from tests.indexer.planted import SCENES, pairs
from tests.indexer.service.served import Parts, running


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[str]:
    """The address of a folder with two pictures and something else."""
    folder = tmp_path / "pictures"
    pairs(folder, SCENES[:2])
    (folder / "text.png").write_text("no picture")

    def handler(*args: Any) -> Quiet:
        return Quiet(*args, directory=str(folder))

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_pictures_by_address_are_fetched(
    tmp_path: Path, nouns: NounExtractor, pictures: str
) -> None:
    said = ["there is an apple and a lake"]
    with running(replace(Parts(tmp_path, nouns), allowed=(pictures,))) as service:
        names = ("0.png", "text.png", "missing.png", "1.png", "1.png")
        urls = [f"{pictures}/{name}" for name in names]
        job = service.end(service.send(*({"url": url, "captions": said} for url in urls)))
        assert [(failure.pair, failure.image) for failure in job.failures] == [
            (1, urls[1]),
            (2, urls[2]),
        ]
        assert job.failures[0].reason.startswith(f"{urls[1]} is not a picture")
        assert job.failures[1].reason == f"{urls[2]} answers 404; check the address"
        kept = {picture.image for picture in service.dictionary.pictures()}
        assert kept == {urls[0], urls[3]}
        assert service.is_clean()


def test_what_a_kill_left_is_cleared_at_the_start(tmp_path: Path, nouns: NounExtractor) -> None:
    parts = Parts(tmp_path, nouns)
    left = tmp_path / "jobs" / "uploads" / "left"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of a pict")
    with running(parts) as service:
        assert service.is_clean()


def test_an_upload_that_is_gone_is_told_by_its_name(tmp_path: Path, nouns: NounExtractor) -> None:
    folder = tmp_path / "jobs"
    folder.mkdir()
    queue = JobQueue(folder, most_pairs=9, most_bytes=9)
    queue.open()
    name = queue.add_pairs([AcceptedPair("apple.png", ("an apple",), upload="gone", bytes=1)])
    queue.close()
    with running(Parts(tmp_path, nouns)) as service:
        (failure,) = service.end(name).failures
        assert failure.image == "apple.png"
        assert failure.reason == "apple.png does not exist; check the path"
