"""What is a server's own: its address, its key, requests that fail, and how large they are."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import SecretStr
from qdrant_client.http import models as api

from captionary.schemas.errors import CaptionaryError, StoreUnreachable, WrongInput
from captionary.vocabulary.engines import server_collection, server_requests
from captionary.vocabulary.engines.engine import KEYWORDS, NAMES, Collection, Point, Where
from captionary.vocabulary.engines.server import META_POINT, ServerEngine
from captionary.vocabulary.engines.server_collection import MAX_BYTES as OURS
from captionary.vocabulary.engines.server_settings import ServerSettings
from captionary.vocabulary.records.point_ids import picture_point_id
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.stand_in.rest import MAX_BYTES
from tests.stand_in.running import StandIn, running
from tests.stand_in.shards import MAX_QUERY_LIMIT
from tests.vocabulary.made_up_records import DIM, FINGERPRINT, pair, picture, unit

KEY = "s3cret-key"
WITH_KEY = ServerSettings(api_key=SecretStr(KEY))
IMPATIENT = ServerSettings(api_key=SecretStr(KEY), timeout=1)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running(tmp_path_factory.mktemp("server"), api_key=KEY) as started:
        yield started


@pytest.fixture(scope="module")
def engine(stand_in: StandIn) -> Iterator[ServerEngine]:
    with closing(ServerEngine(f"{stand_in.url}/own", WITH_KEY)) as opened:
        opened.create(dim=DIM)
        opened.write_meta({"fingerprint": FINGERPRINT, "dim": DIM, "revision": 0, "sample": None})
        yield opened


@pytest.fixture
def pictures(engine: ServerEngine) -> Collection:
    engine.collection("pictures").delete(Where())
    return engine.collection("pictures")


def paths(stand_in: StandIn, since: int) -> list[str]:
    """What was asked since so many requests, without the collections' names."""
    return [
        f"{request.method} {request.path.split('/', 3)[-1]}"
        for request in stand_in.gateway.requests[since:]
    ]


def test_the_key_is_never_shown(stand_in: StandIn) -> None:
    assert KEY not in repr(WITH_KEY)
    for settings, message in (
        (
            ServerSettings(api_key=SecretStr("another-key")),
            "refuses the API key; set CAPTIONARY_QDRANT_API_KEY",
        ),
        (ServerSettings(), "wants an API key; set CAPTIONARY_QDRANT_API_KEY"),
    ):
        with pytest.raises(WrongInput, match=message) as caught:
            ServerEngine(stand_in.url, settings)
        assert "another-key" not in str(caught.value)


