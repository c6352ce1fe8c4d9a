"""Refreshing nouns: from the stored regions of their pictures to tags and prototypes.

What a noun gets is a function of what is stored: its pictures, and the sample that stands for all
of them. The digest of that is the generation of its prototypes, so work that was cut short is
known by its old generation and done again, and nothing else is.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import TypeAlias

from threadpoolctl import threadpool_limits

from captionary.indexer.candidate_regions import CandidateReader
from captionary.indexer.pointed_regions import Told, allowed, is_pointed_at, read_told
from captionary.indexer.prototypes import make_prototypes
from captionary.indexer.region_choice import REFERENCE_PICTURES, RegionChooser
from captionary.schemas.dictionary import Picture, Prototype, PrototypeKind, TaggedRegion
from captionary.schemas.errors import MissingRegions
from captionary.vision.clip.protocols import TextEncoder
from captionary.vocabulary.candidates import Candidates
from captionary.vocabulary.records.paging import pages
from captionary.vocabulary.stored_dictionary import StoredDictionary

RULES_VERSION = 4
"""Raise it when a change of this package's code changes any tag or prototype."""

MOST_PICTURES = 256
"""Pictures that a noun chooses a region in, at most: bounds the work of a refresh."""

MOST_POINTED = 1000
"""Pictures, at most, of which someone said where a noun is, or is not."""

SAMPLE_DIGITS = 12

TEMPLATES = "7"
"""Sentences that a noun is put in: nouns are many, and only compared within a picture."""

Regions: TypeAlias = tuple[PrototypeKind, Sequence[TaggedRegion], Candidates]
"""Regions that prototypes of one kind are made of."""

BASIS_DIGITS = 16

READ_AT_ONCE = 64
"""Pictures whose regions are read together."""

log = logging.getLogger("captionary")


@dataclass(frozen=True, slots=True)
class MadeNoun:
    """What a noun was made into, to be written."""

    tagged: Sequence[TaggedRegion]
    prototypes: Sequence[Prototype]


