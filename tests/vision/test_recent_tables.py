"""A picture that comes again is cut again, but not embedded again; another one is."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from captionary.schemas.arrays import Vectors
from captionary.schemas.regions import Region
from captionary.vision.extraction import RegionExtractor
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.proposers.superpixels import Superpixels
from captionary.vision.recent_tables import MOST


@dataclass
class Counting:
    """An embedder that counts its pictures."""

    dim: int = 2
    fingerprint: str = "counting"
    seen: list[float] = field(default_factory=list)

    def embed(self, picture: LoadedPicture, regions: Sequence[Region]) -> Vectors:
        self.seen.append(float(picture.pixels.mean()))
        return np.tile(np.array([1, 0], np.float32), (len(regions), 1))


def noise(seed: int) -> LoadedPicture:
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 48, 3), np.uint8)
    return LoadedPicture(pixels, f"{seed}")


def test_a_picture_that_comes_again_is_not_embedded_again() -> None:
    embedder = Counting()
    extractor = RegionExtractor(Superpixels(working_side=48), embedder)
    first = extractor.extract(noise(0))
    again = extractor.extract(replace(noise(0), name="another name"))
    assert len(embedder.seen) == 1
    assert again.table is first.table
    assert [region.box_xyxy for region in again.regions] == [r.box_xyxy for r in first.regions]
    for seed in range(1, MOST + 1):
        extractor.extract(noise(seed))
    extractor.extract(noise(MOST))
    assert len(embedder.seen) == MOST + 1
    extractor.extract(noise(0))  # it was the one that was not asked for longest
    assert len(embedder.seen) == MOST + 2
    # Another extractor, as one without looks, has its own.
    replace(extractor).extract(noise(0))
    assert len(embedder.seen) == MOST + 3
