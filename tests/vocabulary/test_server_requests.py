"""What needs no server: addresses, how requests are made again, how large they are."""

import time
from pathlib import Path

import httpx
import pytest
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from captionary.schemas.errors import DiskFull, StoreUnreachable, WrongInput
from captionary.vocabulary.engines.server import ServerEngine
from captionary.vocabulary.engines.server_address import ServerAddress
from captionary.vocabulary.engines.server_collection import MAX_BYTES as OURS
from captionary.vocabulary.engines.server_collection import MAX_ITEMS, in_batches
from captionary.vocabulary.engines.server_requests import ServerRequests
from captionary.vocabulary.engines.server_settings import ServerSettings

CLIENT = QdrantClient("http://host", check_compatibility=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://localhost", "http://localhost:6333/captionary"),
        ("https://q.example.org:443/", "https://q.example.org:443/captionary"),
        ("http://[::1]:7000/cats-and_dogs2", "http://[::1]:7000/cats-and_dogs2"),
        ("http://a,b:7000,[::1]/cats", "http://a:6333,b:7000,[::1]:6333/cats"),
        ("http://a,a:6333", "http://a:6333/captionary"),
    ],
)
def test_addresses(text: str, expected: str) -> None:
    assert str(ServerAddress.parse(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http://",
        "ftp://host",
        "http://host:port",
        "http://host:99999",
        "http://host/two/parts",
        "http://host/na.me",
        "http://host/name?key=1",
        "http://host/name#part",
        f"http://host/{'n' * 65}",
        "http://me:hush@host/name",
        "http://host,/name",
        "http://host,me:hush@other/name",
    ],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(WrongInput, match="is no address of a Qdrant server") as caught:
        ServerEngine(text, ServerSettings())
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_trying_again_ends_when_its_time_is_over() -> None:
    tries = []

    def fail(_node: QdrantClient) -> None:
        tries.append(1)
        time.sleep(0.1)
        raise ResponseHandlingException(httpx.ReadTimeout("timed out"))

    for timeout, expected in ((0.05, 1), (0.75, 2)):
        tries.clear()
        calls = ServerRequests("http://host", [CLIENT], with_key=False, retries=9, timeout=timeout)
        with pytest.raises(StoreUnreachable, match="timed out"):
            calls(fail)
        assert len(tries) == expected


def test_a_full_disk_of_the_server_is_told() -> None:
    said = b'{"status": {"error": "Service internal error: No space left on device: WAL buffer"}}'

    def fail(_node: QdrantClient) -> None:
        raise UnexpectedResponse(500, "Internal Server Error", said, httpx.Headers())

    calls = ServerRequests("http://host", [CLIENT], with_key=False, retries=9, timeout=1)
    with pytest.raises(DiskFull, match="no space left on the server http://host's disk; nothing"):
        calls(fail)


def test_one_large_item_comes_alone() -> None:
    sizes = [OURS * 2, 1, 2, OURS, 3]
    assert list(in_batches(sizes, int)) == [[OURS * 2], [1, 2], [OURS], [3]]
    assert [len(batch) for batch in in_batches([0] * (MAX_ITEMS + 1), int)] == [MAX_ITEMS, 1]


def test_a_certificate_that_is_not_trusted_is_told_at_once() -> None:
    tries = []

    def fail(_node: QdrantClient) -> None:
        tries.append(1)
        reason = "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"
        raise ResponseHandlingException(httpx.ConnectError(reason))

    with pytest.raises(WrongInput, match=r"is not trusted .* in CAPTIONARY_QDRANT_CA"):
        ServerRequests("https://host:6333", [CLIENT], with_key=False, retries=3, timeout=9)(fail)
    assert len(tries) == 1


def test_certificates_that_cannot_be_read(tmp_path: Path) -> None:
    settings = ServerSettings(ca=tmp_path / "none.pem")
    with pytest.raises(WrongInput, match=r"cannot read certificates from .*none\.pem"):
        ServerEngine("https://127.0.0.1:1", settings)
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(WrongInput, match=r"cannot read certificates from .*junk\.pem"):
        ServerEngine("https://127.0.0.1:1", ServerSettings(ca=tmp_path / "junk.pem"))


def test_another_node_is_asked_where_one_fails() -> None:
    nodes = [QdrantClient(f"http://{name}", check_compatibility=False) for name in "abc"]
    tried = []

    def ask(node: QdrantClient, alive: QdrantClient) -> str:
        tried.append(node)
        if node is not alive:
            raise ResponseHandlingException(httpx.ConnectError("refused"))
        return "answer"

    # A node that is silent takes all the time that there is; the others are asked all the same.
    calls = ServerRequests("http://a,b,c", nodes, with_key=False, retries=0, timeout=1e-9)
    assert calls(ask, nodes[2]) == "answer"
    assert tried == nodes
    assert calls(ask, nodes[2]) == "answer"  # the one that answered is asked first
    assert tried == [*nodes, nodes[2]]
    with pytest.raises(StoreUnreachable, match="http://a,b,c does not answer"):
        calls(ask, None)
    assert len(tried) == 7
