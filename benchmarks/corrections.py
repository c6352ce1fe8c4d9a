"""What corrections are worth that the report asks for, and what it finds of captions gone wrong.

    python -m benchmarks.corrections [--encoder mini] [--seeds 3] [--captioned 240] [--held-out 60]
        [--wrong 0.3] [--corrections 10]

Scenes with true masks are captioned and indexed; other scenes are labelled. Then, each on a copy:
some corrections that the report suggests (an oracle points at the noun's true region, or says that
it is not there) against as many at random; and a share of the captions dealt to other pictures,
with what `prune` brings back of what that costs. Printed are mIoU in percent, over the seeds, and
how many of the wrong nouns, and of the right ones, `prune` names.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.pointing import Asked, by_fusion, copy_of, cut_all, evaluate
from captionary import Dictionary
from captionary.build import Parts
from captionary.demo.scenes import Sizes, choose_cast
from captionary.indexer.readers import read_pairs
from captionary.pictograms.dataset_folder import write_world
from captionary.pictograms.world import Split, World
from captionary.schemas.classes import ClassName
from captionary.schemas.dictionary import Picture
from captionary.schemas.pairs import ImageCaption, PairItem
from captionary.schemas.pointing import MaskArea
from captionary.segmenter.quality import unsupported
from captionary.vision.hardware import one_torch_thread
from captionary.vision.masks.datasets import DatasetFolder
from captionary.vision.pictures.label_maps import read_label_values

Wish = tuple[str, str]
"""A noun and the id of a picture in which it is to be pointed at."""


def dealt_wrongly(pairs: Sequence[PairItem], share: float, seed: int) -> Iterator[PairItem]:
    """Pairs of which a share, drawn at random, have the captions of another one of them."""
    chance = np.random.default_rng(seed)
    wrong = chance.permutation(len(pairs))[: round(share * len(pairs))]
    captions_of = dict(zip(wrong.tolist(), np.roll(wrong, 1).tolist(), strict=True))
    for number, pair in enumerate(pairs):
        other = pairs[captions_of.get(number, number)]
        assert isinstance(pair, ImageCaption)
        assert isinstance(other, ImageCaption)
        yield replace(pair, captions=other.captions)


def wished_by_report(dictionary: Dictionary, count: int) -> list[Wish]:
    """What the report asks to be pointed at first: a picture of each noun."""
    suggested = dictionary.report().next
    return [(item.noun, item.point[0].image_id) for item in suggested if item.point][:count]


def wished_at_random(dictionary: Dictionary, count: int, seed: int) -> list[Wish]:
    """Nouns of captions with their pictures, drawn at random."""
    told = [(noun, item.id) for item in dictionary.pictures() for noun in sorted(item.all_nouns)]
    return [told[row] for row in np.random.default_rng(seed).permutation(len(told))[:count]]


def obey(dictionary: Dictionary, wishes: Sequence[Wish], world: Path, nouns: Sequence[str]) -> None:
    """Point at what is wished, where it is; say that it is not there, where it is not."""
    pictures: Mapping[str, Picture] = {item.id: item for item in dictionary.pictures()}
    for noun, image_id in wishes:
        image = Path(pictures[image_id].image)
        mask, value = world / "masks" / image.name, _class_of(noun, nouns)
        size_hw = pictures[image_id].size_hw
        if value is not None and (read_label_values(mask, size_hw=size_hw).values == value).any():
            area = MaskArea(str(mask), (value,))
            dictionary.teach(noun, image, area=area, id=image_id)
        else:
            dictionary.refuse(noun, image_id)


def share_found(dictionary: Dictionary, wrong: Set[str]) -> tuple[float, float]:
    """Of the nouns asked, how many `prune` names in pictures of wrong captions, and in others, %.

    wrong: the files of pictures that have other ones' captions.
    """
    examination = dictionary.examine()
    named = set(unsupported(examination))
    found: dict[bool, list[bool]] = {True: [], False: []}
    for one in examination.asked:
        for noun, said in zip(examination.nouns, one.named, strict=True):
            if said:
                found[one.picture.image in wrong].append((noun, one.picture.id) in named)
    return 100 * float(np.mean(found[True])), 100 * float(np.mean(found[False]))


def _class_of(noun: str, nouns: Sequence[str]) -> int | None:
    return nouns.index(noun) if noun in nouns else None


def measure(seed: int, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The mIoU of every way, of one seed."""
    sizes = Sizes(seen=60, novel=24, captioned=options.captioned, held_out=options.held_out)
    cast = choose_cast(seed, sizes)
    taught, asked = folder / "taught", folder / "asked"
    drawn: tuple[tuple[Path, Split, int], ...] = (
        (taught, "train", options.captioned),
        (asked, "held-out", options.held_out),
    )
    for path, split, scenes in drawn:
        world = World((*cast.seen, *cast.novel), seed=seed, split=split, captions=3)
        for _ in write_world(world, path, scenes=scenes, nouns="all"):
            pass
    data = DatasetFolder(asked)
    nouns = [item.name for item in data.classes]
    pairs = list(read_pairs(str(taught / "captions.jsonl")))
    dealt = list(dealt_wrongly(pairs, options.wrong, seed))
    wrong = {
        str(other.image)
        for pair, other in zip(pairs, dealt, strict=True)
        if isinstance(pair, ImageCaption)
        and isinstance(other, ImageCaption)
        and pair.captions != other.captions
    }
    store, shuffled = str(folder / "store"), str(folder / "shuffled")
    for place, given in ((store, pairs), (shuffled, dealt)):
        with Dictionary(place, encoder=options.encoder) as dictionary:
            dictionary.index(given)
    with closing(Parts(store)) as parts:
        shown = list(cut_all(parts, data))
    found = {
        "captions": miou(store, shown, data.classes),
        "captions dealt wrongly": miou(shuffled, shown, data.classes),
    }
    for name, base in (("", store), (", dealt wrongly", shuffled)):
        for way in ("report", "random", "prune"):
            copied = copy_of(base, folder / f"{way}{name}")
            with Dictionary(copied) as dictionary:
                if way == "prune":
                    if base == shuffled:
                        right, false = share_found(dictionary, wrong)
                        found |= {"wrong nouns named, %": right, "right ones named, %": false}
                    dictionary.prune()
                elif way == "report":
                    wishes = wished_by_report(dictionary, options.corrections)
                    obey(dictionary, wishes, taught, nouns)
                else:
                    wishes = wished_at_random(dictionary, options.corrections, seed)
                    obey(dictionary, wishes, taught, nouns)
            found[f"{way}{name}"] = miou(copied, shown, data.classes)
    return found


def miou(store: str, shown: Sequence[Asked], classes: Sequence[ClassName]) -> float:
    """mIoU of the held-out scenes, in percent."""
    with closing(Parts(store)) as parts:
        return 100 * float(
            evaluate(by_fusion(parts.segmenter, classes, "all"), shown, classes).miou
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--seeds", type=int, default=3)
    for name, value in (("captioned", 240), ("held-out", 60), ("corrections", 10)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--wrong", type=float, default=0.3)
    options = parser.parse_args()
    runs = []
    for seed in range(options.seeds):
        with one_torch_thread(), tempfile.TemporaryDirectory() as folder:
            runs.append(measure(seed, options, Path(folder)))
    table = Table("", "mIoU", "each seed", box=None)
    for way in runs[0]:
        values = [run[way] for run in runs]
        cell = f"{statistics.mean(values):.1f} ± {statistics.pstdev(values):.1f}"
        table.add_row(way, cell, " ".join(f"{value:.1f}" for value in values))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
