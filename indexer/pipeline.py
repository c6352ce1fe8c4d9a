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

from indexer.nouns import NounExtractor
from indexer.refresh import Refresher
from schemas.dictionary import Picture
from schemas.errors import UnreadablePicture
from schemas.jobs import Job
from schemas.pairs import ImageCaption, PairFailure
from schemas.regions import RegionTable
from vision.extraction import RegionExtractor
from vision.pictures import decode_picture, picture_bytes, thumbnail
from vocabulary.vocabulary import Vocabulary

BATCH = 16
"""Pictures stored in one go."""

AHEAD = 2
"""Pictures that wait for each thread."""

ID_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Read:
    """A pair whose picture was read.

    picture: its record, or for a new one a record without captions.
    table:   its regions; None where they are stored already.
    """

    pair: ImageCaption
    picture: Picture
    table: RegionTable | None


class Indexer:
    """Adds captioned pictures to a dictionary.

    workers: threads that cut and embed; each uses one core.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        extractor: RegionExtractor,
        nouns: NounExtractor,
        refresher: Refresher,
        *,
        workers: int,
    ) -> None:
        self._vocabulary = vocabulary
        self._extractor = extractor
        self._nouns = nouns
        self._refresher = refresher
        self._workers = workers

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
        if any(self._vocabulary.picture(item.id) is None for item in self._vocabulary.pending()):
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
            for pair in pairs:
                waiting.append(pool.submit(self._outcome, pair))
                if len(waiting) > self._workers * AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _outcome(self, pair: ImageCaption | PairFailure) -> Read | PairFailure:
        if isinstance(pair, PairFailure):
            return pair
        captions = tuple(dict.fromkeys(text.strip() for text in pair.captions if text.strip()))
        if not captions:
            return _failure(pair, "it has no caption; give at least one sentence")
        try:
            return self._read(replace(pair, captions=captions), picture_bytes(pair.image))
        except UnreadablePicture as error:
            return _failure(pair, str(error))

    def _read(self, pair: ImageCaption, data: bytes) -> Read | PairFailure:
        sha256 = hashlib.sha256(data).hexdigest()
        image_id = pair.id or sha256[:ID_DIGITS]
        known = self._vocabulary.picture(image_id)
        if known is not None:
            return Read(pair, known, None) if known.sha256 == sha256 else _taken(pair, image_id)
        loaded = decode_picture(data, name=pair.image)
        _, table = self._extractor.extract(loaded)
        picture = Picture(
            id=image_id,
            image=pair.image,
            sha256=sha256,
            size_hw=loaded.size_hw,
            captions=(),
            nouns=(),
            regions=len(table),
            source=pair.source,
            tags=pair.tags,
            thumbnail=thumbnail(loaded.pixels),
        )
        return Read(pair, picture, table)

    def _store(self, batch: Sequence[Read | PairFailure], job: Job) -> Job:
        """Store what a batch brings, and count it."""
        reads = [item for item in batch if isinstance(item, Read)]
        failures = [item for item in batch if isinstance(item, PairFailure)]
        new: dict[str, tuple[Picture, RegionTable]] = {}
        amended: dict[str, Picture] = {}
        known = 0
        for read, nouns in zip(reads, self._nouns_of(reads), strict=True):
            name = read.picture.id
            before = new[name][0] if name in new else amended.get(name)
            before = before or self._vocabulary.picture(name) or read.picture
            after = _with_captions(before, read.pair.captions, nouns)
            # Neither of these may depend on what came before, or a second run would differ.
            if not any(nouns):
                failures.append(_failure(read.pair, "its captions name nothing that can be seen"))
            elif before.sha256 != read.picture.sha256:
                failures.append(_taken(read.pair, name))
            elif after == before:
                known += 1
            elif read.table is not None and not before.captions:
                new[name] = (after, read.table)
            elif name in new:
                new[name] = (after, new[name][1])
            else:
                amended[name] = after
        self._vocabulary.add(list(new.values()))
        self._vocabulary.amend(list(amended.values()))
        return replace(
            job,
            pairs=job.pairs + len(batch),
            added=job.added + len(reads) - known - (len(failures) - (len(batch) - len(reads))),
            known=job.known + known,
            failures=(*job.failures, *failures),
        )

    def _nouns_of(self, reads: Sequence[Read]) -> Iterator[list[tuple[str, ...]]]:
        """The nouns of each caption of each pair."""
        found = self._nouns.nouns(caption for read in reads for caption in read.pair.captions)
        for read in reads:
            yield list(islice(found, len(read.pair.captions)))


def _with_captions(
    picture: Picture, captions: Sequence[str], nouns: Sequence[tuple[str, ...]]
) -> Picture:
    """The picture with the captions that it does not have yet."""
    new = [place for place, caption in enumerate(captions) if caption not in picture.captions]
    return replace(
        picture,
        captions=(*picture.captions, *(captions[place] for place in new)),
        nouns=(*picture.nouns, *(nouns[place] for place in new)),
    )


def _taken(pair: ImageCaption, image_id: str) -> PairFailure:
    return _failure(
        pair,
        f"the id {image_id!r} belongs to another picture; remove that one first with "
        f"'captionary vocabulary remove --image {image_id}'",
    )


def _failure(pair: ImageCaption, reason: str) -> PairFailure:
    return PairFailure(where=pair.where, image=pair.image, reason=reason)
