"""Taking other dictionaries in: their pictures, what was said of them, and their corrections.

Corrections are listed first, then pictures are stored, then nouns are made anew, all at once; cut
short, the same import again completes it. What is there already is not brought twice, and where
both speak of the same region the dictionary's own word stands.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

from captionary.indexer.records import EmbeddedPair, PairWithNouns, merge
from captionary.indexer.refresh import Refresher
from captionary.schemas.corrections import Correction, said_of
from captionary.schemas.dictionary import Picture
from captionary.schemas.jobs import Job
from captionary.schemas.pairs import ImageCaption
from captionary.schemas.pointing import FIRST_POINTED, Pointing
from captionary.schemas.regions import PointedTable
from captionary.vocabulary.sharing import Share, SharedPicture
from captionary.vocabulary.stored_dictionary import StoredDictionary

BATCH = 16
"""Pictures stored in one go."""


class Importer:
    """Takes shares of the same models into a dictionary."""

    def __init__(self, dictionary: StoredDictionary, refresher: Refresher) -> None:
        self._dictionary = dictionary
        self._refresher = refresher

    def take_in(
        self,
        shares: Sequence[Share],
        *,
        report: Callable[[Job], None] = lambda _job: None,
        refreshed: Callable[[int, int], None] = lambda _done, _due: None,
    ) -> Job:
        """Join shares with the dictionary, then refresh the nouns that are due.

        The nouns come last, after all shares, so that they are made with all their pictures and
        the sample of these, as if all had been indexed at once.

        Args:
            report:    called with the state of the job after every few pictures.
            refreshed: called with how many nouns are done, of how many.

        Returns:
            The job; its pairs are pictures, its failures those whose id belongs to another one.
        """
        job = Job(state="running")
        if self._dictionary.retired():
            # A removal was cut short; its pictures may come again.
            self._refresher.refresh()
        for share in shares:
            self._take_corrections(share)
            items = share.items()
            while batch := list(islice(items, BATCH)):
                job = self._store(batch, job, share.address)
                report(job)
        return replace(job, nouns=self._refresher.refresh(refreshed), state="done")

    def _store(self, batch: Sequence[SharedPicture], job: Job, address: str) -> Job:
        found = self._dictionary.pictures_named([item.picture.id for item in batch])
        known = {picture.id: picture for picture in found}
        pairs = [_as_pair(item, known.get(item.picture.id), address) for item in batch]
        changes = merge(pairs, known.get)
        self._dictionary.add(list(changes.new.values()), changes.pointed)
        self._dictionary.amend(list(changes.amended.values()), changes.pointed)
        return replace(
            job,
            pairs=job.pairs + len(batch),
            added=job.added + len(batch) - changes.known - len(changes.conflicts),
            known=job.known + changes.known,
            failures=(*job.failures, *changes.conflicts),
        )

    def _take_corrections(self, share: Share) -> None:
        """List the corrections that are missing behind the own ones, under new numbers."""
        own = self._dictionary.corrections.all()
        of_pictures = {item.image_id for item in share.corrections if item.is_pointing}
        digests = share.digests(of_pictures)
        known = {item.id: item for item in self._dictionary.pictures_named(sorted(of_pictures))}

        def is_missing(item: Correction) -> bool:
            if not item.is_pointing:
                said = (item.kind, item.noun, item.other)
                return said not in {(mine.kind, mine.noun, mine.other) for mine in own}
            if item.image_id not in digests or any(mine.same_region(item) for mine in own):
                return False
            mine = known.get(item.image_id)
            return mine is None or (
                mine.sha256 == digests[item.image_id] and _is_open(mine, item.index, item.noun)
            )

        new = [item for item in share.corrections if is_missing(item)]
        if new:
            first = self._dictionary.corrections.next_number()
            # What was said in one go there is taken back in one go here.
            at = {number: n for n, number in enumerate(dict.fromkeys(i.number for i in new))}
            numbered = [replace(item, number=first + at[item.number]) for item in new]
            changed = {
                name
                for item in numbered
                if not item.is_pointing and item.kind != "alias"
                for name in item.names
            }
            self._dictionary.corrections.replace([*own, *numbered], changed)


def _as_pair(item: SharedPicture, known: Picture | None, address: str) -> EmbeddedPair:
    """A shared picture as indexing would bring it, without what is known of it already."""
    picture = item.picture
    pair = ImageCaption(
        image=picture.image,
        captions=picture.captions,
        id=picture.id,
        source=picture.source,
        tags=picture.tags,
        where=address,
    )
    pointings, pointed = picture.pointings, item.pointed
    if known is not None:
        pointings = tuple(p for p in pointings if _is_open(known, p.index, p.noun))
        pointed = _new_regions(pointed, pointings, known)
    record = replace(picture, captions=(), nouns=(), pointings=())
    return EmbeddedPair(
        PairWithNouns(pair, picture.nouns),
        record,
        item.table,
        pointings=pointings,
        pointed=pointed,
    )


def _is_open(known: Picture, index: int, noun: str) -> bool:
    """Whether nothing was said yet of a region, which the picture has or may be given."""
    return said_of(known, index, noun) == "nothing" and (
        index < known.regions or index >= FIRST_POINTED
    )


def _new_regions(
    pointed: PointedTable | None, pointings: Sequence[Pointing], known: Picture
) -> PointedTable | None:
    """The regions that pointings bring; those that are stored keep what they are tagged with."""
    wanted = {item.index for item in pointings} - set(known.pointed_indices)
    rows = [row for row, i in enumerate(pointed.indices if pointed else ()) if i in wanted]
    if pointed is None or not rows:
        return None
    return PointedTable(tuple(pointed.indices[row] for row in rows), pointed.table.rows(rows))
