from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import FeatureMaps
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import resize_labels
from captionary.vision.proposers.clusters import Clusters
from captionary.vision.proposers.combined import Combined
from captionary.vision.proposers.label_maps import LabelMaps, WholePicture
from captionary.vision.proposers.layers import find_distinct_labels
from captionary.vision.proposers.plan import SEPARATOR, parse_proposer
from captionary.vision.proposers.superpixels import Scale, Superpixels

MakePicture = Callable[..., LoadedPicture]


def picture_of(pixels: np.ndarray, name: str = "it") -> LoadedPicture:
    return LoadedPicture(pixels.astype(np.uint8), name)


SMALL = Superpixels(working_side=56)
"""Cuts a picture sixteen times as fast as usual."""


@settings(max_examples=25)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 5))
def test_every_layer_is_a_partition(
    make_picture: MakePicture, height: int, width: int, seed: int
) -> None:
    picture = make_picture(height, width, seed)
    for labels in SMALL.label_maps(picture.pixels):
        full = resize_labels(labels, picture.size_hw)
        covered = np.zeros(picture.size_hw, dtype=int)
        for number in range(labels.max() + 1):
            assert (labels == number).any()
            covered += full == number
        assert (covered == 1).all()


@settings(max_examples=25)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 5))
def test_superpixels_are_distinct_and_the_same_each_time(
    make_picture: MakePicture, height: int, width: int, seed: int
) -> None:
    picture = make_picture(height, width, seed)
    regions = SMALL.propose(picture)
    again = SMALL.propose(picture)
    assert [r.mask.tobytes() for r in regions] == [r.mask.tobytes() for r in again]
    assert regions[0].layer == 0
    assert regions[0].mask.all()
    masks = {region.mask.tobytes() for region in regions}
    assert len(masks) == len(regions)
    for scale in {region.layer for region in regions}:
        layer = np.array([region.mask for region in regions if region.layer == scale])
        assert layer.sum(axis=0).max() == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2), (5, 700)])
@pytest.mark.parametrize("proposer", [Superpixels(), WholePicture()])
def test_odd_pictures_have_regions(
    make_picture: MakePicture, proposer: Superpixels | WholePicture, size: tuple[int, int]
) -> None:
    regions = proposer.propose(make_picture(*size))
    assert regions
    assert all(region.mask.shape == size for region in regions)


def test_plain_picture_has_one_region() -> None:
    assert len(Superpixels().propose(picture_of(np.full((60, 80, 3), 7)))) == 1


def test_superpixels_find_a_square() -> None:
    pixels = np.full((120, 160, 3), 40)
    pixels[30:90, 40:100] = (220, 30, 30)
    truth = pixels[..., 0] == 220
    regions = Superpixels().propose(picture_of(pixels))
    best = max((r.mask & truth).sum() / (r.mask | truth).sum() for r in regions)
    assert best > 0.9


def test_fingerprint_follows_the_parameters() -> None:
    base = Superpixels().fingerprint
    assert base == Superpixels().fingerprint
    assert base.startswith("superpixels-")
    assert base != Superpixels(scales=(Scale(100, 0.01),)).fingerprint
    assert base != Superpixels(smoothing=0.5).fingerprint
    assert Superpixels(scales=(Scale(100, 0.01),)) == Superpixels(scales=(Scale(100.0, 0.01),))


def test_distinct_labels_equal_a_plain_loop() -> None:
    random = np.random.default_rng(3)
    base = random.integers(0, 4, (20, 20)).astype(np.int32)
    layers = [np.zeros((20, 20), np.int32), base, base.copy(), np.where(base > 1, 1, base)]
    kept: list[tuple[int, int]] = []
    for layer, labels in enumerate(layers):
        for number in np.unique(labels):
            mask = labels == number
            known = [layers[la] == n for la, n in kept if la < layer]
            if all((mask & other).sum() / (mask | other).sum() <= 0.95 for other in known):
                kept.append((layer, int(number)))
    assert find_distinct_labels([labels.astype(np.int32) for labels in layers]) == kept


