"""Every call, answered by the real services."""

import asyncio
import inspect
import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from captionary.client import AsyncClient, Client, Pair, ServiceProblem
from captionary.client.endpoints import Endpoints
from captionary.client.uploads import MAX_BATCH_PAIRS
from captionary.schemas.bodies import JobBody, SegmentationBody
from tests.client.services import both_services

KEY = "a-key-of-the-tests-0123456789"
PATIENCE = 250
"""Seconds, where others may use the machine too."""

PICTURES = 8
"""What the dictionary holds between the tests."""

CLASSES = "dog, apple, umbrella, grass: lawn | meadow"
ROOT = Path(__file__).parents[2]

# pycocotools decodes by an interface that NumPy 2 wants otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def read_pairs(scenes: Path) -> list[Pair]:
    rows = map(json.loads, (scenes / "captions.jsonl").read_text(encoding="utf-8").splitlines())
    return [
        Pair(scenes / row["image"], row["captions"], id=f"s/{n}", source="drawn", tags=["x", "y"])
        for n, row in enumerate(rows)
    ]


def plain_png(number: int) -> bytes:
    """A small picture unlike those of other numbers."""
    pixels = np.full((16, 16, 3), 255, np.uint8)
    pixels[4:12, 4:12] = number
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def pairs(scenes: Path) -> list[Pair]:
    return read_pairs(scenes)[:8]