def test_a_refused_connection_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(StoreUnreachable, match=rf"127\.0\.0\.1:{port} does not answer") as caught:
        ServerEngine(f"http://127.0.0.1:{port}", IMPATIENT, retries=0)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_silent_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        start = time.monotonic()
        with pytest.raises(StoreUnreachable, match="timed out"):
            ServerEngine(f"http://127.0.0.1:{listener.getsockname()[1]}", IMPATIENT, retries=0)
    assert time.monotonic() - start < 5


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A server of something else."""
    app = FastAPI(openapi_url=None)

    @app.api_route("/{path:path}", methods=["GET", "PUT", "POST", "DELETE"])
    def page() -> HTMLResponse:
        return HTMLResponse("<html>a blog</html>", status)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("status", [200, 302, 404])
def test_what_is_no_qdrant_server_is_said_to_be_none(status: int) -> None:
    with answering(status) as url, pytest.raises(WrongInput, match="is no Qdrant server"):
        ServerEngine(url, WITH_KEY, retries=0)


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_what_may_pass_is_tried_again(
    stand_in: StandIn, pictures: Collection, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_requests, "FIRST_PAUSE", 0.01)
    before = len(stand_in.gateway.requests)
    stand_in.gateway.faults += [status, status]
    assert pictures.count() == 0
    assert paths(stand_in, before) == ["POST points/count"] * 3


def test_trying_again_has_an_end(stand_in: StandIn, engine: ServerEngine) -> None:
    with closing(ServerEngine(engine.address, WITH_KEY, retries=2)) as other:
        stand_in.gateway.faults += [503, 502, 503]
        with pytest.raises(StoreUnreachable, match=r"does not answer \(status 503"):
            other.collection("regions").count()
        assert stand_in.gateway.faults == []
        assert other.collection("regions").count() == 0


def test_a_fault_of_the_server_is_not_tried_again(stand_in: StandIn, pictures: Collection) -> None:
    pictures.facet("noun")  # which asks for the server's limits, once
    before = len(stand_in.gateway.requests)
    stand_in.gateway.faults.append(500)
    with pytest.raises(CaptionaryError, match="failed: status 500"):
        pictures.count()
    with pytest.raises(CaptionaryError, match="failed: Wrong input"):
        pictures.facet("sha256")
    assert len(stand_in.gateway.requests) == before + 2


def test_a_creation_whose_answer_was_lost_is_made_again(stand_in: StandIn) -> None:
    with closing(ServerEngine(f"{stand_in.url}/lost", WITH_KEY)) as lost:
        # The first request is the delete of a collection, the second its creation.
        stand_in.gateway.faults += [None, None, None, 503, None, 503]
        lost.create(dim=DIM)
        lost.write_meta({"dim": DIM})
        assert [lost.collection(name).count() for name in NAMES] == [0, 0, 0]


def test_a_creation_that_was_cut_short_is_made_again(stand_in: StandIn) -> None:
    address = f"{stand_in.url}/cut"
    with closing(ServerEngine(address, WITH_KEY)) as cut:
        cut.create(dim=8)
    with StoredDictionary(
        ServerEngine(address, WITH_KEY), fingerprint=FINGERPRINT, dim=DIM
    ) as whole:
        whole.add([pair(1)])
        assert list(whole.pictures()) == [picture(1)]


def test_collections_of_something_else_are_left_alone(stand_in: StandIn) -> None:
    address = f"{stand_in.url}/theirs"
    with closing(ServerEngine(address, WITH_KEY)) as theirs:
        theirs.create(dim=8)
    stand_in.shards.delete("theirs.meta")
    refused = pytest.raises(WrongInput, match=r"'theirs\.pictures' that is not of a dictionary")
    with closing(ServerEngine(address, WITH_KEY)) as ours, refused:
        ours.create(dim=DIM)
    assert "theirs.regions" in stand_in.shards
    assert "theirs.meta" not in stand_in.shards


def test_a_dictionary_that_has_lost_its_meta_point_is_spared(stand_in: StandIn) -> None:
    address = f"{stand_in.url}/halved"
    with closing(ServerEngine(address, WITH_KEY)) as halved:
        halved.create(dim=DIM)
        halved.collection("pictures").upsert([Point(picture_point_id("old"), {"noun": []})])
        said = r"has 1 pictures but has lost its 'halved\.meta'; restore that"
        with pytest.raises(WrongInput, match=said):
            halved.create(dim=DIM)
        assert halved.collection("pictures").count() == 1


def test_two_dictionaries_on_a_server_do_not_see_each_other(
    stand_in: StandIn, engine: ServerEngine
) -> None:
    with StoredDictionary(
        ServerEngine(stand_in.url, WITH_KEY), fingerprint="other", dim=8
    ) as other:
        other.add([pair(1, regions=0)])
        assert engine.collection("pictures").count() == 0
        assert (engine.read_meta() or {})["fingerprint"] == FINGERPRINT
        assert other.engine.address == f"{stand_in.url}/captionary"
    assert {"own.pictures", "captionary.pictures", "captionary.meta"} <= set(
        stand_in.shards.names()
    )


def test_a_later_format_is_refused(stand_in: StandIn) -> None:
    with closing(ServerEngine(f"{stand_in.url}/later", WITH_KEY)) as later:
        later.create(dim=DIM)
        later.write_meta({"dim": DIM})
        assert later.read_meta() == {"dim": DIM}
        point = api.PointStruct(id=str(META_POINT), vector={}, payload={"format": 2, "dim": DIM})
        stand_in.shards["later.meta"].upsert([point])
        with pytest.raises(WrongInput, match="is not of format 1"):
            later.read_meta()


def test_indexes_stand_before_any_point_and_settings_are_passed_on(stand_in: StandIn) -> None:
    before = len(stand_in.gateway.requests)
    settings = ServerSettings(api_key=SecretStr(KEY), shards=6, replicas=2)
    with closing(ServerEngine(f"{stand_in.url}/wide", settings)) as wide:
        wide.create(dim=DIM)
    asked = paths(stand_in, before)
    assert not any(request.endswith("points") and request.startswith("PUT") for request in asked)
    for name in NAMES:
        shard = stand_in.shards[f"wide.{name}"]
        wanted = shard.wanted
        assert (wanted.shard_number, wanted.replication_factor) == (6, 2)
        assert (wanted.write_consistency_factor, wanted.on_disk_payload) == (2, True)
        schema = shard.schema()
        assert {key for key, of in schema.items() if of["data_type"] == "keyword"} == set(
            KEYWORDS[name]
        )
    assert stand_in.shards["wide.pictures"].schema()["rank"]["data_type"] == "integer"
    assert stand_in.shards["wide.meta"].wanted.replication_factor == 2


def test_points_are_written_in_requests_of_bounded_size(
    stand_in: StandIn, pictures: Collection
) -> None:
    before = len(stand_in.gateway.requests)
    large = "x" * 1_000_000
    points = [Point(picture_point_id(str(n)), {"thumbnail": large}) for n in range(20)]
    pictures.upsert(points)
    sizes = [request.size for request in stand_in.gateway.requests[before:]]
    assert len(sizes) == 3
    assert max(sizes) < OURS * 1.1 < MAX_BYTES / 3
    many = [Point(picture_point_id(str(n)), {"noun": ["dog"]}) for n in range(1200)]
    before = len(stand_in.gateway.requests)
    pictures.upsert(many)
    assert paths(stand_in, before) == ["PUT points"] * 3
    assert pictures.count() == 1200


def test_vectors_count_as_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_collection, "MAX_BYTES", OURS // 10)
    with running(tmp_path) as other, closing(ServerEngine(other.url, ServerSettings())) as engine:
        engine.create(dim=2048)
        regions = engine.collection("regions")
        rows = unit(45, dim=2048)
        regions.upsert([Point(picture_point_id(str(n)), {}, row) for n, row in enumerate(rows)])
        writes = [
            request.size
            for request in other.gateway.requests
            if request.path.endswith("regions/points")
        ]
        assert 2 < len(writes) < 5
        assert max(writes) < OURS / 10
        assert regions.count() == 45


def test_payloads_of_many_points_are_set_in_few_requests(
    stand_in: StandIn, pictures: Collection
) -> None:
    ids = [picture_point_id(str(number)) for number in range(900)]
    pictures.upsert([Point(name, {"state": "new"}) for name in ids])
    before = len(stand_in.gateway.requests)
    pictures.set_payload({name: {"state": "settled"} for name in ids})
    assert paths(stand_in, before) == ["POST points", "POST points/batch"]
    before = len(stand_in.gateway.requests)
    pictures.set_payload({name: {"rank": number} for number, name in enumerate(ids)})
    assert paths(stand_in, before) == ["POST points"] + ["POST points/batch"] * 2
    assert pictures.retrieve([ids[7]])[0].payload == {"state": "settled", "rank": 7}


def test_over_grpc_the_same_is_said(stand_in: StandIn, engine: ServerEngine) -> None:
    def open_engine(key: str, port: int = stand_in.grpc_port) -> ServerEngine:
        secret = SecretStr(key)
        settings = ServerSettings(api_key=secret, grpc=True, grpc_port=port, timeout=5)
        return ServerEngine(engine.address, settings, retries=1)

    with closing(open_engine(KEY)) as same:
        assert same.read_meta() == engine.read_meta()
        with pytest.raises(CaptionaryError, match="failed: Wrong input"):
            same.collection("pictures").facet("sha256")
    with pytest.raises(WrongInput, match="refuses the API key") as caught:
        open_engine("another-key")
    assert "another-key" not in str(caught.value)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(StoreUnreachable, match=rf"\(gRPC, port {port}\) does not answer"):
        open_engine(KEY, port)


def test_a_closed_engine_says_so(engine: ServerEngine) -> None:
    other = ServerEngine(engine.address, WITH_KEY)
    other.close()
    other.close()
    with pytest.raises(CaptionaryError, match="is closed, or was never made"):
        other.collection("regions")


def test_a_node_that_is_down_is_passed_over(stand_in: StandIn, engine: ServerEngine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        down = listener.getsockname()[1]
    alive = stand_in.url.removeprefix("http://")
    address = f"http://127.0.0.1:{down},{alive}/own"
    with closing(ServerEngine(address, WITH_KEY, retries=0)) as opened:
        assert opened.read_meta() == engine.read_meta()
        assert opened.address == address


def test_more_values_than_a_facet_may_have_are_counted(
    pictures: Collection,
) -> None:
    """In strict mode a server refuses to list more than so many."""
    nouns = [f"noun {n}" for n in range(MAX_QUERY_LIMIT + 5)]
    points = [
        Point(picture_point_id(str(n)), {"noun": nouns[n : n + 500]})
        for n in range(0, len(nouns), 400)
    ]
    pictures.upsert(points)
    expected = Counter(noun for point in points for noun in point.payload["noun"])
    assert pictures.facet("noun") == expected
    assert max(expected.values()) == 2