def indexed(folder: Path, values: np.ndarray, name: str = "it") -> None:
    image = Image.new("P", values.shape[::-1])
    image.putpalette(list(range(256)) * 3)
    image.putdata(values.ravel().tolist())
    image.save(folder / f"{name}.png")


def test_label_maps_give_their_values_as_regions(tmp_path: Path) -> None:
    values = np.array([[0, 0, 2, 255], [0, 1, 2, 0]])
    indexed(tmp_path, values)
    regions = LabelMaps(tmp_path).propose(picture_of(np.zeros((2, 4, 3))))
    assert [region.mask.tolist() for region in regions] == [
        (values == value).tolist() for value in (0, 1, 2)
    ]


def test_map_that_ignores_everything_gives_the_whole(tmp_path: Path) -> None:
    Image.new("L", (3, 2), 255).save(tmp_path / "it.png")
    (region,) = LabelMaps(tmp_path).propose(picture_of(np.zeros((2, 3, 3))))
    assert region.mask.all()


def test_label_maps_of_more_than_8_bits(tmp_path: Path) -> None:
    values = np.array([[0, 255, 65535], [300, 0, 255]], np.uint16)
    Image.fromarray(values).save(tmp_path / "it.png")
    regions = LabelMaps(tmp_path).propose(picture_of(np.zeros((2, 3, 3))))
    assert [region.mask.tolist() for region in regions] == [
        (values == value).tolist() for value in (0, 255, 300)
    ]


def test_a_picture_without_a_label_map(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePicture, match=r"it\.png does not exist; add it"):
        LabelMaps(tmp_path).propose(picture_of(np.zeros((2, 3, 3))))


def test_parse_proposer(encoder: ClipEncoder, tmp_path: Path) -> None:
    maps = FeatureMaps(encoder, side=64)
    assert parse_proposer("superpixels").build(encoder, maps, ClipEncoder) == Superpixels()
    assert parse_proposer("clusters").build(encoder, maps, ClipEncoder) == Clusters(maps)
    assert parse_proposer("whole").build(encoder, maps, ClipEncoder) == WholePicture()
    assert parse_proposer(f"masks:{tmp_path}").build(encoder, maps, ClipEncoder) == LabelMaps(
        tmp_path
    )
    several = parse_proposer(f"superpixels+masks:{tmp_path}").build(encoder, maps, ClipEncoder)
    assert several == Combined((Superpixels(), LabelMaps(tmp_path)))
    for wrong in ("", "superpixels+", "masks", "masks:", "sam", "sam:", "segments", "whole:1"):
        with pytest.raises(WrongInput, match=r"superpixels, clusters, .*pgseg:FOLDER, .*sam:"):
            parse_proposer(wrong)
    with pytest.raises(WrongInput, match="does not exist"):
        parse_proposer(f"masks:{tmp_path}/none")


def test_a_folder_may_have_a_plus_in_its_name() -> None:
    assert SEPARATOR.split("clusters+masks:/a+b+superpixels+sam:x/y+whole") == [
        "clusters",
        "masks:/a+b",
        "superpixels",
        "sam:x/y",
        "whole",
    ]
    assert SEPARATOR.split("masks:/a+clusters-2024/b+wholesome") == [
        "masks:/a+clusters-2024/b+wholesome"
    ]


def test_combined_keeps_layers_apart_and_drops_duplicates(make_picture: MakePicture) -> None:
    picture = make_picture(80, 100)
    alone = Superpixels().propose(picture)
    other = Superpixels(scales=(Scale(200, 0.01),))
    regions = Combined((Superpixels(), other, WholePicture())).propose(picture)
    assert [r.mask.tobytes() for r in regions[: len(alone)]] == [r.mask.tobytes() for r in alone]
    for number, region in enumerate(regions):
        for earlier in regions[:number]:
            both = (region.mask & earlier.mask).sum()
            assert both <= 0.95 * (region.mask | earlier.mask).sum()
            assert not both or region.layer != earlier.layer
    assert sum(region.mask.all() for region in regions) == 1
    assert len(Combined((Superpixels(), Superpixels())).propose(picture)) == len(alone)