class Refresher:
    """Keeps the nouns of a dictionary up to date with its pictures.

    text:    encodes the nouns; must be of the dictionary's own encoder.
    workers: threads that make nouns; each uses one core.
    """

    def __init__(
        self, dictionary: StoredDictionary, text: TextEncoder, *, workers: int = 1
    ) -> None:
        self._dictionary = dictionary
        self._text = text
        self._workers = workers
        self._encoding = Lock()
        self._reader: CandidateReader | None = None

    def refresh(self, report: Callable[[int, int], None] = lambda _done, _due: None) -> int:
        """Refresh every noun that is due, then settle the pending pictures.

        Due are the nouns of pending pictures, and all nouns that were made with another sample.
        A noun of a picture whose regions are lost stays as it is, and its pictures pending.

        Args:
            report: called after each noun with how many are done, of how many.

        Returns:
            How many nouns were made anew.
        """
        self._dictionary.corrections.finish()
        sample = self._dictionary.draw_sample()
        made_with = _digest([str(RULES_VERSION), *sample])[:SAMPLE_DIGITS]
        pending = self._dictionary.pending()
        due = frozenset[str]().union(*pending.values())
        if self._dictionary.made_with == made_with:
            stored = self._dictionary.generations(due)
        else:
            stored = self._dictionary.generations()
            due |= {noun for noun, made in stored.items() if made[:SAMPLE_DIGITS] != made_with}
            self._dictionary.keep_made_with("")
        anew, left = 0, set[str]()
        if due:
            reader = self._read_candidates(sample)
            pointed = self._dictionary.pointed_nouns()
            # Many at once fill the encoder's batches; one noun's words alone do not.
            self._text.encode_texts(sorted(due), templates=TEMPLATES)

            def make(noun: str) -> MadeNoun | None:
                return self._make(
                    noun, reader, made_with, stored.get(noun), pointed=noun in pointed
                )

            # Sorted, so that what a kill leaves undone does not depend on the order of sets.
            for done, (noun, made) in enumerate(self._each(sorted(due), make), start=1):
                try:
                    if (new := made.result()) is not None:
                        # The generation is written with the prototypes, so after the tags that it
                        # vouches for.
                        self._dictionary.tag(noun, new.tagged)
                        self._dictionary.replace_prototypes(noun, new.prototypes)
                        anew += 1
                except MissingRegions as error:
                    log.warning("the noun %r is not made anew: %s", noun, error)
                    left.add(noun)
                report(done, len(due))
        self._dictionary.settle([name for name, nouns in pending.items() if not nouns & left])
        if not left:
            self._dictionary.keep_made_with(made_with)
        return anew

    def _each(
        self, nouns: Sequence[str], make: Callable[[str], MadeNoun | None]
    ) -> Iterator[tuple[str, Future[MadeNoun | None]]]:
        """Make nouns in threads; yields in order, a bounded number ahead."""
        waiting: deque[tuple[str, Future[MadeNoun | None]]] = deque()
        # A sum that several threads share may differ in its last bit, and they would compete.
        alone = partial(threadpool_limits, limits=1)
        with alone(), ThreadPoolExecutor(self._workers, "nouns", initializer=alone) as pool:
            for noun in nouns:
                waiting.append((noun, pool.submit(make, noun)))
                if len(waiting) > 2 * self._workers:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()

    def _read_candidates(self, sample: Sequence[str]) -> CandidateReader:
        """The reader of the last refresh, where it still serves: its caches are full."""
        if self._reader is None:
            self._reader = CandidateReader(self._dictionary, sample)
        else:
            self._reader = self._reader.renewed(sample)
        return self._reader

    def _make(
        self,
        noun: str,
        reader: CandidateReader,
        made_with: str,
        stored: str | None,
        *,
        pointed: bool,
    ) -> MadeNoun | None:
        """Make one noun anew; None where its generation says that nothing would change."""
        pictures = self._dictionary.first_pictures(noun, limit=MOST_PICTURES)
        told = self._dictionary.pointed_pictures(noun, limit=MOST_POINTED) if pointed else []
        known = {picture.id for picture in pictures}
        content = [_content(item, noun) for item in pictures]
        content += [_content(item, noun) for item in told if item.id not in known]
        generation = f"{made_with}-{_digest(content)[:20]}"
        if content and stored == generation:
            return None
        certain = read_told(noun, told, reader, refused=False)
        refused = read_told(noun, told, reader, refused=True)
        unsaid = [picture for picture in pictures if not is_pointed_at(picture, noun)]
        guessed = self._choose(noun, unsaid, certain, refused, reader, made_with)
        chosen = reader.read_regions([(tag.image_id, tag.index) for tag in guessed])
        by_id = {picture.id: picture for picture in (*pictures, *told)}
        prototypes: list[Prototype] = []
        kinds: tuple[Regions, ...] = (
            ("guessed", guessed, chosen),
            ("pointed", certain.tagged(noun), certain.regions),
            ("refused", refused.tagged(noun), refused.regions),
        )
        for kind, tags, regions in kinds:
            prototypes += make_prototypes(
                noun,
                tags,
                by_id,
                regions,
                thumbnails=self._thumbnails,
                generation=generation,
                kind=kind,
                first=len(prototypes),
            )
        return MadeNoun([*guessed, *certain.tagged(noun)], prototypes)

    def _choose(
        self,
        noun: str,
        pictures: Sequence[Picture],
        certain: Told,
        refused: Told,
        reader: CandidateReader,
        made_with: str,
    ) -> list[TaggedRegion]:
        """Let a noun choose its regions in pictures; what it chose on the same basis stays."""
        first = pictures[:REFERENCE_PICTURES]
        shared = [noun, made_with, *reader.lacking(noun), *(_content(item, noun) for item in first)]
        told = zip(certain.pictures, certain.regions.index.tolist(), strict=True)
        shared += [repr((item.id, item.sha256, index)) for item, index in told]
        common = _digest(shared)
        basis = {
            item.id: _digest([common, _content(item, noun)])[:BASIS_DIGITS] for item in pictures
        }
        chosen = {
            tag.image_id: tag
            for tag in self._dictionary.tagged(noun)
            if basis.get(tag.image_id) == tag.basis
        }
        due = [picture for picture in pictures if picture.id not in chosen]
        if due:
            names = sorted({noun}.union(*(picture.all_nouns for picture in due)))
            with self._encoding:
                encoded = self._text.encode_texts(names, templates=TEMPLATES)
            words = dict(zip(names, encoded, strict=True))
            references = (first, reader.read(first))
            chooser = RegionChooser(noun, words, references, reader, certain=certain.regions)
            for page in pages(due, READ_AT_ONCE):
                own = reader.read(page)
                for number, picture in enumerate(page):
                    regions = own.of_rows(own.rows_of(number))
                    free = allowed(regions, picture, refused)
                    if (tag := chooser.choose(picture, regions, free=free)) is not None:
                        chosen[picture.id] = replace(tag, basis=basis[picture.id])
        return [chosen[picture.id] for picture in pictures if picture.id in chosen]

    def _thumbnails(self, image_ids: Sequence[str]) -> dict[str, bytes]:
        """Thumbnails by id: read for the few that are shown, for they are most of a record."""
        found = self._dictionary.pictures_named(image_ids)
        return {picture.id: picture.thumbnail for picture in found}


def _content(picture: Picture, noun: str) -> str:
    """All of a picture's record that a noun's regions depend on."""
    said = repr((picture.id, picture.sha256, picture.captions, picture.nouns, picture.source))
    own = [(item.index, item.refused) for item in picture.pointings if item.noun == noun]
    return f"{said}{own}" if own else said


def _digest(parts: Iterable[str]) -> str:
    """SHA-256 of a sequence of texts, hexadecimal."""
    total = hashlib.sha256()
    for part in parts:
        total.update(f"{len(part)}:{part}".encode())
    return total.hexdigest()
