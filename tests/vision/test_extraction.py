from collections.abc import Callable

import numpy as np
import pytest

from schemas.regions import Region
from vision.embedders import MaskedCrops, masked_crop
from vision.encoder import ClipEncoder
from vision.extraction import RegionExtractor
from vision.pictures import LoadedPicture
from vision.proposers.given import Whole
from vision.proposers.superpixels import Superpixels
from vision.squashing import squash

MakePicture = Callable[..., LoadedPicture]


def test_row_i_is_region_i(fast_encoder: ClipEncoder, make_picture: MakePicture) -> None:
    extractor = RegionExtractor(Superpixels(), MaskedCrops(fast_encoder))
    picture = make_picture(90, 120)
    regions, table = extractor.extract(picture)
    assert len(regions) == len(table) > 3
    assert table.vectors.shape == (len(regions), extractor.dim)
    for index, region in enumerate(regions):
        assert tuple(table.boxes_xyxy[index]) == region.box_xyxy
        assert table.areas[index] == pytest.approx(region.mask.mean())
        (alone,) = extractor.embedder.embed(picture, [region])
        assert np.array_equal(alone, table.vectors[index])


def test_the_same_picture_twice(fast_encoder: ClipEncoder, make_picture: MakePicture) -> None:
    extractor = RegionExtractor(Superpixels(), MaskedCrops(fast_encoder))
    _, first = extractor.extract(make_picture(60, 80, 3))
    _, second = extractor.extract(make_picture(60, 80, 3))
    assert np.array_equal(first.vectors, second.vectors)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (3, 3)])
def test_odd_pictures_have_vectors(
    fast_encoder: ClipEncoder, make_picture: MakePicture, size: tuple[int, int]
) -> None:
    _, table = RegionExtractor(Superpixels(), MaskedCrops(fast_encoder)).extract(
        make_picture(*size)
    )
    np.testing.assert_allclose(np.linalg.norm(table.vectors, axis=1), 1, atol=1e-6)


def test_fingerprint_names_all_parts(fast_encoder: ClipEncoder) -> None:
    fingerprint = RegionExtractor(Whole(), MaskedCrops(fast_encoder)).fingerprint
    assert fingerprint == f"whole+crop-{fast_encoder.fingerprint}+v1"
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
