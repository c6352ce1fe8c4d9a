"""Every call, by either face, answered by the real services."""

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

from captionary.client import AsyncCaptionary, Captionary, Pair, ServiceProblem
from captionary.client.endpoints import Calls
from captionary.client.uploads import MOST_PAIRS
from captionary.client.uploads import Image as Picture
from captionary.schemas.bodies import JobBody, SegmentationBody
from tests.client.conftest import Connect
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
    with both_services(tmp_path_factory.mktemp("asked"), key=KEY) as url:
        with Captionary(url, key=KEY) as client:
            (job,) = client.add_many(pairs)
            done = client.wait(job)
        assert (done.state, done.pairs, done.done, done.failures) == ("done", 8, 8, [])
        yield url


@pytest.fixture
def client(connect: Connect, address: str) -> Captionary:
    return connect(address, key=KEY)


def test_segment(client: Captionary, pairs: list[Pair]) -> None:
    answer = client.segment(pairs[0].image, CLASSES, evidence=1)

    assert isinstance(answer, SegmentationBody)
    assert answer.classes == ["dog", "apple", "umbrella", "grass"]
    assert answer.revision is not None
    assert answer.revision > 0
    assert any(region.evidence for region in answer.regions)
    assert client.segment(pairs[0].image, CLASSES).prototypes == []
    assert {exemplar.image_id for look in answer.prototypes for exemplar in look.exemplars} <= {
        pair.id for pair in pairs
    }
    masks = np.stack([coco.decode(mask.rle.model_dump()) for mask in answer.masks])
    assert masks.shape[1:] == tuple(answer.size)
    assert (masks.sum(axis=0) == 1).all()
    assert [mask.area for mask in answer.masks] == masks.sum(axis=(1, 2)).tolist()


def test_options_arrive(client: Captionary, pairs: list[Pair]) -> None:
    image = pairs[0].image
    alone = client.segment(image, ["dog", "sand: beach"], fusion="text", background="threshold")
    nothing = client.segment(image, "dog, bus", background="threshold", threshold=1.0, refine=True)

    assert (alone.revision, alone.classes) == (None, ["dog", "sand", "background"])
    assert alone.prototypes == []
    assert [mask.class_name for mask in nothing.masks] == ["background"]


@pytest.mark.parametrize("way", ["path", "text", "bytes", "file"])
def test_pictures_of_any_kind(client: Captionary, pairs: list[Pair], way: str) -> None:
    path = pairs[0].image
    assert isinstance(path, Path)
    kinds: dict[str, Picture] = {
        "path": path,
        "text": str(path),
        "bytes": path.read_bytes(),
        "file": io.BytesIO(path.read_bytes()),
    }
    image = kinds[way]
    with Image.open(io.BytesIO(client.class_map(image, CLASSES))) as classes:
        labels = np.array(classes)
    answer = client.segment(path, CLASSES)

    assert classes.format == "PNG"
    for mask in answer.masks:
        number = answer.classes.index(mask.class_name)
        np.testing.assert_array_equal(coco.decode(mask.rle.model_dump()), labels == number)


def test_overlay(client: Captionary, pairs: list[Pair]) -> None:
    with Image.open(io.BytesIO(client.overlay(pairs[0].image, CLASSES))) as overlay:
        assert overlay.format == "JPEG"


def test_retrieve(client: Captionary, pairs: list[Pair]) -> None:
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


def test_the_dictionary(client: Captionary) -> None:
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


def test_what_is_not_there_is_told(client: Captionary) -> None:
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


def test_keys_are_needed(connect: Connect, address: str) -> None:
    with pytest.raises(ServiceProblem, match="this needs an API key") as caught:
        connect(address).vocabulary()
    assert caught.value.status == 401
    with pytest.raises(ServiceProblem, match="this API key may not do that"):
        connect(address, key="another-key-of-the-tests").remove_source("drawn")


def test_failures_are_told_by_name(client: Captionary, tmp_path: Path, pairs: list[Pair]) -> None:
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


def soon(read: Callable[[], int], expected: int) -> int:
    """What is read when it is as expected, or in the end: counts follow what is indexed."""
    end = time.monotonic() + PATIENCE
    while (found := read()) != expected and time.monotonic() < end:
        time.sleep(0.1)
    return found


def images(client: Captionary, expected: int) -> int:
    return soon(lambda: client.about().images, expected)


def pictures_of(client: Captionary, noun: str) -> int:
    return next((n.pictures for n in client.vocabulary(noun).nouns if n.noun == noun), 0)


def test_a_picture_comes_and_goes(client: Captionary, scenes: Path) -> None:
    assert images(client, PICTURES) == PICTURES
    pair = read_pairs(scenes)[20]
    added = client.wait(client.add(pair.image, "a zebra", id="z/1", source="zoo", tags=["z"]))
    assert soon(lambda: pictures_of(client, "zebra"), 1) == 1
    assert images(client, PICTURES + 1) == PICTURES + 1
    assert client.noun("zebra").pictures == 1
    gone = client.wait(client.remove_image("z/1"))

    assert isinstance(added, JobBody)
    assert (added.state, gone.state) == ("done", "done")
    assert images(client, PICTURES) == PICTURES
    assert soon(lambda: pictures_of(client, "zebra"), 0) == 0
    with pytest.raises(ServiceProblem, match="has no noun 'zebra'"):
        client.noun("zebra")


def test_a_large_batch_of_known_pictures_changes_nothing(
    client: Captionary, pairs: list[Pair]
) -> None:
    assert images(client, PICTURES) == PICTURES
    assert soon(lambda: client.about().revision % 2, 0) == 0
    before = client.about()
    many = [pairs[number % len(pairs)] for number in range(2 * MOST_PAIRS + 10)]
    states = [client.wait(job) for job in client.add_many(iter(many))]

    assert [state.pairs for state in states] == [MOST_PAIRS, MOST_PAIRS, 10]
    assert all(state.failures == [] for state in states)
    assert client.about() == before


def test_a_source_comes_and_goes(client: Captionary) -> None:
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
    """More at a time than may be under way: whoever is turned away comes again."""
    with Captionary(address, key=KEY, timeout=PATIENCE) as client, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.segment(pairs[0].image, CLASSES), range(12)))

    assert all(answer == answers[0] for answer in answers)


def test_both_faces_have_every_call() -> None:
    calls = {name for name, value in vars(Calls).items() if inspect.isfunction(value)}
    public = {name for name in calls if not name.startswith("_")}

    for face in (Captionary, AsyncCaptionary):
        assert public <= vars(face).keys()
        for name in public:
            said = inspect.signature(getattr(face, name))
            assert said == inspect.signature(getattr(Calls, name))


def test_defaults_are_those_of_the_service() -> None:
    document = json.loads((ROOT / "docs/openapi/segmenter.json").read_text(encoding="utf-8"))
    body = document["paths"]["/v1/segment"]["post"]["requestBody"]["content"]
    fields = body["multipart/form-data"]["schema"]["properties"]
    words = inspect.signature(Calls.segment).parameters

    for name in ("fusion", "background", "threshold", "refine", "evidence"):
        assert words[name].default == fields[name]["default"], name
