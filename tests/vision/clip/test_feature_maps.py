from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import (
    MOST_STRETCHED,
    FeatureMaps,
    frame_size,
    window_starts,
)
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import squash

MakePicture = Callable[..., LoadedPicture]


@given(
    height=st.integers(1, 9000),
    width=st.integers(1, 9000),
    side=st.integers(16, 700),
    multiple=st.sampled_from([8, 14, 16, 32]),
)
def test_frames_keep_the_aspect_within_bounds(
    height: int, width: int, side: int, multiple: int
) -> None:
    rows, columns = frame_size((height, width), side=side, multiple=multiple)
    assert rows % multiple == columns % multiple == 0
    assert min(rows, columns) == max(1, round(side / multiple)) * multiple
    assert max(rows, columns) <= MOST_STRETCHED * side + multiple
    if max(height, width) <= MOST_STRETCHED * min(height, width):
        longer = side * max(height, width) / min(height, width)
        assert abs(max(rows, columns) - longer) <= multiple / 2 + 1e-6


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([8, 16]))
def test_windows_cover_everything_and_overlap(length: int, window: int, patch: int) -> None:
    begin = window_starts(length * patch, window * patch, patch)
    assert begin[0] == 0
    assert begin[-1] == max(0, length - window) * patch
    assert begin == sorted(begin)
    assert all(later - earlier <= window * patch for earlier, later in pairwise(begin))
    assert all(start % patch == 0 for start in begin)


def test_a_map_is_of_the_whole_frame(encoder: ClipEncoder, make_picture: MakePicture) -> None:
    side = encoder.input_size_hw[0]
    picture = make_picture(100, 150)
    features = FeatureMaps(encoder, side)(picture)
    rows, columns = frame_size((100, 150), side=side, multiple=encoder.tower.patch)
    assert features.shape == (
        rows // encoder.tower.patch,
        columns // encoder.tower.patch,
        encoder.dim,
    )
    frame = squash(picture.pixels, size_hw=(rows, columns))
    alone = encoder.encode_map(frame, last_block="naclip")
    np.testing.assert_array_equal(features, alone)


def test_windows_are_averaged(encoder: ClipEncoder, make_picture: MakePicture) -> None:
    """Patch by patch: the mean of what every window that holds it says."""
    side, patch = encoder.input_size_hw[0], encoder.tower.patch
    picture = make_picture(90, 131)
    features = FeatureMaps(encoder, 2 * side, window=side)(picture)
    rows, columns = frame_size((90, 131), side=2 * side, multiple=patch)
    frame = squash(picture.pixels, size_hw=(rows, columns))
    encoded: dict[tuple[int, int], list[torch.Tensor]] = {}
    for top in window_starts(rows, side, patch):
        for left in window_starts(columns, side, patch):
            part = frame[:, top : top + side, left : left + side]
            vectors = encoder.encode_map(part, last_block="naclip")
            for row, column in np.ndindex(*vectors.shape[:2]):
                place = (top // patch + row, left // patch + column)
                encoded.setdefault(place, []).append(vectors[row, column])
    assert len(encoded) == features.shape[0] * features.shape[1]
    for place, each in encoded.items():
        np.testing.assert_allclose(features[place], torch.stack(each).mean(dim=0), atol=1e-5)
    assert max(len(each) for each in encoded.values()) >= 4


def test_a_picture_is_encoded_once(
    encoder: ClipEncoder, make_picture: MakePicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    encode = encoder.encode_map

    def counted(pixels: torch.Tensor, *, last_block: str) -> torch.Tensor:
        passes.append(last_block)
        return encode(pixels, last_block=last_block)

    monkeypatch.setattr(encoder, "encode_map", counted)
    maps = FeatureMaps(encoder, encoder.input_size_hw[0])
    one, other = make_picture(60, 80, 1), make_picture(60, 80, 2)
    first = maps(one)
    assert maps(one) is first
    assert not np.array_equal(maps(other), first)
    np.testing.assert_array_equal(maps(one), first)
    assert len(passes) == 3


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 5)])
def test_odd_pictures_have_maps(
    encoder: ClipEncoder, make_picture: MakePicture, size: tuple[int, int]
) -> None:
    features = FeatureMaps(encoder, encoder.input_size_hw[0])(make_picture(*size))
    assert np.isfinite(features).all()


def test_fingerprint_names_what_matters(encoder: ClipEncoder) -> None:
    kinds = [
        FeatureMaps(encoder, 64),
        FeatureMaps(encoder, 128),
        FeatureMaps(encoder, 128, 64),
        FeatureMaps(encoder, 128, 64, "sclip"),
    ]
    assert len({maps.fingerprint for maps in kinds}) == 4
    assert all(encoder.fingerprint in maps.fingerprint for maps in kinds)
