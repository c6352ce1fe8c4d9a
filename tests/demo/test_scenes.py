from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captionary.demo.scenes import (
    LEAST_AREA,
    Sizes,
    choose_cast,
    draw_newcomer,
    draw_scenes,
    write_captioned,
    write_dataset,
)
from captionary.indexer.readers import read_pairs
from captionary.schemas.pairs import ImageCaption
from captionary.vision.masks.datasets import DatasetFolder, read_mask

SIZES = Sizes(seen=9, novel=4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_cast_has_the_nouns_it_says_none_twice(seed: int) -> None:
    cast = choose_cast(seed, SIZES)

    names = [item.name for item in cast.classes]
    assert (len(cast.seen), len(cast.novel)) == (9, 4)
    assert not any(noun.novel for noun in cast.seen)
    assert all(noun.novel for noun in (*cast.novel, cast.newcomer))
    assert len({*names}) == len(names)
    assert names[-1] == cast.newcomer.name
    assert {*cast.companions} <= {*cast.seen, *cast.novel}
    assert choose_cast(seed, SIZES) == cast


def test_another_seed_casts_others() -> None:
    assert choose_cast(0, SIZES) != choose_cast(1, SIZES)


def test_every_cast_has_all_nouns_that_are_asked_for() -> None:
    largest = choose_cast(0, Sizes())

    assert (len(largest.seen), len(largest.novel)) == (Sizes().seen, Sizes().novel)


def test_no_scene_of_the_dictionary_shows_the_newcomer_and_all_of_its_own_do() -> None:
    cast = choose_cast(0, SIZES)
    newcomer = len(cast.classes) - 1

    others = draw_scenes(cast, split="train", seed=0, scenes=12)
    own = draw_newcomer(cast, split="held-out", seed=0, scenes=4)

    assert all(scene.labels.max() < newcomer for scene in others)
    assert all((scene.labels == newcomer).mean() >= LEAST_AREA for scene in own)
    names = {cast.classes[label].name for scene in own for label in np.unique(scene.labels)}
    assert len(names) > 2


def test_captioned_scenes_are_a_source(tmp_path: Path) -> None:
    scenes = draw_scenes(choose_cast(0, SIZES), split="train", seed=0, scenes=2)

    pairs = list(read_pairs(str(write_captioned(scenes, tmp_path / "captioned"))))

    for pair, scene in zip(pairs, scenes, strict=True):
        assert isinstance(pair, ImageCaption)
        assert pair.captions == scene.captions
        assert isinstance(pair.image, str)
        assert (tmp_path / str(pair.id)).samefile(pair.image)
        assert (np.asarray(Image.open(pair.image)) == scene.picture).all()


def test_held_out_scenes_are_a_dataset(tmp_path: Path) -> None:
    cast = choose_cast(0, SIZES)
    scenes = draw_scenes(cast, split="held-out", seed=0, scenes=2)

    files = write_dataset(scenes, tmp_path / "held-out", cast.classes)

    data = DatasetFolder(tmp_path / "held-out")
    assert data.classes == cast.classes
    assert [pair.image for pair in data] == files
    for pair, scene in zip(data, scenes, strict=True):
        size_hw = scene.labels.shape
        truth = read_mask(pair.mask, size_hw=(size_hw[0], size_hw[1]), classes=len(data.classes))
        assert (truth == scene.labels).all()
