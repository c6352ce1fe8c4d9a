"""The indexing pipeline: a stream of captioned pictures becomes stored regions, then nouns.

Pictures are cut and embedded by a few threads and stored in order, a batch at a time; memory does
not grow with the source. What is stored already is skipped, so a run that was killed is run again.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

from captionary.indexer.nouns import NounExtractor, doubts_about, why_nothing_named
from captionary.indexer.records import (
    EmbeddedPair,
    PairWithNouns,
    failure,
    id_conflict,
    merge,
    new_record,
)
from captionary.indexer.refresh import Refresher
from captionary.schemas.errors import CaptionaryError, UnreadablePicture, readable
from captionary.schemas.jobs import Job
from captionary.schemas.notes import Note, merge_notes
from captionary.schemas.pairs import ImageCaption, PairFailure, PairItem
from captionary.schemas.pointing import PointedArea, Pointing
from captionary.schemas.regions import Region
from captionary.vision.extraction import RegionExtractor
from captionary.vision.hardware import one_torch_thread
from captionary.vision.pictures.loading import (
    MAX_BYTES,
    MAX_PIXELS,
    LoadedPicture,
    decode_picture,
    read_picture_bytes,
)
from captionary.vocabulary.engines.engine import check_vectors
from captionary.vocabulary.stored_dictionary import StoredDictionary

BATCH = 16
"""Pictures stored in one go."""

QUEUED_PER_WORKER = 2
"""Pictures that wait for each thread."""

ID_DIGITS = 32
"""Hexadecimal digits of a picture's SHA-256 that are its id, where it has none of its own."""


