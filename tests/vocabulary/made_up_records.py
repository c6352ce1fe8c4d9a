"""Pictures, regions and prototypes made up for tests, the same for the same numbers."""

import json

import numpy as np

from captionary.schemas.arrays import Vectors
from captionary.schemas.dictionary import Exemplar, Picture, Prototype, TaggedRegion
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import half
from captionary.vocabulary.engines.engine import Payload
from captionary.vocabulary.records.points import single
from captionary.vocabulary.stored_dictionary import StoredDictionary

DIM = 16
LOOK_DIM = 24
FINGERPRINT = "mini/crop/superpixels-1"
NOUNS = ("bench", "cat", "dog", "fire hydrant", "tree")


def unit(rows: int, *, seed: int = 0, dim: int = DIM) -> Vectors:
    raw = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    vectors: Vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return vectors


def picture(number: int, *, regions: int = 5, source: str = "") -> Picture:
    first, second = NOUNS[number % 5], NOUNS[(number // 5 + 1) % 5]
    return Picture(
        id=f"p{number:04d}",
        image=f"photos/{number}.jpg",
        sha256=f"{number:064x}",
        size_hw=(48, 64),
        captions=(f"a {first} and a {second}", f"the {first}"),
        nouns=((first, second), (first,)),
        regions=regions,
        source=source,
        tags=("odd",) if number % 2 else (),
        thumbnail=bytes([number % 256, 0, 255]),
    )


def table(number: int, *, regions: int = 5, dim: int = DIM, look_dim: int = 0) -> RegionTable:
    random = np.random.default_rng(number)
    return RegionTable(
        vectors=unit(regions, seed=number, dim=dim),
        boxes_xyxy=random.integers(0, 64, (regions, 4)).astype(np.int32),
        areas=random.random(regions, np.float32),
        look_vectors=half(unit(regions, seed=number + 1, dim=look_dim)) if look_dim else None,
    )


def pair(
    number: int, *, regions: int = 5, source: str = "", look_dim: int = 0
) -> tuple[Picture, RegionTable]:
    rows = table(number, regions=regions, look_dim=look_dim)
    return picture(number, regions=regions, source=source), rows


def tag(noun: str, number: int, index: int, similarity: float = 0.25) -> TaggedRegion:
    return TaggedRegion(noun, f"p{number:04d}", index, similarity)


def prototypes(
    noun: str, count: int, *, generation: str = "g1", dim: int = DIM, look_dim: int = 0
) -> list[Prototype]:
    seed = sum(map(ord, noun + generation))
    rows = unit(count, seed=seed, dim=dim)
    looks = list(unit(count, seed=seed + 1, dim=look_dim)) if look_dim else [None] * count
    exemplar = Exemplar("p0001", 2, (1, 2, 3, 4), f"a {noun}", "web", 0.5, b"\xff\xd8")
    return [
        Prototype(noun, number, row, 10 - number, 0.125, generation, (exemplar,), look)
        for number, (row, look) in enumerate(zip(rows, looks, strict=True))
    ]


def tagged(dictionary: StoredDictionary, noun: str) -> list[TaggedRegion]:
    """The regions that carry a noun, sorted by picture and index."""
    return sorted(dictionary.tagged(noun), key=lambda region: (region.image_id, region.index))


def rounded(payload: Payload) -> Payload:
    """With numbers of float32 precision: a store may read a last bit wrong."""
    read: Payload = json.loads(json.dumps(payload), parse_float=lambda text: single(float(text)))
    return read
