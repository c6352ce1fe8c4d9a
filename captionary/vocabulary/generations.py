"""Reading the prototypes of nouns while a writer, maybe in another process, replaces them.

The new generation of a noun is written before the old one is deleted, but a read is not atomic: it
may find a part of each, or, if it began before the new one was there and ended after the old one
was gone, neither. Each prototype says how many its generation has, so a reader takes a generation
that it found completely, and reads nouns again of which it found none.
"""

from collections.abc import Collection as AnyCollection
from collections.abc import Iterable, Sequence

from captionary.schemas.dictionary import Prototype
from captionary.schemas.errors import CaptionaryError
from captionary.vocabulary.engines.engine import EVERYTHING, Engine, Payload, Point, Where
from captionary.vocabulary.records.points import prototype_from

READS = 20
"""Times that nouns are read again whose prototypes a writer may just be replacing."""


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


def read_generations(engine: Engine, nouns: Iterable[str] | None = None) -> dict[str, str]:
    """The generation of those nouns that have prototypes; "" where a change was cut short."""
    found: dict[str, str] = {}
    where = EVERYTHING if nouns is None else Where(any_of={"noun": sorted(nouns)})
    for point in engine.collection("prototypes").scroll(where, fields=["noun", "generation"]):
        noun, generation = str(point.payload["noun"]), str(point.payload["generation"])
        found[noun] = generation if found.get(noun, generation) == generation else ""
    return found


def check_one_generation(noun: str, prototypes: Sequence[Prototype]) -> None:
    """Raise CaptionaryError unless all prototypes are of this noun and of one generation."""
    if {prototype.noun for prototype in prototypes} - {noun}:
        raise CaptionaryError(f"prototypes of another noun were given for {noun!r}")
    if len({prototype.generation for prototype in prototypes}) > 1:
        raise CaptionaryError(f"prototypes of several generations were given for {noun!r}")


def _read_whole(engine: Engine, nouns: AnyCollection[str]) -> tuple[list[Point], list[str]]:
    """The points of nouns, and the nouns of which no generation was found completely."""
    by_noun: dict[str, list[Point]] = {noun: [] for noun in nouns}
    where = Where(any_of={"noun": list(by_noun)})
    # One scroll for all nouns: a request for each would take a server many round trips.
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
    whole = [name for name, own in generations.items() if len(own) >= own[0].payload["of"]]
    return generations[max(whole)] if whole else []


def _revision(meta: Payload | None) -> int | None:
    return None if meta is None else int(meta["revision"])