class Indexer:
    """Adds captioned pictures to a dictionary.

    workers: threads that cut and embed; each uses one core.
    max_pixels, max_bytes: of a picture; None: as of pictures anywhere.
    bands:   of TIFF files, as `load_picture`.
    """

    def __init__(
        self,
        dictionary: StoredDictionary,
        extractor: RegionExtractor,
        nouns: NounExtractor,
        refresher: Refresher,
        *,
        workers: int,
        max_pixels: int | None = None,
        max_bytes: int | None = None,
        bands: Sequence[int] = (),
    ) -> None:
        self._dictionary = dictionary
        self._extractor = extractor
        self._nouns = nouns
        self._refresher = refresher
        self._workers = workers
        self._max_pixels = max_pixels or MAX_PIXELS
        self._max_bytes = max_bytes or MAX_BYTES
        self._bands = bands

    @property
    def refresher(self) -> Refresher:
        """The refresher of its dictionary; what it has read stays cached."""
        return self._refresher

    def index(
        self,
        pairs: Iterable[PairItem],
        *,
        replace_captions: bool = False,
        report: Callable[[Job], None] = lambda _job: None,
        refreshed: Callable[[int, int], None] = lambda _done, _due: None,
    ) -> Job:
        """Index a stream of pairs, then refresh the nouns that are due.

        Args:
            pairs:     what a reader yields; failures and notes pass through into the job.
            replace_captions: the captions of a picture take the place of those that are stored.
            report:    called with the state of the job after every pair.
            refreshed: called with how many nouns are done, of how many.
        """
        job = Job(state="running")
        notes: list[Note] = []
        rows: Counter[str] = Counter()
        replaced = set[int]() if replace_captions else None
        batch: list[EmbeddedPair | PairFailure] = []
        # Each worker has a core to itself; threads within a forward pass would only compete.
        with one_torch_thread():
            if self._dictionary.retired():
                # A removal was cut short. Its pictures may come again, and would hide what is left.
                self._refresher.refresh()
            own = _count_rows(_set_notes_aside(pairs, notes), rows)
            for result in self._process_all(own, notes):
                batch.append(result)
                if isinstance(result, EmbeddedPair):
                    notes[:] = merge_notes((*notes, *result.notes))
                if len(batch) == BATCH:
                    job, batch = self._store(batch, job, replaced), []
                report(replace(job, pairs=job.pairs + len(batch)))
            job = self._store(batch, job, replaced)
            job = replace(job, notes=merge_notes(notes), rows=rows.total())
            return replace(job, nouns=self._refresher.refresh(refreshed), state="done")

    def embed(self, pair: ImageCaption) -> EmbeddedPair | PairFailure:
        """Embed one pair, to be kept by others; nothing is stored."""
        notes: list[Note] = []
        with one_torch_thread():
            (item,) = self._extract_nouns([pair], notes)
            return self._process(item)

    def _process_all(
        self, pairs: Iterable[ImageCaption | PairFailure], notes: list[Note]
    ) -> Iterator[EmbeddedPair | PairFailure]:
        """Cut and embed in threads; yields in order of the pairs, a bounded number ahead."""
        waiting: deque[Future[EmbeddedPair | PairFailure]] = deque()
        with ThreadPoolExecutor(self._workers, thread_name_prefix="embed") as pool:
            # The bound keeps a slow store from filling the memory with embedded pictures.
            for item in self._extract_nouns(pairs, notes):
                waiting.append(pool.submit(self._process, item))
                if len(waiting) > self._workers * QUEUED_PER_WORKER:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _extract_nouns(
        self, pairs: Iterable[ImageCaption | PairFailure], notes: list[Note]
    ) -> Iterator[PairWithNouns | PairFailure]:
        """Take the nouns out of captions first: a pair that names nothing is not embedded."""
        source = (_clean_captions(pair, number) for number, pair in enumerate(pairs, start=1))
        while chunk := list(islice(source, BATCH)):
            usable = (item for item in chunk if isinstance(item, ImageCaption))
            # One call for the chunk: the tagger is several times faster on many captions.
            found = self._nouns.nouns(caption for item in usable for caption in item.captions)
            for item in chunk:
                if isinstance(item, PairFailure):
                    yield item
                    continue
                notes[:] = merge_notes((*notes, *doubts_about(item, self._nouns.language)))
                if any(nouns := tuple(islice(found, len(item.captions)))) or item.areas:
                    named = tuple(map(self._name, item.areas))
                    yield PairWithNouns(item, nouns, named)
                else:
                    yield failure(item, why_nothing_named(item, self._nouns.language))

    def _name(self, area: PointedArea) -> str:
        """The noun of an area, as the dictionary calls it; as written, where it is blocked."""
        noun = self._nouns.name(area.noun)
        return self._dictionary.corrections.rules.name(noun) or noun

    def _process(self, item: PairWithNouns | PairFailure) -> EmbeddedPair | PairFailure:
        if isinstance(item, PairFailure):
            return item
        pair = item.pair
        try:
            name = pair.name or (pair.where if isinstance(pair.image, bytes) else "")
            data = read_picture_bytes(pair.image, max_bytes=self._max_bytes, name=name)
            return self._embed(item, data)
        except UnreadablePicture as error:
            return failure(pair, str(error))

    def _embed(self, source: PairWithNouns, data: bytes) -> EmbeddedPair | PairFailure:
        pair = source.pair
        sha256 = hashlib.sha256(data).hexdigest()
        image_id = pair.id or sha256[:ID_DIGITS]
        # Before decoding: most of a run that is done again is known already.
        known = self._dictionary.picture(image_id)
        if known is not None and known.sha256 != sha256:
            return id_conflict(pair, image_id)
        if known is not None and not pair.areas:
            return EmbeddedPair(source, known, None)
        name = pair.picture_name or pair.where
        loaded = decode_picture(data, name=name, max_pixels=self._max_pixels, bands=self._bands)
        if known is not None:
            return self._with_areas(EmbeddedPair(source, known, None), loaded, None)
        cut = self._extractor.extract(loaded)
        table = cut.table
        try:
            check_vectors(table.vectors, dim=self._dictionary.dim)
            if table.look_vectors is not None:
                look_dim = self._dictionary.look_dim
                check_vectors(table.look_vectors, dim=look_dim, using="looks")
        except CaptionaryError as error:  # left to the store, it would pass for a fault of that
            return failure(pair, str(error))
        picture = new_record(source.pair, image_id, sha256, loaded, regions=len(table))
        return self._with_areas(
            EmbeddedPair(source, picture, table, loaded.notes), loaded, cut.regions
        )

    def _with_areas(
        self, item: EmbeddedPair, loaded: LoadedPicture, regions: Sequence[Region] | None
    ) -> EmbeddedPair | PairFailure:
        """A pair with the regions of its areas; those that cannot be used are left out, and told.

        regions: that the picture was cut into, where it has just been.
        """
        pair = item.source.pair
        if not pair.areas:
            return item
        areas = [area.area for area in pair.areas]
        indices, pointed = self._extractor.embed_areas(
            loaded, areas, regions=regions, known=item.picture.pointed_indices
        )
        told = zip(indices, item.source.area_nouns, pair.areas, strict=True)
        found = tuple(Pointing(i, n, area.refused) for i, n, area in told if isinstance(i, int))
        wrong = [index for index in indices if isinstance(index, str)]
        if not found and not any(item.source.nouns):
            return failure(pair, wrong[0])
        notes = (Note(f"regions left out: {reason}", pair.where or pair.name) for reason in wrong)
        return replace(item, notes=(*item.notes, *notes), pointings=found, pointed=pointed)

    def _store(
        self, batch: Sequence[EmbeddedPair | PairFailure], job: Job, replaced: set[int] | None
    ) -> Job:
        """Store what a batch brings, and count it."""
        embedded = [item for item in batch if isinstance(item, EmbeddedPair)]
        failures = [item for item in batch if isinstance(item, PairFailure)]
        changes = merge(embedded, self._dictionary.picture, replaced)
        self._dictionary.add(list(changes.new.values()), changes.pointed)
        self._dictionary.amend(list(changes.amended.values()), changes.pointed)
        return replace(
            job,
            pairs=job.pairs + len(batch),
            added=job.added + len(embedded) - changes.known - len(changes.conflicts),
            known=job.known + changes.known,
            failures=(*job.failures, *failures, *changes.conflicts),
        )


def _set_notes_aside(
    items: Iterable[PairItem], notes: list[Note]
) -> Iterator[ImageCaption | PairFailure]:
    for item in items:
        if isinstance(item, Note):
            notes[:] = merge_notes((*notes, item))
        else:
            yield item


def _count_rows(
    items: Iterable[ImageCaption | PairFailure], rows: Counter[str]
) -> Iterator[ImageCaption | PairFailure]:
    for item in items:
        rows["read"] += item.rows if isinstance(item, ImageCaption) else 1
        yield item


def _clean_captions(pair: ImageCaption | PairFailure, number: int) -> ImageCaption | PairFailure:
    """A pair with its captions stripped, none blank and none twice; `number` places a bare one."""
    if isinstance(pair, PairFailure):
        return pair
    if isinstance(pair.image, bytes) and not (pair.where or pair.name):
        # Nothing else would tell in a report which of many pictures in memory it was.
        pair = replace(pair, where=f"picture {number} of the pairs")
    captions = tuple(dict.fromkeys(text.strip() for text in pair.captions if text.strip()))
    if not captions and not pair.areas:
        return failure(pair, "it has no caption; give at least one sentence")
    nouns = (area.noun for area in pair.areas)
    texts = (*captions, pair.id or "", pair.source, *pair.tags, *nouns)
    if wrong := next((text for text in texts if text != readable(text)), ""):
        return failure(pair, f"'{wrong}' is not Unicode; write it in UTF-8")
    return replace(pair, captions=captions)
