"""Pictures by address: only from where it is allowed, and never more or longer than is bearable."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from captionary.indexer.service import url_fetching as fetching
from captionary.indexer.service.url_fetching import Fetcher, Prefix
from captionary.schemas.errors import UnreadablePicture, WrongInput

PICTURE = bytes(range(256)) * 40


class Pictures(BaseHTTPRequestHandler):
    """Answers in all the ways in which servers do."""

    def do_GET(self) -> None:
        answer = {
            "/a/good": self._good,
            "/a/moved": self._moved,
            "/a/endless": self._endless,
            "/a/slow": self._slow,
            "/a/short": self._short,
            "/a/packed": self._packed,
        }.get(self.path)
        if answer is None:
            self.send_error(404)
        else:
            answer()

    def _begin(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _good(self) -> None:
        self._begin(Content_Length=str(len(PICTURE)))
        self.wfile.write(PICTURE)

    def _moved(self) -> None:
        self._begin(302, Location="/a/good")

    def _endless(self) -> None:
        self._begin()
        try:
            for _ in range(1000):
                self.wfile.write(b"x" * 65536)
        except OSError:
            self.close_connection = True

    def _slow(self) -> None:
        self._begin(Content_Length="1000000")
        try:
            while not self.server.ended.wait(0.05):  # type: ignore[attr-defined]
                self.wfile.write(b"x")
        except OSError:
            self.close_connection = True

    def _short(self) -> None:
        self._begin(Content_Length="1000")
        self.wfile.write(b"only this")

    def _packed(self) -> None:
        packed = gzip.compress(bytes(100_000_000), 1)
        self._begin(Content_Encoding="gzip", Content_Length=str(len(packed)))
        self.wfile.write(packed)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    server.ended = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.ended.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetcher(address: str) -> Iterator[Fetcher]:
    fetcher = Fetcher([f"{address}/a"], max_bytes=1_000_000)
    fetcher.open()
    yield fetcher
    fetcher.close()


def test_a_picture_is_fetched(fetcher: Fetcher, address: str) -> None:
    assert b"".join(fetcher.fetch(f"{address}/a/good")) == PICTURE


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/a/nothing", "answers 404; check the address"),
        ("/a/moved", "answers 302, and redirects are not followed"),
        ("/a/endless", "is larger than 1,000,000 bytes"),
        ("/a/slow", "takes longer than 0.3 s"),
        ("/a/short", "cannot be fetched: "),
        ("/b", "is not under an address that this service may fetch from"),
        ("/a/../b", "is not under an address"),
    ],
)
def test_what_goes_wrong_is_told_in_a_line(
    fetcher: Fetcher, address: str, path: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == "/a/slow":
        monkeypatch.setattr(fetching, "MAX_SECONDS", 0.3)
    with pytest.raises(UnreadablePicture) as caught:
        list(fetcher.fetch(address + path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_proxy_of_the_environment_is_asked(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    fetcher = Fetcher([f"{address}/a"], max_bytes=1_000_000)
    fetcher.open()
    assert b"".join(fetcher.fetch(f"{address}/a/good")) == PICTURE
    fetcher.close()


def test_nothing_is_unpacked(fetcher: Fetcher, address: str) -> None:
    """Not asked for, and not heeded: 100 MB would come of it."""
    assert sum(map(len, fetcher.fetch(f"{address}/a/packed"))) < 1_000_000


def test_who_does_not_answer_is_told() -> None:
    fetcher = Fetcher(["http://127.0.0.1:9"], max_bytes=10)
    fetcher.open()
    with pytest.raises(UnreadablePicture, match="cannot be fetched"):
        list(fetcher.fetch("http://127.0.0.1:9/x"))
    fetcher.close()


@pytest.mark.parametrize(
    ("prefix", "covered", "other"),
    [
        (
            "https://a.example",
            ["https://a.example/x", "https://A.EXAMPLE:443/", "https://a.example?x=1"],
            [
                "https://a.example.evil/x",
                "https://a.example@evil/x",
                "https://a.example\\@evil/x",
                "https://a.example.:443/",
                "http://a.example/x",
                "https://a.example:444/x",
                "https://b.a.example/x",
                "//a.example/x",
                "a.example/x",
                "ftp://a.example/x",
            ],
        ),
        (
            "http://a.example:8080/pictures/",
            ["http://a.example:8080/pictures/", "http://a.example:8080/pictures/x?y#z"],
            [
                "http://a.example:8080/pictures",
                "http://a.example:8080/pictures2/x",
                "http://a.example/pictures/x",
                "http://a.example:8080/pictures/../x",
                "http://a.example:8080/Pictures/x",
            ],
        ),
        (
            "http://a.example/p",
            ["http://a.example/p", "http://a.example/p/q"],
            ["http://a.example/pq"],
        ),
        ("http://[::1]:80/", ["http://[::1]/x"], ["http://[::2]/x"]),
        (
            "https://ä.example",
            ["https://xn--4ca.example/x", "https://Ä.example/x"],
            ["https://a.example"],
        ),
    ],
)
def test_prefixes_compare_what_counts(prefix: str, covered: list[str], other: list[str]) -> None:
    parsed = Prefix.parse(prefix)
    assert [address for address in covered if not parsed.covers(httpx.URL(address))] == []
    assert [address for address in other if parsed.covers(httpx.URL(address))] == []


@pytest.mark.parametrize(
    "address",
    [
        "http://a.example/a/%2e%2e/b",
        "http://a.example/a/..%2fb",
        "http://a.example/a/..%5Cb",
        "http://a.example/a/..;/b",
        "http://a.example/a/..%3bx/b",
        "http://a.example/a/%252e%252e/b",
        "http://a.example/a/..%00/b",
        "http://a.example/a/..%7f/b",
        "http://me:secret@a.example/a/b",
        "http://a.example/a/\n",
        "http://a.example/a/x" + "y" * 70_000,
    ],
)
def test_addresses_with_a_trick_are_refused(address: str) -> None:
    fetcher = Fetcher(["http://a.example/a/"], max_bytes=10)
    fetcher.check("http://a.example/a/b..c/d")
    with pytest.raises(UnreadablePicture):
        fetcher.check(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.example",
        "https://",
        "file:///pictures",
        "https://a/?x",
        "https://u:p@a/",
        "https://a/%2e%2e/",
    ],
)
def test_what_is_allowed_must_be_the_beginning_of_an_address(text: str) -> None:
    with pytest.raises(WrongInput, match="nothing that pictures may be fetched from"):
        Fetcher([text], max_bytes=10)


def test_nothing_is_allowed_by_default() -> None:
    fetcher = Fetcher([], max_bytes=10)
    fetcher.open()
    with pytest.raises(UnreadablePicture, match="fetches no addresses"):
        fetcher.check("http://a.example/")
    fetcher.close()
