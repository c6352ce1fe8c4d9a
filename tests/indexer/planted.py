"""A small world made for tests: pictures of coloured things, and encoders that see only colour.

`ColourText` and `ColourRegions` are encoders of one space, 64 bins of colour. A noun with a colour
in `COLOURS` is a word that the text encoder knows; to any other it gives a direction of chance.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.pipeline import Indexer
from captionary.indexer.refresh import Refresher
from captionary.schemas.arrays import Rgb, Vectors
from captionary.schemas.jobs import Job
from captionary.schemas.pairs import ImageCaption, PairItem
from captionary.schemas.regions import Region
from captionary.schemas.vectors import unit
from captionary.vision.extraction import RegionExtractor
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.proposers.superpixels import Superpixels
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.engines.engine import NAMES
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.exact_engine import ExactEngine
from tests.vocabulary.made_up_records import rounded

BINS = 4
DIM = BINS**3
COLOURS = {
    "apple": (225, 20, 25),
    "banana": (235, 230, 20),
    "leaf": (20, 160, 30),
    "lake": (20, 40, 230),
    "brick": (150, 60, 30),
    "snow": (250, 250, 250),
    "kite": (225, 30, 230),
}
"""What things look like."""

KNOWN = frozenset(COLOURS) - {"kite"}
"""Nouns whose text vector has to do with their look."""


def histogram(pixels: Rgb) -> Vectors:
    """The square root of a colour histogram, (n, 3) -> (64,): of unit length."""
    bins = pixels.astype(np.int64) // (256 // BINS)
    numbers = bins @ np.array([BINS * BINS, BINS, 1])
    counts = np.bincount(numbers, minlength=DIM).astype(np.float64)
    rooted: Vectors = np.sqrt(counts / counts.sum()).astype(np.float32)
    return rooted


@dataclass(frozen=True)
class ColourRegions:
    """A region's vector is the histogram of its colours."""

    dim: int = DIM
    fingerprint: str = "colour-64"

    def embed(self, picture: LoadedPicture, regions: Sequence[Region]) -> Vectors:
        return np.stack([histogram(picture.pixels[region.mask]) for region in regions])


@dataclass(frozen=True)
class ColourText:
    """A name's vector is that of the colour of its thing, where it is known."""

    dim: int = DIM
    known: frozenset[str] = KNOWN

    def encode_texts(self, names: Sequence[str], *, templates: str | None = None) -> Vectors:
        del templates
        rows = [self._vector(name) for name in names]
        return np.array(rows, dtype=np.float32).reshape(len(names), DIM)

    def _vector(self, name: str) -> Vectors:
        if name in self.known:
            return histogram(np.array([COLOURS[name]], dtype=np.uint8))
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        raw = np.random.default_rng(seed).normal(size=DIM)
        return unit(raw.astype(np.float32))


def draw(path: Path, things: Sequence[str], *, seed: int) -> Path:
    """Paint things as blocks on grey noise, 96 x 96, as PNG."""
    chance = np.random.default_rng(seed)
    pixels = chance.integers(96, 120, (96, 96, 3))
    corners = [(6, 6), (6, 54), (54, 6), (54, 54)]
    for place, thing in zip(chance.permutation(4)[: len(things)], things, strict=True):
        top, left = corners[place]
        height, width = chance.integers(26, 36, 2)
        block = np.array(COLOURS[thing]) + chance.integers(-4, 5, (height, width, 3))
        pixels[top : top + height, left : left + width] = block
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def pairs(
    folder: Path, scenes: Sequence[Sequence[str]], *, source: str = "", first: int = 0
) -> list[ImageCaption]:
    """A picture for each scene, and the sentence that tells what is in it."""
    folder.mkdir(exist_ok=True)
    return [
        ImageCaption(
            image=str(draw(folder / f"{number}.png", things, seed=number)),
            captions=(f"there is a {' and a '.join(things)}",),
            source=source,
            where=f"made:{number}",
        )
        for number, things in enumerate(scenes, start=first)
    ]


SCENES = [
    ("apple", "lake"),
    ("banana", "leaf"),
    ("apple", "banana"),
    ("leaf", "lake"),
    ("apple", "leaf"),
    ("banana", "lake"),
]

EXTRACTOR = RegionExtractor(Superpixels(working_side=96), ColourRegions())


STORES: dict[Path, ExactEngine] = {}
"""Stores in memory, by path: making one on disk waits for the disk many times."""


def opened(store: Path) -> StoredDictionary:
    """The dictionary of a path, in memory; opened again it is the same."""
    engine = STORES.setdefault(store, ExactEngine())
    return StoredDictionary(engine, fingerprint=EXTRACTOR.fingerprint, dim=DIM)


def opened_folder(store: Path) -> StoredDictionary:
    """The dictionary of a folder on disk."""
    return StoredDictionary(EdgeEngine(store), fingerprint=EXTRACTOR.fingerprint, dim=DIM)


def indexer(dictionary: StoredDictionary, nouns: NounExtractor) -> Indexer:
    """The indexer that the command line builds, with the encoders of this world."""
    refresher = Refresher(dictionary, ColourText())
    return Indexer(dictionary, EXTRACTOR, nouns, refresher, workers=2)


def index(store: Path, items: Iterable[PairItem], nouns: NounExtractor) -> Job:
    """Index pairs in one run."""
    with opened(store) as dictionary:
        return indexer(dictionary, nouns).index(items)


Dump = dict[str, dict[Any, Any]]


def dump(dictionary: StoredDictionary) -> Dump:
    """Every point of the three collections, with its payload and the bytes of both its vectors.

    Numbers have float32 precision, as they are stored; the engine on disk may read the last bit of
    a float64 wrong.
    """
    return {
        name: {
            point.id: (
                rounded(point.payload),
                [v if v is None else v.tobytes() for v in (point.vector, point.look_vector)],
            )
            for point in dictionary.engine.collection(name).scroll(with_vectors=True)
        }
        for name in NAMES
    }


def stored(store: Path) -> Dump:
    """What a closed store holds."""
    with opened(store) as dictionary:
        return dump(dictionary)
