"""Sentences that class names are put in: how well pictures are labelled, and what it costs.

    python -m benchmarks.templates DATASET --encoder E [--store S] [--part 1/2] [--names 100]

Pictures are cut and embedded once; then they are labelled with the class names in 80, 7 and one
sentence, by text and, where a store is named, by `both`. The time is that of made-up names, which
are encoded in each by turns, in one process, and told as a multiple of the least.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from captionary.build import ModelNames, Parts
from captionary.files.cache import VARIABLE
from captionary.pictograms.nouns import read_nouns
from captionary.schemas.arrays import Vectors
from captionary.schemas.options import Fusion
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.texts import TEMPLATES
from captionary.vision.masks.datasets import DatasetFolder, read_mask
from captionary.vision.pictures.loading import load_picture


@dataclass(frozen=True, slots=True)
class InTemplates:
    """An encoder whose usual templates are others."""

    encoder: ClipEncoder
    templates: str

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return self.encoder.dim

    @property
    def logit_scale(self) -> float:
        """How sharply it compares."""
        return self.encoder.logit_scale

    def encode_texts(self, names: Sequence[str], *, templates: str | None = None) -> Vectors:
        """Encode names, in its own templates unless others are named."""
        return self.encoder.encode_texts(names, templates=templates or self.templates)


def compounds() -> Iterator[str]:
    """Names of two words, such as class lists of thousands have them."""
    nouns = [noun.name for noun in read_nouns()]
    yield from (f"{first} {second}" for first in nouns for second in nouns if first != second)


def seconds_each(encoder: ClipEncoder, count: int, *, rounds: int = 3) -> dict[str, float]:
    """Seconds of the fastest of some rounds to encode so many new names, by templates."""
    names, fastest = compounds(), dict.fromkeys(TEMPLATES, float("inf"))
    for _ in range(rounds):
        for templates in TEMPLATES:
            part = [next(names) for _ in range(count)]
            start = time.perf_counter()
            encoder.encode_texts(part, templates=templates)
            fastest[templates] = min(fastest[templates], time.perf_counter() - start)
    return fastest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--store")
    parser.add_argument("--part")
    parser.add_argument("--names", type=int, default=100)
    options = parser.parse_args()
    os.environ[VARIABLE] = "off"  # what is cached from an earlier run would take no time
    data = DatasetFolder(options.dataset, part=options.part)
    fusions: tuple[Fusion, ...] = ("text",) if options.store is None else ("text", "both")
    with closing(Parts(options.store, ModelNames(options.encoder))) as parts:
        encoder, extractor, retriever = parts.encoder, parts.extractor, parts.segmenter.retriever
        segmenters = {
            name: Segmenter(extractor, InTemplates(encoder, name), retriever) for name in TEMPLATES
        }
        matrices = {
            (name, fusion): ConfusionMatrix([item.name for item in data.classes])
            for name in TEMPLATES
            for fusion in fusions
        }
        for pair in data:
            picture = load_picture(pair.image)
            truth = read_mask(pair.mask, size_hw=picture.size_hw, classes=len(data.classes))
            cut = extractor.extract(picture)
            for (name, fusion), matrix in matrices.items():
                answer = segmenters[name].label(cut, data.classes, Settings(fusion))
                matrix.add(truth, answer.class_map)
        seconds = seconds_each(encoder, options.names)
    print(f"{len(data)} pictures, {len(data.classes)} classes")
    for name in TEMPLATES:
        figures = (
            f"{fusion} mIoU {100 * matrices[name, fusion].miou:5.2f} "
            f"pixels {100 * matrices[name, fusion].pixel_accuracy:5.2f}"
            for fusion in fusions
        )
        times = seconds[name] / min(seconds.values())
        print(f"{name:>5}: {', '.join(figures)}; time x {times:.1f}")


if __name__ == "__main__":
    main()
