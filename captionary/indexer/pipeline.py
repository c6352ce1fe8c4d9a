"""The indexer's work: a stream of captioned pictures becomes stored regions, then nouns.

Pictures are cut and embedded by a few threads and stored in order, a batch at a time; memory does
not grow with the source. What is stored already is skipped, so a run that was killed is run again.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.refresh import Refresher
from captionary.schemas.dictionary import Picture
from captionary.schemas.errors import CaptionaryError, UnreadablePicture
from captionary.schemas.jobs import Job
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.schemas.regions import RegionTable
from captionary.vision.extraction import RegionExtractor
from captionary.vision.pictures.loading import (
    MAX_BYTES,
    MAX_PIXELS,
    decode_picture,
    picture_bytes,
    thumbnail,
)
from captionary.vocabulary.engines.engine import check_vectors
from captionary.vocabulary.stored_dictionary import StoredDictionary

BATCH = 16
"""Pictures stored in one go."""

AHEAD = 2
"""Pictures that wait for each thread."""

ID_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Named:
    """A pair with the nouns of each of its captions."""

    pair: ImageCaption
    nouns: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Read:
    """A pair whose picture was read.

    picture: its record, or for a new one a record without captions.
    table:   its regions; None where they are stored already.
    """

    named: Named
    picture: Picture
    table: RegionTable | None


class Indexer:
    """Adds captioned pictures to a dictionary.

    workers: threads that cut and embed; each uses one core.
    max_pixels, max_bytes: of a picture.
    """

    def __init__(
        self,
        dictionary: StoredDictionary,
        extractor: RegionExtractor,
        nouns: NounExtractor,
        refresher: Refresher,
        *,
        workers: int,
        max_pixels: int = MAX_PIXELS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._dictionary = dictionary
        self._extractor = extractor
        self._nouns = nouns
        self._refresher = refresher
        self._workers = workers
        self._max_pixels = max_pixels
        self._max_bytes = max_bytes

    @property
    def refresher(self) -> Refresher:
        """What makes the nouns of its dictionary anew; it remembers what it has read."""
        return self._refresher

    def index(
        self,
        pairs: Iterable[ImageCaption | PairFailure],
        *,
        report: Callable[[Job], None] = lambda _job: None,
        refreshed: Callable[[int, int], None] = lambda _done, _due: None,
    ) -> Job:
        """Index a stream of pairs, then refresh the nouns that are due.

        Args:
            pairs:     what a reader yields; failures pass through into the job.
            report:    told the state of the job after every pair.
            refreshed: told how many nouns are done, of how many.
        """
        if self._dictionary.retired():
            # A removal was cut short. Its pictures may come again, and would hide what is left.
            self._refresher.refresh()
        job = Job(state="running")
        batch: list[Read | PairFailure] = []
        for outcome in self._outcomes(pairs):
            batch.append(outcome)
            if len(batch) == BATCH:
                job, batch = self._store(batch, job), []
            report(replace(job, pairs=job.pairs + len(batch)))
        job = self._store(batch, job)
        return replace(job, nouns=self._refresher.refresh(refreshed), state="done")

    def _outcomes(
        self, pairs: Iterable[ImageCaption | PairFailure]
    ) -> Iterator[Read | PairFailure]:
        """Yield what becomes of each pair, in order, with a bounded number under way."""
        waiting: deque[Future[Read | PairFailure]] = deque()
        with ThreadPoolExecutor(self._workers, thread_name_prefix="embed") as pool:
            for item in self._named(pairs):
                waiting.append(pool.submit(self._outcome, item))
                if len(waiting) > self._workers * AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _named(self, pairs: Iterable[ImageCaption | PairFailure]) -> Iterator[Named | PairFailure]:
        """Find the nouns first: a pair that names nothing need not be looked at."""
        source = (_cleaned(pair) for pair in pairs)
        while chunk := list(islice(source, BATCH)):
            usable = (item for item in chunk if isinstance(item, ImageCaption))
            found = self._nouns.nouns(caption for item in usable for caption in item.captions)
            for item in chunk:
                if isinstance(item, PairFailure):
                    yield item
                elif any(nouns := tuple(islice(found, len(item.captions)))):
                    yield Named(item, nouns)
                else:
                    yield _failure(item, "its captions name nothing that can be seen")

    def _outcome(self, item: Named | PairFailure) -> Read | PairFailure:
        if isinstance(item, PairFailure):
            return item
        try:
            return self._read(item, picture_bytes(item.pair.image, max_bytes=self._max_bytes))
        except UnreadablePicture as error:
            return _failure(item.pair, str(error).replace(item.pair.image, item.pair.called))

    def _read(self, named: Named, data: bytes) -> Read | PairFailure:
        pair = named.pair
        sha256 = hashlib.sha256(data).hexdigest()
        image_id = pair.id or sha256[:ID_DIGITS]
        known = self._dictionary.picture(image_id)
        if known is not None:
            return Read(named, known, None) if known.sha256 == sha256 else _taken(pair, image_id)
        loaded = decode_picture(data, name=pair.called, max_pixels=self._max_pixels)
        table = self._extractor.extract(loaded).table
        try:
            check_vectors(table.vectors, dim=self._dictionary.dim)
        except CaptionaryError as error:  # left to the store, it would pass for a fault of that
            return _failure(pair, str(error))
        picture = Picture(
            id=image_id,
            image=pair.called,
            sha256=sha256,
            size_hw=loaded.size_hw,
            captions=(),
            nouns=(),
            regions=len(table),
            source=pair.source,
            tags=pair.tags,
            thumbnail=thumbnail(loaded.pixels),
        )
        return Read(named, picture, table)

    def _store(self, batch: Sequence[Read | PairFailure], job: Job) -> Job:
        """Store what a batch brings, and count it."""
        reads = [item for item in batch if isinstance(item, Read)]
        failures = [item for item in batch if isinstance(item, PairFailure)]
        new: dict[str, tuple[Picture, RegionTable]] = {}
        amended: dict[str, Picture] = {}
        known = 0
        for read in reads:
            name = read.picture.id
            before = new[name][0] if name in new else amended.get(name)
            before = before or self._dictionary.picture(name) or read.picture
            after = _with_captions(before, read.named)
            if before.sha256 != read.picture.sha256:
                failures.append(_taken(read.named.pair, name))
            elif after == before:
                known += 1
            elif read.table is not None and not before.captions:
                new[name] = (after, read.table)
            elif name in new:
                new[name] = (after, new[name][1])
            else:
                amended[name] = after
        self._dictionary.add(list(new.values()))
        self._dictionary.amend(list(amended.values()))
        return replace(
            job,
            pairs=job.pairs + len(batch),
            added=job.added + len(reads) - known - (len(failures) - (len(batch) - len(reads))),
            known=job.known + known,
            failures=(*job.failures, *failures),
        )


def _cleaned(pair: ImageCaption | PairFailure) -> ImageCaption | PairFailure:
    """A pair with its captions stripped, none blank and none twice."""
    if isinstance(pair, PairFailure):
        return pair
    captions = tuple(dict.fromkeys(text.strip() for text in pair.captions if text.strip()))
    if not captions:
        return _failure(pair, "it has no caption; give at least one sentence")
    return replace(pair, captions=captions)


def _with_captions(picture: Picture, named: Named) -> Picture:
    """The picture with the captions and tags that it does not have yet."""
    captions = zip(named.pair.captions, named.nouns, strict=True)
    new = [(caption, nouns) for caption, nouns in captions if caption not in picture.captions]
    return replace(
        picture,
        captions=(*picture.captions, *(caption for caption, _ in new)),
        nouns=(*picture.nouns, *(nouns for _, nouns in new)),
        tags=tuple(dict.fromkeys((*picture.tags, *named.pair.tags))),
    )


def _taken(pair: ImageCaption, image_id: str) -> PairFailure:
    return _failure(
        pair,
        f"the id {image_id!r} belongs to another picture; remove that one first with "
        f"'captionary vocabulary remove --image {image_id}' or DELETE /v1/images/{image_id}",
    )


def _failure(pair: ImageCaption, reason: str) -> PairFailure:
    return PairFailure(where=pair.where, image=pair.called, reason=reason)
