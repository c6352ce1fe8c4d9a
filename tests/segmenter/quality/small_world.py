"""A dictionary of made-up regions: each noun has a direction, and each picture shows three nouns.

The text encoder half knows the nouns: their directions with as much noise.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from captionary.indexer.refresh import Refresher
from captionary.schemas.arrays import Vectors
from captionary.schemas.dictionary import Picture
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import half, unit
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.exact_engine import ExactEngine

DIM, LOOK_DIM = 32, 24
NOUNS = (
    *("apple", "bench", "cat", "dog", "elk", "fern", "gate", "hat", "igloo"),
    *("jar", "kite", "lamp", "moon", "nest", "oar", "pear", "quill"),
)
THUMBNAIL = BytesIO()
Image.new("RGB", (64, 48), "olive").save(THUMBNAIL, "JPEG")

SHOWN, REGIONS = 3, 7
"""Nouns that a picture shows, and regions that it has."""


def directions(names: Sequence[str], dim: int) -> Vectors:
    """A direction for each name, always the same."""
    seeds = [int.from_bytes(name.encode()) % 2**32 for name in names]
    rows = [np.random.default_rng(seed).normal(size=dim) for seed in seeds]
    return unit(np.array(rows, np.float32).reshape(len(names), dim))


class NoisyText:
    """A text encoder that half knows the nouns."""

    dim = DIM
    logit_scale = 20.0

    def encode_texts(self, names: Sequence[str], *, templates: str | None = None) -> Vectors:
        del templates
        noise = directions([f"{name}, noise" for name in names], DIM)
        return unit(directions(names, DIM) + 1.2 * noise)


def shown(number: int) -> list[str]:
    """The nouns that a picture shows."""
    return list(np.random.default_rng(number).choice(NOUNS, SHOWN, replace=False))


def table(number: int, *, look_dim: int, told: float = 1.0) -> RegionTable:
    """Its regions: one for each noun, then others.

    told: how much of a region is of its noun, beside 1 of noise.
    """
    random = np.random.default_rng(1000 + number)

    def regions(dim: int) -> Vectors:
        rows = unit(random.normal(size=(REGIONS, dim)).astype(np.float32))
        rows[:SHOWN] += told * 1.5 * directions(shown(number), dim)
        return half(unit(rows))

    boxes = np.tile(np.array([[1, 2, 30, 40]], np.int32), (REGIONS, 1))
    areas = random.uniform(0.05, 0.3, REGIONS).astype(np.float32)
    return RegionTable(regions(DIM), boxes, areas, regions(look_dim) if look_dim else None)


def world(
    pictures: int,
    *,
    look_dim: int = 0,
    told: float = 1.0,
    captions: Mapping[int, Sequence[str]] | None = None,
) -> StoredDictionary:
    """A dictionary of so many pictures, refreshed.

    captions: what is said of pictures instead of what they show, by number.
    """
    stored = StoredDictionary(ExactEngine(), fingerprint="made up", dim=DIM, look_dim=look_dim)
    items = []
    for number in range(pictures):
        nouns = tuple((captions or {}).get(number, shown(number)))
        picture = Picture(
            id=f"p{number:03d}",
            image=f"{number}.jpg",
            sha256=f"{number:064x}",
            size_hw=(48, 64),
            captions=("a " + " and a ".join(nouns),),
            nouns=(nouns,),
            regions=REGIONS,
            thumbnail=THUMBNAIL.getvalue(),
        )
        items.append((picture, table(number, look_dim=look_dim, told=told)))
    stored.add(items)
    Refresher(stored, NoisyText()).refresh()
    return stored
