"""Speed of segmenting the pictures of a dataset folder into its classes.

    python -m benchmarks.segmenting DATASET --encoder E [--store S] [--count 50]

With `--fusion text`, and with `all` where a store is named: seconds of the first picture, for
which the class list is read, the median of the others, and the share of each part in those.
"""

import argparse
import resource
import time
from itertools import islice
from pathlib import Path
from statistics import median

from benchmarks.clock import Clock, print_shares
from benchmarks.timed_models import timed_models
from captionary.build import ModelNames
from captionary.schemas.options import Fusion
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.masks.datasets import DatasetFolder
from captionary.vision.pictures.loading import load_picture
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary


def measure(
    segmenter: Segmenter, data: DatasetFolder, clock: Clock, *, fusion: Fusion, count: int
) -> None:
    times = []
    for pair in islice(data, count):
        picture = load_picture(pair.image)
        start = time.perf_counter()
        with clock.part("scores, painting, evidence"):
            segmenter.segment(picture, data.classes, Settings(fusion))
        times.append(time.perf_counter() - start)
        if len(times) == 1:
            clock.seconds.clear()
    first, *others = times
    print(f"fusion {fusion}, {len(data.classes)} classes: first picture {first:.3f} s, ", end="")
    print(f"then {median(others):.3f} s (median of {len(others)}); for each picture:")
    print_shares(clock, count=len(others))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("dataset", type=Path, help="what 'captionary evaluate' takes as DATASET")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--proposer")
    parser.add_argument("--embed")
    parser.add_argument("--looks")
    parser.add_argument("--store", help="a dictionary made with the same models")
    parser.add_argument("--count", type=int, default=50, help="pictures; at least 2")
    options = parser.parse_args()
    data, clock = DatasetFolder(options.dataset), Clock()
    models = ModelNames(options.encoder, options.proposer, options.embed, options.looks)
    encoder, extractor = timed_models(models, clock)
    text = clock.watch("encoder of words", encoder)
    count = max(options.count, 2)
    measure(Segmenter(extractor, text), data, clock, fusion="text", count=count)
    if options.store is not None:
        engine = clock.watch_engine("store", EdgeEngine(options.store))
        with StoredDictionary(
            engine, fingerprint=extractor.fingerprint, dim=extractor.dim
        ) as dictionary:
            clock.seconds.clear()
            segmenter = Segmenter(extractor, text, Retriever(dictionary))
            measure(segmenter, data, clock, fusion="all", count=count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:,.0f} MB")


if __name__ == "__main__":
    main()
