"""What the dictionary has, noun by noun. It is counted once a revision: that reads all of it."""

from threading import Lock
from typing import Any

from schemas.bodies import NounBody
from schemas.dictionary import NounEntry, Prototype, VocabularyStats
from segmenter.outputs import exemplar_json
from vocabulary.retrieval import RecentlyUsed
from vocabulary.vocabulary import Vocabulary


class Listing:
    """The nouns of a dictionary, and how much there is of everything."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._entries: RecentlyUsed[tuple[NounEntry, ...]] = RecentlyUsed(1)
        self._stats: RecentlyUsed[VocabularyStats] = RecentlyUsed(1)
        self._counting = Lock()

    def stats(self) -> VocabularyStats:
        """Counts of everything."""
        with self._counting:  # whoever asks meanwhile waits for the one who counts
            return self._stats.get(self._vocabulary.revision, self._vocabulary.stats)

    def entries(self) -> tuple[NounEntry, ...]:
        """All nouns, those of most pictures first."""
        with self._counting:
            return self._entries.get(self._vocabulary.revision, self._counted)

    def _counted(self) -> tuple[NounEntry, ...]:
        found = self._vocabulary.entries()
        return tuple(sorted(found, key=lambda entry: (-entry.pictures, entry.noun)))

    def find(self, part: str) -> list[NounEntry]:
        """The nouns that a text is part of: first those that start with it."""
        wanted = " ".join(part.casefold().split())
        found = [entry for entry in self.entries() if wanted in entry.noun.casefold()]
        return sorted(found, key=lambda entry: not entry.noun.casefold().startswith(wanted))

    def entry(self, noun: str) -> NounEntry | None:
        """What is known of one noun."""
        return next((entry for entry in self.entries() if entry.noun == noun), None)

    def detail(self, entry: NounEntry) -> dict[str, Any]:
        """A noun with its prototypes, as `schemas.bodies.NounDetailBody`."""
        revision = self._vocabulary.revision
        looks = [_look_json(item) for item in self._vocabulary.prototypes([entry.noun])]
        return {**noun_body(entry).model_dump(), "looks": looks, "revision": revision}


def noun_body(entry: NounEntry) -> NounBody:
    """A line of the listing."""
    return NounBody(
        noun=entry.noun,
        pictures=entry.pictures,
        regions=entry.regions,
        prototypes=entry.prototypes,
    )


def _look_json(prototype: Prototype) -> dict[str, Any]:
    return {
        "number": prototype.number,
        "size": prototype.size,
        "spread": prototype.spread,
        "exemplars": [exemplar_json(exemplar) for exemplar in prototype.exemplars],
    }
