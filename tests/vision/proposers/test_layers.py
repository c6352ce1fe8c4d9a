import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from captionary.schemas.arrays import Mask
from captionary.vision.proposers.layers import arrange_in_layers, suppress_duplicates


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / (a | b).sum())


@st.composite
def overlapping(draw: st.DrawFn) -> NDArray[np.bool_]:
    """Rectangles that lie anyhow, some twice, some with holes: (N, H, W), none empty."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    masks = np.zeros((draw(st.integers(0, 12)), height, width), dtype=np.bool_)
    for index, mask in enumerate(masks):
        y0, x0 = random.integers(height), random.integers(width)
        mask[y0 : random.integers(y0, height) + 1, x0 : random.integers(x0, width) + 1] = True
        if index and random.random() < 0.3:
            mask[:] = masks[random.integers(index)]
        mask &= random.random(mask.shape) < random.choice([0.7, 1.0])
        mask[y0, x0] = True
    return masks


@given(overlapping())
def test_layers_hold_every_mask_and_never_overlap(masks: NDArray[np.bool_]) -> None:
    size = masks.shape[1], masks.shape[2]
    whole, *regions = arrange_in_layers(list(masks), size)
    assert whole.layer == 0
    assert whole.mask.all()
    assert sorted(region.mask.tobytes() for region in regions) == sorted(m.tobytes() for m in masks)
    areas = [region.area for region in regions]
    assert areas == sorted(areas, reverse=True)
    scales = {region.layer for region in regions}
    assert scales == set(range(1, len(scales) + 1))
    for scale in scales:
        layer = np.array([region.mask for region in regions if region.layer == scale])
        assert layer.sum(axis=0).max() == 1


@given(overlapping())
def test_a_mask_is_in_the_first_layer_that_has_room(masks: NDArray[np.bool_]) -> None:
    _, *regions = arrange_in_layers(list(masks), (masks.shape[1], masks.shape[2]))
    for index, region in enumerate(regions):
        for scale in range(1, region.layer):
            larger = [other for other in regions[:index] if other.layer == scale]
            assert any((other.mask & region.mask).any() for other in larger)


@given(overlapping(), st.sampled_from([0.0, 0.4, 0.7, 1.0]), st.integers(0, 9))
def test_distinct_equals_a_plain_loop(masks: NDArray[np.bool_], same_iou: float, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 4, len(masks)).astype(np.float32)
    chosen: list[int] = []
    for index in sorted(range(len(masks)), key=lambda i: (-scores[i], i)):
        if all(iou(masks[index], masks[other]) <= same_iou for other in chosen):
            chosen.append(index)
    assert suppress_duplicates(masks, scores, same_iou=same_iou) == chosen


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_no_mask_leaves_the_whole(size: tuple[int, int]) -> None:
    (whole,) = arrange_in_layers([], size)
    assert whole.mask.shape == size
    nothing = np.zeros((0, *size), dtype=np.bool_)
    assert suppress_duplicates(nothing, np.zeros(0, dtype=np.float32), same_iou=0.7) == []