@pytest.fixture(scope="module")
def address(pairs: list[Pair], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Services that know a few pictures and want a key."""
    with both_services(tmp_path_factory.mktemp("client"), key=KEY) as url:
        with Client(url, key=KEY) as client:
            (job,) = client.add_many(pairs)
            done = client.wait(job)
        assert (done.state, done.pairs, done.done, done.failures) == ("done", 8, 8, [])
        yield url


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:
    with Client(address, key=KEY) as client:
        yield client


def test_segment(client: Client, pairs: list[Pair]) -> None:
    result = client.segment(pairs[0].image, CLASSES, evidence=1)

    assert isinstance(result, SegmentationBody)
    assert result.classes == ["dog", "apple", "umbrella", "grass"]
    assert result.revision is not None
    assert result.revision > 0
    assert any(region.evidence for region in result.regions)
    assert client.segment(pairs[0].image, CLASSES).prototypes == []
    assert {
        exemplar.image_id for prototype in result.prototypes for exemplar in prototype.exemplars
    } <= {pair.id for pair in pairs}
    masks = np.stack([coco.decode(mask.rle.model_dump()) for mask in result.masks])
    assert masks.shape[1:] == tuple(result.size)
    assert (masks.sum(axis=0) == 1).all()
    assert [mask.area for mask in result.masks] == masks.sum(axis=(1, 2)).tolist()


def test_options_arrive(client: Client, pairs: list[Pair]) -> None:
    image = pairs[0].image
    alone = client.segment(image, ["dog", "sand: beach"], fusion="text", background="threshold")
    nothing = client.segment(image, "dog, bus", background="threshold", threshold=1.0, refine=True)

    toys = client.segment(image, "toy, dog", kinds={"toy": ["bus"]})
    exact = client.segment(image, "vehicle, dog", exact=True)

    assert [kind.noun for kind in toys.kinds["toy"]] == ["bus"]
    assert exact.kinds == {}
    assert (alone.revision, alone.classes) == (None, ["dog", "sand", "background"])
    assert alone.prototypes == []
    assert [mask.class_name for mask in nothing.masks] == ["background"]


def test_pictures_as_responses(client: Client, pairs: list[Pair]) -> None:
    result = client.segment(pairs[0].image, CLASSES)
    with Image.open(io.BytesIO(client.class_map(pairs[0].image, CLASSES))) as classes:
        labels = np.array(classes)
    with Image.open(io.BytesIO(client.overlay(pairs[0].image, CLASSES))) as overlay:
        assert overlay.format == "JPEG"

    assert classes.format == "PNG"
    for mask in result.masks:
        number = result.classes.index(mask.class_name)
        np.testing.assert_array_equal(coco.decode(mask.rle.model_dump()), labels == number)


def test_retrieve(client: Client, pairs: list[Pair]) -> None:
    found = client.retrieve(pairs[0].image, limit=3)
    part = client.retrieve(pairs[0].image, box_xyxy=(0, 0, 40, 40), limit=3, noun="dog")
    none = client.retrieve(pairs[0].image, source="other")
    tagged = client.retrieve(pairs[0].image, tag="y", source="drawn", limit=1)

    assert (found.regions[0].image_id, found.regions[0].index) == ("s/0", 0)
    assert len(found.regions) == 3
    assert {near.noun for near in part.nouns} == {"dog"}
    assert all("dog" in region.nouns for region in part.regions)
    assert none.regions == []
    assert tagged.regions[0].tags == ["x", "y"]


def test_the_dictionary(client: Client) -> None:
    everything = client.vocabulary()
    two = client.vocabulary(limit=2, offset=1)
    dogs = client.vocabulary("do")
    detail = client.noun("teddy bear")
    about = client.about()

    assert two.nouns == everything.nouns[1:3]
    assert everything.total == len(everything.nouns) == about.nouns
    assert dogs.nouns[0].noun == "dog"
    assert (detail.noun, len(detail.looks)) == ("teddy bear", detail.prototypes)
    assert (about.keys, about.images) == (True, PICTURES)


def test_what_is_not_there(client: Client) -> None:
    with pytest.raises(ServiceProblem, match="has no noun 'unicorn'") as caught:
        client.noun("unicorn")
    assert caught.value.status == 404
    assert caught.value.request_id
    with pytest.raises(ServiceProblem, match="there is no job 'j'"):
        client.job("j")
    with pytest.raises(ServiceProblem, match=r"has no picture '\.\./a b'"):
        client.remove_image("../a b")
    with pytest.raises(ServiceProblem, match="is not a picture"):
        client.segment(b"not a picture at all", "dog")


def test_keys_are_needed(address: str) -> None:
    with (
        Client(address) as client,
        pytest.raises(ServiceProblem, match="this needs an API key") as caught,
    ):
        client.vocabulary()
    assert caught.value.status == 401
    with (
        Client(address, key="another-key-of-the-tests") as client,
        pytest.raises(ServiceProblem, match="this API key may not do that"),
    ):
        client.remove_source("drawn")


def test_failures_are_reported_by_name(client: Client, tmp_path: Path, pairs: list[Pair]) -> None:
    assert isinstance(pairs[0].image, Path)
    whole = pairs[0].image.read_bytes()
    (tmp_path / "broken.png").write_bytes(whole[: len(whole) // 2])
    broken = Pair(tmp_path / "broken.png", "a dog", source="broken")
    (job,) = client.add_many([pairs[0], broken])
    done = client.wait(job)
    failed = client.wait(client.add(tmp_path / "broken.png", "a dog"))

    (failure,) = done.failures
    assert (failure.pair, failure.image) == (1, "broken.png")
    assert (done.state, done.done) == ("done", 2)
    assert (failed.state, failed.done) == ("failed", 1)


def eventually(read: Callable[[], int], expected: int) -> int:
    """What is read when it is as expected, or in the end: counts follow what is indexed."""
    end = time.monotonic() + PATIENCE
    while (found := read()) != expected and time.monotonic() < end:
        time.sleep(0.1)
    return found


def images(client: Client, expected: int) -> int:
    return eventually(lambda: client.about().images, expected)


def pictures_of(client: Client, noun: str) -> int:
    return next((n.pictures for n in client.vocabulary(noun).nouns if n.noun == noun), 0)


def test_a_picture_comes_and_goes(client: Client, scenes: Path) -> None:
    assert images(client, PICTURES) == PICTURES
    pair = read_pairs(scenes)[20]
    added = client.wait(client.add(pair.image, "a zebra", id="z/1", source="zoo", tags=["z"]))
    assert eventually(lambda: pictures_of(client, "zebra"), 1) == 1
    assert images(client, PICTURES + 1) == PICTURES + 1
    assert client.noun("zebra").pictures == 1
    client.wait(client.add(pair.image, "a giraffe", id="z/1", replace=True))
    assert eventually(lambda: pictures_of(client, "zebra"), 0) == 0
    assert pictures_of(client, "giraffe") == 1
    gone = client.wait(client.remove_image("z/1"))

    assert isinstance(added, JobBody)
    assert (added.state, gone.state) == ("done", "done")
    assert images(client, PICTURES) == PICTURES
    assert eventually(lambda: pictures_of(client, "giraffe"), 0) == 0
    with pytest.raises(ServiceProblem, match="has no noun 'zebra'"):
        client.noun("zebra")


def test_what_is_pointed_at_and_corrected_can_be_undone(client: Client, scenes: Path) -> None:
    pair, box = read_pairs(scenes)[21], {"box": [10, 10, 40, 40]}
    region = {"noun": "gadget", **box, "not": False}
    jobs = [
        client.add(pair.image, id="g/1", regions=[region]),
        client.point(pair.image, "gizmo", box),
        client.point(pair.image, "gadget", box, refused=True),
        client.correct("alias", "gadget", other="doodad"),
        client.correct("refuse", "gadget", image_id="g/1"),
    ]
    assert [client.wait(job).state for job in jobs] == ["done"] * 5
    assert eventually(lambda: pictures_of(client, "gizmo"), 1) == 1
    listed = client.corrections().corrections
    assert [(item.kind, item.noun) for item in listed] == [
        ("teach", "gizmo"),
        ("refuse", "gadget"),
        ("alias", "gadget"),
        ("refuse", "gadget"),
    ]
    for item in reversed(listed):
        assert client.wait(client.undo(item.number)).state == "done"
    assert client.corrections().corrections == []
    with pytest.raises(ServiceProblem, match="no correction 1 to undo"):
        client.undo(1)
    client.wait(client.remove_image("g/1"))
    assert images(client, PICTURES) == PICTURES


def test_a_large_batch_of_known_pictures_changes_nothing(client: Client, pairs: list[Pair]) -> None:
    assert images(client, PICTURES) == PICTURES
    assert eventually(lambda: client.about().revision % 2, 0) == 0
    before = client.about()
    many = [pairs[number % len(pairs)] for number in range(2 * MAX_BATCH_PAIRS + 10)]
    states = [client.wait(job) for job in client.add_many(iter(many))]

    assert [state.pairs for state in states] == [MAX_BATCH_PAIRS, MAX_BATCH_PAIRS, 10]
    assert all(state.failures == [] for state in states)
    assert client.about() == before


def test_a_source_comes_and_goes(client: Client) -> None:
    assert images(client, PICTURES) == PICTURES
    (job,) = client.add_many(
        Pair(plain_png(number), "a dog in the snow", source="a/b c") for number in range(2)
    )
    added = client.wait(job)
    assert images(client, PICTURES + 2) == PICTURES + 2
    gone = client.wait(client.remove_source("a/b c"))

    assert (added.state, added.failures, gone.state) == ("done", [], "done")
    assert images(client, PICTURES) == PICTURES


def test_a_busy_segmenter_serves_everybody_in_the_end(address: str, pairs: list[Pair]) -> None:
    """More requests at a time than may be under way: those refused are sent again."""
    with Client(address, key=KEY, timeout=PATIENCE) as client, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: client.segment(pairs[0].image, CLASSES), range(8)))

    assert all(result == results[0] for result in results)


def test_asyncio(address: str, pairs: list[Pair]) -> None:
    async def calls() -> None:
        async with AsyncClient(address, key=KEY) as client:
            result, about = await asyncio.gather(
                client.segment(pairs[0].image, CLASSES), client.about()
            )
            assert (result.revision, about.images) == (about.revision, PICTURES)
            (job,) = await client.add_many(pairs)
            assert (await client.wait(job)).state == "done"
            with pytest.raises(ServiceProblem, match="has no noun 'unicorn'"):
                await client.noun("unicorn")

    asyncio.run(calls())


def test_defaults_are_those_of_the_service() -> None:
    document = json.loads((ROOT / "docs/openapi/segmenter.json").read_text(encoding="utf-8"))
    body = document["paths"]["/v1/segment"]["post"]["requestBody"]["content"]
    fields = body["multipart/form-data"]["schema"]["properties"]
    parameters = inspect.signature(Endpoints.segment).parameters

    for name in ("fusion", "background", "threshold", "refine", "evidence", "exact", "kinds"):
        assert parameters[name].default == fields[name]["default"], name
