"""Every command on a dictionary that lies on a server: the stand-in, over HTTP."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from captionary.cli.index import failures_file
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.engines.engine import Engine
from captionary.vocabulary.engines.server import ServerEngine
from captionary.vocabulary.engines.server_settings import ServerSettings
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.cli.running import Answer, World, captionary, write_lines
from tests.indexer.planted import dump
from tests.processes import captionary_process
from tests.served import stand_in as stand_in_process
from tests.stand_in.running import StandIn, running
from tests.stores import copy_store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running(tmp_path_factory.mktemp("stand_in") / "server") as started:
        yield started


@pytest.fixture(scope="module")
def store(stand_in: StandIn, world: World, models: tuple[str, ...]) -> str:
    """The address of a dictionary of the same scenes as that of `world`."""
    address = f"{stand_in.url}/drawn"
    indexed = captionary("index", world.captions, "--store", address, "--source", "drawn", *models)
    assert (indexed.code, indexed.err) == (0, "")
    assert indexed.out.startswith("8 pairs: 8 indexed, 0 known already, 0 refused; ")
    return address


def contents(engine: Engine) -> tuple[object, ...]:
    with StoredDictionary(engine, fingerprint=None, dim=None) as dictionary:
        assert dictionary.pending() == {}
        return dump(dictionary), dictionary.sample(), dictionary.models, dictionary.revision


def stats(store: str | Path) -> dict[str, object]:
    answer = captionary("vocabulary", "stats", "--json", "--store", store)
    assert (answer.code, answer.err) == (0, "")
    figures: dict[str, object] = json.loads(answer.out)
    return figures


def on_both(world: World, store: str, *arguments: object) -> tuple[Answer, Answer]:
    """The answers of a command on the folder and on the server."""
    folder, server = (captionary(*arguments, "--store", where) for where in (world.store, store))
    assert (folder.code, folder.err) == (server.code, server.err) == (0, "")
    return folder, server


def test_a_folder_and_a_server_get_the_same_dictionary(world: World, store: str) -> None:
    assert contents(ServerEngine(store, ServerSettings())) == contents(EdgeEngine(world.store))


def test_the_same_again_is_known_already(world: World, store: str, models: tuple[str, ...]) -> None:
    before = stats(store)
    again = captionary("index", world.captions, "--store", store, "--source", "drawn", *models)
    assert again.out.startswith("8 pairs: 0 indexed, 8 known already, 0 refused; 0 nouns")
    assert stats(store) == before


@pytest.mark.parametrize("command", [("list", "--limit", 0), ("show", "night sky"), ("stats",)])
def test_looking_shows_the_same(world: World, store: str, command: tuple[object, ...]) -> None:
    folder, server = on_both(world, store, "vocabulary", *command)
    assert server.out == folder.out


def test_segmenting_gives_the_same(
    world: World, store: str, models: tuple[str, ...], tmp_path: Path
) -> None:
    for where in (world.store, store):
        out = tmp_path / ("server" if where == store else "folder")
        answer = captionary(
            *("segment", world.images[0], "--classes", "bear, dog, grass, zeppelin"),
            *("--store", where, "--out", out, "--format", "png,json", *models),
        )
        assert answer.code == 0
        assert "has no noun for grass, zeppelin: " in answer.err
    name = world.images[0].stem
    for suffix in ("png", "json"):
        written = [
            (tmp_path / kind / f"{name}.{suffix}").read_bytes() for kind in ("folder", "server")
        ]
        assert written[0] == written[1]


def test_evaluating_gives_the_same(
    world: World, store: str, models: tuple[str, ...], tmp_path: Path
) -> None:
    figures = []
    for number, where in enumerate((world.store, store)):
        path = tmp_path / f"{number}.json"
        answer = captionary(
            *("evaluate", world.captions.parent, "--part", "1/4", "--store", where),
            *("--json", path, *models),
        )
        assert answer.code == 0
        assert answer.err.startswith("captionary: the dictionary has no noun for grass, ")
        figures.append(json.loads(path.read_text()))
    assert figures[0]["iou"] == figures[1]["iou"]
    assert figures[1]["settings"]["store"] == store


def test_removing_from_a_server(
    world: World, stand_in: StandIn, models: tuple[str, ...], tmp_path: Path
) -> None:
    address = f"{stand_in.url}/removed"
    folder = copy_store(world.store, tmp_path / "store")
    assert captionary("vocabulary", "copy", folder, address).code == 0
    for where in (folder, address):
        with StoredDictionary(
            EdgeEngine(folder) if where == folder else ServerEngine(address, ServerSettings()),
            fingerprint=None,
            dim=None,
        ) as dictionary:
            first = next(dictionary.pictures()).id
        answer = captionary("vocabulary", "remove", "--image", first, "--store", where, *models)
        assert (answer.code, answer.err) == (0, "")
        assert answer.out.startswith("1 pictures removed, ")
    assert contents(ServerEngine(address, ServerSettings())) == contents(EdgeEngine(folder))


def test_a_copy_to_a_server_and_back(world: World, stand_in: StandIn, tmp_path: Path) -> None:
    address, folder = f"{stand_in.url}/copied", tmp_path / "back"
    there = captionary("vocabulary", "copy", world.store, address)
    back = captionary("vocabulary", "copy", address, folder)
    for answer, target in ((there, address), (back, str(folder))):
        assert (answer.code, answer.err) == (0, "")
        assert f" to {target}: " in answer.out
        assert answer.out.endswith(" 0 there already, 0 deleted\n")
    assert stats(folder) == stats(address) == stats(world.store)
    assert contents(EdgeEngine(folder)) == contents(EdgeEngine(world.store))
    again = captionary("vocabulary", "copy", world.store, address)
    assert again.code == 2
    assert again.err == (
        f"captionary: there is a dictionary at {address} already; copy to another place\n"
    )


def test_refused_pairs_are_listed_in_the_current_folder(
    world: World,
    stand_in: StandIn,
    models: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"image": str(world.images[0]), "caption": "a dog"},
        {"image": "nowhere.jpg", "caption": "a dog"},
    ]
    source = write_lines(tmp_path / "pairs.jsonl", rows)
    store = f"{stand_in.url}/listed"
    answer = captionary("index", source, "--store", store, "--proposer", "whole", *models)
    assert answer.code == 0
    assert answer.err.endswith("all of them: listed.failures.jsonl\n")
    assert len((tmp_path / "listed.failures.jsonl").read_text().splitlines()) == 1
    assert failures_file("some/folder/") == Path("some/folder.failures.jsonl")
    assert failures_file(stand_in.url) == Path("captionary.failures.jsonl")


def test_a_server_without_a_dictionary(stand_in: StandIn, world: World, tmp_path: Path) -> None:
    store = f"{stand_in.url}/nobody"
    for command in (
        ("vocabulary", "stats"),
        ("segment", world.images[0], "--classes", "a, b", "--out", tmp_path),
    ):
        answer = captionary(*command, "--store", store)
        assert answer.code == 2
        assert answer.err.startswith(f"captionary: there is no dictionary at {store}; ")
        assert answer.err.count("\n") == 1
    assert not any(name.startswith("nobody") for name in stand_in.shards.names())


def nouns_done(store: str) -> int:
    """Of how many nouns the prototypes have been made; -1 before the store is made."""
    with closing(ServerEngine(store, ServerSettings())) as engine:
        meta = engine.read_meta()
    return -1 if meta is None else int(meta["revision"]) // 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_run_is_run_again_and_ends_as_a_clean_one(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    """Once the run is killed between pictures, once between nouns, once the server itself."""
    server = stand_in_process(tmp_path / "server", tmp_path / "log").start()
    store = f"{server.address}/killed"
    try:
        for number in (0, 2, 5):
            command = ["index", world.captions, "--source", "drawn", "--store", store, *models]
            run = captionary_process(command, tmp_path)
            while nouns_done(store) < number and run.poll() is None:
                time.sleep(0.01)
            assert run.poll() is None
            if number == 2:
                server.kill()
            run.kill()
            run.wait()
            if number == 2:
                server = stand_in_process(tmp_path / "server", tmp_path / "log").start()
                store = f"{server.address}/killed"
        assert (
            captionary("index", world.captions, "--store", store, "--source", "drawn", *models).code
            == 0
        )
        found, expected = (
            contents(ServerEngine(store, ServerSettings())),
            contents(EdgeEngine(world.store)),
        )
        assert found[:-1] == expected[:-1]  # the revision has risen more often
    finally:
        server.kill()
