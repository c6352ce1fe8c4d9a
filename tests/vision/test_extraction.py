from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from captionary.schemas.regions import Region
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.embedding.embedders import MaskedCrops, masked_crop
from captionary.vision.extraction import LONGEST, RegionExtractor, scaled
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import squash
from captionary.vision.proposers.label_maps import LabelMaps, WholePicture
from captionary.vision.proposers.superpixels import Scale, Superpixels

MakePicture = Callable[..., LoadedPicture]
COARSE = Superpixels((Scale(1000, 0.03),))
"""Few regions: each is a crop through the encoder."""


@pytest.fixture(scope="module")
def small(mini: str) -> ClipEncoder:
    """The faster of the encoders, for what does not depend on which it is."""
    return ClipEncoder(mini, device="cpu", precision="float32", templates="plain")


def test_row_i_is_region_i(fast_encoder: ClipEncoder, make_picture: MakePicture) -> None:
    extractor = RegionExtractor(COARSE, MaskedCrops(fast_encoder))
    picture = make_picture(90, 120)
    cut = extractor.extract(picture)
    regions, table = cut.regions, cut.table
    assert cut.size_hw == (90, 120)
    assert len(regions) == len(table) > 3
    assert table.vectors.shape == (len(regions), extractor.dim)
    for index, region in enumerate(regions):
        assert tuple(table.boxes_xyxy[index]) == region.box_xyxy
        assert table.areas[index] == pytest.approx(region.mask.mean())
        (alone,) = extractor.embedder.embed(picture, [region])
        assert np.array_equal(alone, table.vectors[index])


def test_the_same_picture_twice(fast_encoder: ClipEncoder, make_picture: MakePicture) -> None:
    extractor = RegionExtractor(COARSE, MaskedCrops(fast_encoder))
    first = extractor.extract(make_picture(60, 80, 3)).table
    second = extractor.extract(make_picture(60, 80, 3)).table
    assert np.array_equal(first.vectors, second.vectors)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (3, 3)])
def test_odd_pictures_have_vectors(
    fast_encoder: ClipEncoder, make_picture: MakePicture, size: tuple[int, int]
) -> None:
    extractor = RegionExtractor(Superpixels(), MaskedCrops(fast_encoder))
    table = extractor.extract(make_picture(*size)).table
    np.testing.assert_allclose(np.linalg.norm(table.vectors, axis=1), 1, atol=1e-6)


def test_fingerprint_names_all_parts(fast_encoder: ClipEncoder) -> None:
    fingerprint = RegionExtractor(WholePicture(), MaskedCrops(fast_encoder)).fingerprint
    assert fingerprint == f"whole+crop-{fast_encoder.fingerprint}+v2"
    assert len(fingerprint) < 100


def test_outside_of_the_mask_is_the_fill(make_picture: MakePicture) -> None:
    picture = make_picture(20, 30)
    mask = np.zeros((20, 30), dtype=np.bool_)
    mask[5:10, 7:20] = True
    mask[6, 8] = False
    crop = masked_crop(picture.pixels, Region(mask), fill=(1.0, 0.0, 0.5))
    assert crop.shape == (5, 13, 3)
    assert crop[1, 1].tolist() == [255, 0, 128]
    assert np.array_equal(crop[0], picture.pixels[5, 7:20])


def test_squash_keeps_a_plain_colour() -> None:
    plain = np.full((3, 50, 3), 51, dtype=np.uint8)
    small = squash(plain, size_hw=(7, 5))
    assert small.shape == (3, 7, 5)
    np.testing.assert_allclose(small.numpy(), 0.2, atol=1e-6)


def test_large_pictures_are_cut_and_encoded_smaller(
    small: ClipEncoder, make_picture: MakePicture
) -> None:
    picture = make_picture(500, 1250)
    smaller = picture.at_most(LONGEST)
    assert smaller.size_hw == (410, 1024)
    assert smaller.file_hw == smaller.at_most(100).file_hw == (500, 1250)
    extractor = RegionExtractor(COARSE, MaskedCrops(small))
    cut = extractor.extract(picture)
    assert cut.size_hw == (500, 1250)
    assert {region.mask.shape for region in cut.regions} == {(410, 1024)}
    assert cut.table.boxes_xyxy[0].tolist() == [0, 0, 1250, 500]
    np.testing.assert_array_equal(cut.table.vectors, extractor.extract(smaller).table.vectors)


def test_label_maps_of_large_pictures(
    small: ClipEncoder, make_picture: MakePicture, tmp_path: Path
) -> None:
    labels = np.zeros((1500, 2000), np.uint8)
    labels[300:900, 800:1600] = 7
    Image.fromarray(labels).save(tmp_path / "blobs0.png")
    extractor = RegionExtractor(LabelMaps(tmp_path), MaskedCrops(small))
    cut = extractor.extract(make_picture(1500, 2000))
    np.testing.assert_allclose(cut.table.boxes_xyxy[1], [800, 300, 1600, 900], atol=2)
    np.testing.assert_allclose(cut.table.areas, [0.84, 0.16], atol=0.002)


@given(
    sizes=st.tuples(*[st.integers(1, 60)] * 4),
    shares=st.tuples(*[st.floats(0, 0.9)] * 2, *[st.floats(0.1, 1)] * 2),
)
def test_scaled_boxes_hold_what_they_held(
    sizes: tuple[int, int, int, int], shares: tuple[float, float, float, float]
) -> None:
    height, width, new_height, new_width = sizes
    left, top = int(shares[0] * width), int(shares[1] * height)
    right = min(width, left + max(1, int(shares[2] * width)))
    bottom = min(height, top + max(1, int(shares[3] * height)))
    x0, y0, x1, y1 = scaled((left, top, right, bottom), (height, width), (new_height, new_width))
    assert 0 <= x0 < x1 <= new_width
    assert 0 <= y0 < y1 <= new_height
    assert x0 / new_width <= left / width <= right / width <= x1 / new_width
    assert y0 / new_height <= top / height <= bottom / height <= y1 / new_height
