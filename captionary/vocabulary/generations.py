"""Reading the prototypes of nouns while a writer, maybe in another process, replaces them.

The new generation of a noun is written before the old one is deleted, but a read is not atomic: it
may find a part of each, or, if it began before the new one was there and ended after the old one
was gone, neither. Each prototype says how many its generation has, so a reader takes a generation
that it found completely, and looks again for nouns of which it found none.
"""

from collections.abc import Collection as AnyCollection
from collections.abc import Sequence

from captionary.schemas.dictionary import Prototype
from captionary.vocabulary.engines.engine import Engine, Payload, Point, Where
from captionary.vocabulary.points import prototype_from

READS = 20
"""Times that is looked again for what a writer may just be replacing."""


def read_prototypes(engine: Engine, nouns: Sequence[str]) -> list[Prototype]:
    """The prototypes of nouns, of one generation each, sorted by noun and number."""
    found, missing = _read_whole(engine, nouns)
    for _ in range(READS):
        if not missing:
            break
        # Two reads within one revision cannot both be unlucky: it has one change of one noun.
        revision = _revision(engine.read_meta())
        for _ in range(2):
            more, missing = _read_whole(engine, missing)
            found += more
        if _revision(engine.read_meta()) == revision:
            break  # so these have none
    return sorted(map(prototype_from, found), key=lambda item: (item.noun, item.number))


def _read_whole(engine: Engine, nouns: AnyCollection[str]) -> tuple[list[Point], list[str]]:
    """The points of nouns, and the nouns of which no generation was found completely."""
    by_noun: dict[str, list[Point]] = {noun: [] for noun in nouns}
    where = Where(any_of={"noun": list(by_noun)})
    for point in engine.collection("prototypes").scroll(where, with_vectors=True):
        by_noun[point.payload["noun"]].append(point)
    whole = {noun: whole_generation(points) for noun, points in by_noun.items()}
    found = [point for points in whole.values() for point in points]
    return found, [noun for noun, points in whole.items() if not points]


def whole_generation(points: Sequence[Point]) -> list[Point]:
    """Of the points of one noun, those of one generation that is there completely; maybe none.

    Of two complete ones either will do, and the same is taken each time.
    """
    generations: dict[str, list[Point]] = {}
    for point in points:
        generations.setdefault(point.payload["generation"], []).append(point)
    # Stores of the first release do not say how many belong together.
    whole = [name for name, own in generations.items() if len(own) >= own[0].payload.get("of", 1)]
    return generations[max(whole)] if whole else []


def _revision(meta: Payload | None) -> int | None:
    return None if meta is None else int(meta["revision"])
