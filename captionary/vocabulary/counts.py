"""Counts of a dictionary; retired pictures, and regions without a picture, do not count."""

from collections import Counter
from collections.abc import Mapping

from captionary.schemas.dictionary import DictionaryStats, NounEntry
from captionary.schemas.errors import CaptionaryError
from captionary.vocabulary.engines.engine import Collection, Engine, Where
from captionary.vocabulary.records.points import VISIBLE


def read_entries(engine: Engine, speaking: Where) -> list[NounEntry]:
    """A line for every noun of captions or prototypes, sorted.

    speaking: the prototypes that speak for their noun.
    """
    pictures = engine.collection("pictures").facet("noun", VISIBLE)
    regions = engine.collection("regions").facet("noun")
    prototypes = engine.collection("prototypes").facet("noun", speaking)
    return [
        NounEntry(noun, pictures.get(noun, 0), regions.get(noun, 0), prototypes.get(noun, 0))
        for noun in sorted(pictures.keys() | prototypes.keys())
    ]


def read_stats(
    engine: Engine,
    speaking: Where,
    *,
    revision: int,
    fingerprint: str,
    weights: Mapping[str, float],
) -> DictionaryStats:
    """Counts of everything; `tagged` are the regions that carry at least one noun."""
    # Summed over records, as regions whose picture was cut short do not count.
    sizes = _sizes(engine.collection("pictures"))
    regions = engine.collection("regions")
    return DictionaryStats(
        images=sizes.total(),
        regions=sum(size * pictures for size, pictures in sizes.items()),
        tagged=regions.count(Where(any_of={"noun": list(regions.facet("noun"))})),
        nouns=len(read_entries(engine, speaking)),
        prototypes=engine.collection("prototypes").count(speaking),
        revision=revision,
        fingerprint=fingerprint,
        weights=weights,
    )


def _sizes(pictures: Collection) -> Counter[int]:
    """How many pictures were cut into how many regions."""
    try:
        found = pictures.facet("regions", VISIBLE)
    except CaptionaryError:  # a store that an earlier version made
        records = pictures.scroll(VISIBLE, fields=["regions"])
        return Counter(int(point.payload["regions"]) for point in records)
    return Counter({int(size): count for size, count in found.items()})
