import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.learning.data.batches import PreparedExamples
from captionary.learning.data.examples import Example
from captionary.learning.methods import augmented_views
from captionary.learning.methods.augmented_views import (
    ASPECT,
    BLURRED,
    GLOBAL_AREA,
    LOCAL_AREA,
    RECOLOURED,
    ViewPreprocessor,
    overlap_within,
    random_box,
    render_view,
)
from captionary.learning.methods.mutual_information import align_views
from captionary.learning.methods.noun_loss import NounTokenizer
from captionary.vision.pictures.resizing import squash_bytes
from tests.learning.flag_pictures import Flags, tiny_preprocessor
from tests.learning.grouping_models import colours

SEEDS = st.integers(0, 9999)
TOKENIZER = tiny_preprocessor().tokenizer


@settings(max_examples=60)
@given(
    height=st.integers(1, 120),
    width=st.integers(1, 120),
    area=st.sampled_from([GLOBAL_AREA, LOCAL_AREA]),
    seed=SEEDS,
)
def test_boxes_lie_inside_and_are_of_the_requested_area_and_aspect(
    height: int, width: int, area: tuple[float, float], seed: int
) -> None:
    left, top, right, bottom = random_box((height, width), np.random.default_rng(seed), area=area)

    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert all(edge == int(edge) for edge in (left, top, right, bottom))
    wide, high = right - left, bottom - top
    # Sides are rounded: to half a pixel, but to no less than one.
    assert (wide - 0.5) * (high - 0.5) <= max(1, high, wide, area[1] * height * width)
    if wide < width and high < height:
        assert (wide + 0.5) * (high + 0.5) >= area[0] * height * width
    if 1 < wide < width and 1 < high < height:
        assert (wide - 0.5) / width <= ASPECT[1] * (high + 0.5) / height
        assert (wide + 0.5) / width >= ASPECT[0] * (high - 0.5) / height


@settings(max_examples=60)
@given(height=st.integers(8, 60), width=st.integers(60, 900), seed=SEEDS)
def test_large_views_of_long_pictures_overlap(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    one, other = (random_box((height, width), random, area=GLOBAL_AREA) for _ in range(2))

    left, top, right, bottom = overlap_within(one, other)

    assert (right - left) * (bottom - top) > 0


def test_boxes_are_of_all_areas_and_aspects_and_lie_everywhere() -> None:
    random = np.random.default_rng(0)
    boxes = np.array([random_box((400, 400), random, area=LOCAL_AREA) for _ in range(3000)])
    left, top, right, bottom = boxes.T
    share = (right - left) * (bottom - top) / 160_000
    aspect = np.log((right - left) / (bottom - top))

    assert np.quantile(share, [0.0, 0.5, 1.0]) == pytest.approx([0.05, 0.225, 0.4], abs=0.01)
    limits = [math.log(ASPECT[0]), 0, math.log(ASPECT[1])]
    assert np.quantile(aspect, [0.0, 0.5, 1.0]) == pytest.approx(limits, abs=0.02)
    for low, high in ((left, 400 - right), (top, 400 - bottom)):
        assert low.min() == high.min() == 0
        assert low.mean() == pytest.approx(high.mean(), rel=0.05)


@settings(max_examples=60)
@given(seed=SEEDS, small=st.booleans())
def test_overlaps_equal_those_of_painted_boxes(seed: int, small: bool) -> None:
    random = np.random.default_rng(seed)
    area = LOCAL_AREA if small else GLOBAL_AREA
    boxes = [random_box((30, 40), random, area=area) for _ in range(2)]
    painted = np.zeros((2, 30, 40), dtype=bool)
    for number, (left, top, right, bottom) in enumerate(boxes):
        painted[number, int(top) : int(bottom), int(left) : int(right)] = True
    rows, columns = np.nonzero(painted[0] & painted[1])

    for number in range(2):
        left, top, right, bottom = overlap_within(boxes[number], boxes[1 - number])

        if not len(rows):
            assert (right - left) * (bottom - top) == 0
            continue
        start, sides = boxes[number][:2], np.subtract(boxes[number][2:], boxes[number][:2])
        assert start[0] + left * sides[0] == pytest.approx(columns.min())
        assert start[0] + right * sides[0] == pytest.approx(columns.max() + 1)
        assert start[1] + top * sides[1] == pytest.approx(rows.min())
        assert start[1] + bottom * sides[1] == pytest.approx(rows.max() + 1)


def picture_of(height: int, width: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, 3)).astype(np.uint8)


