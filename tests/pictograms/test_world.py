import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.nouns import Kind, choose_nouns
from captionary.pictograms.world import Scene, World
from tests.pictograms.parsing import words_of

ROOT = Path(__file__).parents[2]
DIGEST = """
import sys
from captionary.pictograms.nouns import choose_nouns
from captionary.pictograms.world import World
from tests.pictograms.test_world import digest
world = World(choose_nouns("all"), size=48, seed=3, captions=2)
print(" ".join(digest(world.scene(int(number))) for number in sys.argv[1:]))
"""


def world_of(kind: Kind = "all", *, size: int = 48, captions: int = 2) -> World:
    return World(choose_nouns(kind), size=size, seed=3, captions=captions)


def digest(scene: Scene) -> str:
    facts = (scene.picture.tobytes(), scene.labels.tobytes(), "\n".join(scene.captions).encode())
    return hashlib.sha256(b"".join(facts)).hexdigest()


def test_a_scene_does_not_depend_on_the_scenes_before_it() -> None:
    forwards = [digest(scene) for scene in world_of().scenes(10)]
    backwards = [digest(world_of().scene(number)) for number in reversed(range(10))]
    assert forwards == backwards[::-1]
    assert forwards[4:7] == [digest(scene) for scene in world_of().scenes(3, start=4)]
    assert len(set(forwards)) == 10


def test_another_process_draws_the_same() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", DIGEST, "7", "0", "123456789012"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    world = world_of()
    assert answer.stdout.split() == [digest(world.scene(n)) for n in (7, 0, 123456789012)]


def test_splits_and_seeds_have_scenes_of_their_own() -> None:
    nouns = choose_nouns("seen")
    worlds = [
        World(nouns, size=16),
        World(nouns, size=16, split="held-out"),
        World(nouns, size=16, seed=1),
    ]
    drawn = [digest(scene) for world in worlds for scene in world.scenes(50)]
    assert len(set(drawn)) == len(drawn)


def test_captions_are_known_without_drawing() -> None:
    world = world_of(captions=3)
    assert [world.captions_of(n) for n in range(20)] == [s.captions for s in world.scenes(20)]


@pytest.mark.parametrize("kind", ["seen", "novel", "all"])
def test_labels_are_the_classes_of_what_is_there(kind: Kind) -> None:
    world = world_of(kind)
    names = [item.name for item in world.classes]
    assert names == [*(g.name for g in GROUNDS), *(noun.name for noun in choose_nouns(kind))]
    for scene in world.scenes(40):
        assert scene.labels.dtype == np.int32
        there = set(np.unique(scene.labels).tolist())
        assert len(there & set(range(len(GROUNDS)))) == 1
        assert 2 <= len(there) <= 7
        named = {word for number in there for word in world.classes[number].prompts}
        for caption in scene.captions:
            assert words_of(caption) <= named


def test_a_seen_world_never_says_or_shows_what_is_novel() -> None:
    novel = {word.singular for noun in choose_nouns("novel") for word in noun.words}
    world = world_of("seen", size=16)
    assert not novel & {word for item in world.classes for word in item.prompts}
    for number in range(2000):
        for caption in world.captions_of(number):
            assert not words_of(caption) & novel


def test_a_world_of_single_objects() -> None:
    world = World(choose_nouns("seen"), size=32, objects=1)
    for scene in world.scenes(30):
        assert len(np.unique(scene.labels)) == 2
        (thing,) = {number for number in np.unique(scene.labels) if number >= len(GROUNDS)}
        assert words_of(scene.captions[0]) & set(world.classes[thing].prompts)


def test_a_scene_shows_the_same_at_all_sizes() -> None:
    small, large = world_of(size=64), world_of(size=160)
    for number in range(20):
        one, other = small.scene(number), large.scene(number)
        assert one.captions == other.captions
        shares = [
            np.bincount(scene.labels.ravel(), minlength=len(small.classes)) / scene.labels.size
            for scene in (one, other)
        ]
        np.testing.assert_allclose(shares[0], shares[1], atol=0.02)
