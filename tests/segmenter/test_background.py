import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.schemas.classes import parse_classes
from captionary.schemas.options import BackgroundMode
from captionary.schemas.regions import Region
from captionary.segmenter.background import SURROUNDINGS, add_background, apply_threshold
from captionary.segmenter.painting import paint


def test_none_leaves_the_list_alone() -> None:
    classes = parse_classes("cat, background")
    assert add_background(classes, "none") == (classes, None)


def test_threshold_appends_a_background_without_prompts() -> None:
    classes, index = add_background(parse_classes("cat, dog"), "threshold")
    assert index == 2
    assert (classes[2].name, classes[2].prompts) == ("background", ())


def test_threshold_leaves_a_background_of_the_list_alone() -> None:
    classes = parse_classes("Background: wall, cat")
    assert add_background(classes, "threshold") == (classes, 0)


@pytest.mark.parametrize("mode", ["names", "auto"])
def test_names_are_the_surroundings_not_asked_for(mode: BackgroundMode) -> None:
    named = parse_classes("Sky, trees, person: man | Shelves, sand, stairs, glass")
    classes, index = add_background(named, mode)
    assert index == len(named)
    assert classes[:-1] == named
    assert set(SURROUNDINGS) - set(classes[-1].prompts) == {
        *("sky", "tree", "shelf", "sands", "stair")
    }


def test_names_go_to_the_background_of_the_list_after_its_synonyms() -> None:
    classes, index = add_background(parse_classes("cat, background: wall | rug, sky"), "names")
    assert index == 1
    assert [item.name for item in classes] == ["cat", "background", "sky"]
    assert classes[1].prompts[:3] == ("wall", "rug", "tree")
    assert len(set(classes[1].prompts)) == len(classes[1].prompts)


def test_a_list_that_takes_all_surroundings_leaves_the_word_itself() -> None:
    classes, index = add_background(parse_classes(", ".join(SURROUNDINGS)), "names")
    assert index is not None
    assert classes[index].prompts == ("background",)


@given(st.integers(0, 2**32), st.floats(0, 1, width=32))
def test_background_wins_below_the_threshold_alone(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random((6, 4)).astype(np.float32)
    scores[:, 3] = 0
    before = scores.copy()
    after = apply_threshold(scores, 3, threshold)
    np.testing.assert_array_equal(scores, before)
    np.testing.assert_array_equal(after[:, :3], scores[:, :3])
    np.testing.assert_array_equal(after.argmax(axis=1) == 3, scores.max(axis=1) < threshold)


def test_the_threshold_holds_for_the_blend_of_overlapping_regions() -> None:
    whole = Region(np.ones((2, 2), bool))
    scores = np.array([[0.5, 0.0, 0.0], [0.1, 0.0, 0.0]], np.float32)
    below, _ = paint([whole, whole], apply_threshold(scores, 2, 0.23))
    above, _ = paint([whole, whole], apply_threshold(scores, 2, 0.22))
    assert (below == 2).all()
    assert (above == 0).all()