def seed_of_plain_view() -> int:
    """A seed by which a view is neither recoloured nor blurred."""
    for seed in range(1000):
        random = np.random.default_rng(seed)
        if random.random() >= RECOLOURED and random.random() >= BLURRED:
            return seed
    raise AssertionError


@pytest.mark.parametrize("flip", [False, True])
def test_a_plain_view_is_a_part_of_the_picture(flip: bool) -> None:
    picture, seed = picture_of(20, 30), seed_of_plain_view()

    view = render_view(
        picture, (3, 5, 21, 15), np.random.default_rng(seed), size_hw=(8, 12), flip=flip
    )

    expected = squash_bytes(picture[5:15, 3:21], size_hw=(8, 12))
    assert torch.equal(view, expected.flip(2) if flip else expected)


@settings(max_examples=25)
@given(seed=SEEDS)
def test_a_flipped_view_is_the_mirror_image(seed: int) -> None:
    picture = picture_of(20, 30, seed)
    pair = [
        render_view(
            picture, (3, 5, 21, 15), np.random.default_rng(seed), size_hw=(8, 12), flip=flip
        )
        for flip in (False, True)
    ]

    assert pair[0].dtype == torch.uint8
    assert (pair[0].int() - pair[1].flip(2).int()).abs().max() <= 2


def inputs(local_views: int = 2, *, trimmable: bool = True) -> ViewPreprocessor:
    nouns = NounTokenizer(TOKENIZER, colours, 4)
    return ViewPreprocessor((16, 24), 8, local_views, TOKENIZER, nouns, trimmable=trimmable)


@pytest.mark.parametrize("local_views", [0, 3])
def test_what_is_prepared(local_views: int) -> None:
    own = inputs(local_views)
    data = PreparedExamples(Flags(side=40), own, seed=0)

    large, local, overlaps, flipped, tokens, nouns, is_noun = own.collate(
        [data[index, 0] for index in range(5)]
    )

    assert large.shape == (5, 2, 3, 16, 24)
    assert large.dtype == local.dtype == torch.uint8
    assert local.shape == ((5, 3, 3, 8, 8) if local_views else (5, 0, 3, 1, 1))
    assert overlaps.shape == (5, 2, 4)
    assert overlaps.dtype == torch.float32
    assert overlaps.min() >= 0
    assert overlaps.max() <= 1
    assert flipped.shape == (5, 2)
    assert flipped.dtype == torch.bool
    assert nouns.shape[:2] == is_noun.shape == (5, 4)
    ends = tokens.argmax(dim=1)
    assert tokens.shape == (5, min(12, -(-(int(ends.max()) + 1) // 4) * 4))
    for index, row in enumerate(tokens):
        whole = [own.tokenizer([caption])[0] for caption in Flags()[index].captions]
        assert any(torch.equal(row, caption[: len(row)]) for caption in whole)


def test_towers_that_read_padding_are_given_all_of_it() -> None:
    own = inputs(trimmable=False)

    *_, tokens, _, _ = own.collate([own.prepare(Flags()[0], np.random.default_rng(0))])

    assert tokens.shape == (1, 12)


@settings(max_examples=10)
@given(seed=SEEDS)
def test_equal_draws_are_equal(seed: int) -> None:
    example = Flags(side=40)[3]
    one, same, other = (
        inputs().prepare(example, np.random.default_rng(number))
        for number in (seed, seed, seed + 1)
    )

    assert all(torch.equal(*pair) for pair in zip(one, same, strict=True))
    assert not torch.equal(one[0], other[0])


@settings(max_examples=20)
@given(seed=SEEDS)
def test_the_two_large_views_show_the_same_where_they_overlap(seed: int) -> None:
    """Of a picture whose colours say where one is, uncoloured: patches are pixels here."""
    down, across = np.indices((120, 120)) * 2
    picture = np.stack([across, down, np.full_like(down, 9)], axis=2).astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augmented_views, "RECOLOURED", 0.0)
        patch.setattr(augmented_views, "BLURRED", 0.0)
        example = Example(picture, ("red above blue",))
        large, _, overlaps, flipped, *_ = inputs(0).prepare(example, np.random.default_rng(seed))

    maps = [each.float().permute(1, 2, 0)[None] for each in large]
    first, second = align_views(maps[0], maps[1], overlaps[None], flipped[None])

    # Half a patch of the larger view, where one ends before the other.
    apart = (first - second).abs().view(16, 24, 3)
    assert apart[1:-1, 1:-1].max() < 6
    assert apart[..., 0].max() < 240 / 24
    assert apart[..., 1].max() < 240 / 16
