from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from captionary.schemas.errors import WrongInput
from captionary.schemas.regions import Region
from captionary.schemas.vectors import half, unit
from captionary.vision.embedding.coverage import coverage
from captionary.vision.looks.plan import LookPart, Looks, LooksPlan, parse_looks
from captionary.vision.pictures.loading import LoadedPicture

MakePicture = Callable[..., LoadedPicture]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("none", ()),
        ("look-lite0", (LookPart("look-lite0"),)),
        ("vit_x.y@8", (LookPart("vit_x.y", 8),)),
        ("look-lite0:224,448", (LookPart("look-lite0", None, (224, 448)),)),
        ("a@2:64+hf-hub:b/c", (LookPart("a", 2, (64,)), LookPart("hf-hub:b/c"))),
    ],
)
def test_names_are_parsed_and_written_again(text: str, parts: tuple[LookPart, ...]) -> None:
    plan = parse_looks(text)
    assert plan == LooksPlan(parts)
    assert str(plan) == text
    assert parse_looks(str(plan)) == plan


@pytest.mark.parametrize("text", ["", "+", "a+", "a+none", "a:8", "a:9999"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(WrongInput):
        parse_looks(text)


def test_folders_are_remembered_by_their_full_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(parse_looks("local-dir:model@3:64")) == f"local-dir:{tmp_path / 'model'}@3:64"


@pytest.fixture(scope="module")
def looks() -> Looks:
    built = parse_looks("look-lite0:64,128+look-lite0@2:64").build(
        device="cpu", precision="float32"
    )
    assert built is not None
    return built


def test_none_has_no_looks() -> None:
    assert parse_looks("none").build(device="cpu", precision="float32") is None


def test_regions_are_means_of_the_maps(looks: Looks, make_picture: MakePicture) -> None:
    picture = make_picture(64, 96)
    masks = np.zeros((2, 64, 96), np.bool_)
    masks[0, :40, :50] = masks[1] = True
    regions = [Region(mask) for mask in masks]
    (small, large), (stage,) = looks.maps

    def mean(features: np.ndarray[tuple[int, int, int], np.dtype[np.float32]]) -> np.ndarray:
        shares = coverage(regions, (features.shape[0], features.shape[1]))
        return unit(shares @ features.reshape(-1, features.shape[2]))

    first = unit(mean(small(picture)) + mean(large(picture)))
    expected = half(unit(np.concatenate([first, mean(stage(picture))], axis=1)))
    found = looks.embed(picture, regions)
    assert found.shape == (2, looks.dim)
    assert_allclose(found, expected, atol=1e-3)
    assert np.array_equal(half(found), found)
    assert looks.finest is large


def test_the_fingerprint_names_all_that_vectors_depend_on(looks: Looks) -> None:
    assert looks.fingerprint.count("looks-") == 2
    texts = ["look-lite0", "look-lite0:64", "look-lite0@2", "look-lite0@3"]
    built = [parse_looks(text).build(device="cpu", precision="float32") for text in texts]
    assert len({one.fingerprint for one in built if one}) == len(texts)
