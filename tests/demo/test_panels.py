import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.demo.panels import SHOWN_SCENES, choose_scenes
from captionary.demo.poster import wrap_text
from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.world import Scene
from captionary.segmenter.drawing.lettering import Lettering

SEEN, NOVEL = len(GROUNDS), len(GROUNDS) + 1


def scene(ground: int, *nouns: int, tiny: int | None = None) -> Scene:
    """A ground, a band of each noun, and maybe a single pixel of one more."""
    labels = np.full((20, 20), ground, np.int32)
    for number, noun in enumerate(nouns):
        labels[2 * number : 2 * number + 2] = noun
    if tiny is not None:
        labels[-1, -1] = tiny
    return Scene(np.zeros((20, 20, 3), np.uint8), labels, ())


def test_scenes_are_chosen_by_what_stands_in_them() -> None:
    scenes = [
        scene(0),
        scene(0, SEEN),
        scene(0, SEEN, SEEN + 2),
        scene(0, SEEN, tiny=NOVEL),
        scene(0, SEEN, NOVEL),
        scene(0, SEEN, NOVEL),
        scene(1, SEEN, SEEN + 2, NOVEL),
    ]

    assert choose_scenes(scenes, [NOVEL])[:2] == [4, 6]
    assert len(choose_scenes(scenes, [NOVEL])) == SHOWN_SCENES


def test_few_scenes_are_all_shown() -> None:
    assert choose_scenes([scene(0), scene(1, SEEN, NOVEL)], [NOVEL]) == [1, 0]


@settings(max_examples=40)
@given(
    st.lists(st.text("abcdefghij", min_size=1, max_size=30), max_size=20),
    st.integers(10, 300),
    st.integers(1, 5),
)
def test_wrapped_lines_are_few_and_fit(words: list[str], width: int, lines: int) -> None:
    lettering = Lettering(words, size=15)

    wrapped = wrap_text(" ".join(words), lettering=lettering, width=width, lines=lines)

    assert len(wrapped) <= lines
    assert all(lettering.getlength(line) <= width or line == "…" for line in wrapped)
    if not any("…" in line for line in wrapped):
        assert " ".join(wrapped).split() == words
