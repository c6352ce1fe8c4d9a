"""The dictionary over any engine: in which order it is written, so that a crash loses nothing.

A picture is added in one step and its nouns are refreshed in a later one; until then its record is
pending. Everything that a killed process may have left half done is invisible to readers, or is
done again because its pictures are still pending.

One process writes; others may read the same store at the same time, where the engine lets them
(see store_meta.py and generations.py).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from captionary.schemas.dictionary import (
    DictionaryStats,
    NounEntry,
    Picture,
    Prototype,
    TaggedRegion,
)
from captionary.schemas.errors import MissingRegions
from captionary.schemas.regions import PointedTable, RegionTable
from captionary.vocabulary.corrections import Corrections
from captionary.vocabulary.counts import read_entries, read_stats
from captionary.vocabulary.engines.engine import EVERYTHING, Engine, Value, VectorName, Where
from captionary.vocabulary.generations import (
    check_one_generation,
    read_generations,
    read_prototypes,
)
from captionary.vocabulary.records.picture_writing import (
    add_pictures,
    amend_pictures,
    settle_pictures,
)
from captionary.vocabulary.records.pictures import draw_sample, read_pictures, read_sorted
from captionary.vocabulary.records.point_ids import picture_point_id
from captionary.vocabulary.records.points import (
    PENDING,
    VISIBLE,
    WITHOUT_THUMBNAIL,
    due_nouns,
    picture_from,
    prototype_point,
)
from captionary.vocabulary.records.regions import (
    read_rows,
    read_tables,
    read_tagged,
    set_tags,
)
from captionary.vocabulary.store_meta import MADE_WITH, WEIGHTS, Meta

SPEAKING = Where(none_of={"kind": ["refused"]})

SAMPLE = 256
"""Pictures that stand for all, at most."""


class StoredDictionary:
    """The dictionary of one store; one writer at a time.

    fingerprint: of the models that cut and embed regions; None accepts what the store has, and
                 opening then writes nothing.
    dim:         D, the size of its vectors; None accepts what the store has.
    look_dim:    L, the size of its look vectors, 0: none; None accepts what the store has, and a
                 new one has none.
    models:      how these models are called, for a new store to remember.

    Raises:
        WrongInput: there is no dictionary yet, and fingerprint or dim is None; or an unfinished
            copy of one.
        FingerprintMismatch: the store was built with other models.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        fingerprint: str | None,
        dim: int | None,
        look_dim: int | None = None,
        models: Mapping[str, str] | None = None,
    ) -> None:
        self.engine = engine
        try:
            # It refuses stores of other models, so nothing else is touched before.
            self._meta = Meta(engine, fingerprint, dim, look_dim, models or {})
        except BaseException:
            engine.close()
            raise
        self._pictures = engine.collection("pictures")
        self._regions = engine.collection("regions")
        self._prototypes = engine.collection("prototypes")
        self.corrections = Corrections(engine, self._meta)

    @property
    def fingerprint(self) -> str:
        """What the regions were cut and embedded with."""
        return str(self._meta["fingerprint"])

    @property
    def models(self) -> Mapping[str, str]:
        """How the models were called that it was built with; empty where they were not named."""
        return self._meta.models

    @property
    def dim(self) -> int:
        """D, the size of its vectors."""
        return int(self._meta["dim"])

    @property
    def look_dim(self) -> int:
        """L, the size of its look vectors; 0: it has none."""
        return self._meta.look_dim

    @property
    def alike(self) -> VectorName:
        """Which of the vectors regions are compared with each other by."""
        return "looks" if self.look_dim else "clip"

    @property
    def revision(self) -> int:
        """Rises whenever prototypes change; the same number never means two states.

        Odd while they are being changed.
        """
        return self._meta.revision

    def catch_up(self) -> bool:
        """Take over what another process has written; whether revision or sample have changed.

        Raises:
            FingerprintMismatch: a dictionary of other models has taken its place.
            CaptionaryError: it is gone, or was made anew.
        """
        return self._meta.catch_up()

    # Pictures

    def picture(self, image_id: str) -> Picture | None:
        """A picture by id; None where it is unknown or retired."""
        return next(iter(self.pictures_named([image_id])), None)

    def pictures_named(self, image_ids: Sequence[str]) -> list[Picture]:
        """Pictures by id, in the order of the ids; unknown and retired ones are left out."""
        return read_pictures(self._pictures, image_ids)

    def as_called(self, image_ids: Sequence[str]) -> list[Picture]:
        """As `pictures_named`, with nouns as they are called after all corrections."""
        return [self.corrections.rules.apply(item) for item in self.pictures_named(image_ids)]

    def pictures(
        self, *, noun: str | Sequence[str] | None = None, source: str | None = None
    ) -> Iterator[Picture]:
        """The pictures whose captions have one of some nouns, of one source, sorted by id."""
        fields = {"noun": noun, "source": source}
        any_of = {
            field: [value] if isinstance(value, str) else list(value)
            for field, value in fields.items()
            if value is not None
        }
        return read_sorted(self._pictures, Where(any_of=any_of, none_of=VISIBLE.none_of))

    def has_source(self, source: str) -> bool:
        """Whether there are pictures of a source."""
        where = Where(any_of={"source": [source]}, none_of=VISIBLE.none_of)
        return self._pictures.count(where) > 0

    def first_pictures(self, noun: str, *, limit: int) -> list[Picture]:
        """Of the pictures that have a noun, those first in the order of samples.

        They come with their nouns as they are called after all corrections, and without their
        thumbnails, which `pictures_named` reads of the few to be shown.
        """
        return self._first({"noun": [noun]}, limit)

    def pointed_pictures(self, noun: str, *, limit: int) -> list[Picture]:
        """Of the pictures in which someone pointed at a noun, or at what it is not, as before."""
        return self._first({"pointed": [noun]}, limit) if self.corrections.ever else []

    def pointed_nouns(self) -> frozenset[str]:
        """The nouns that someone pointed at, or at what they are not."""
        if not self.corrections.ever:
            return frozenset()
        return frozenset(self._pictures.facet("pointed", VISIBLE))

    def _first(self, any_of: Mapping[str, Sequence[Value]], limit: int) -> list[Picture]:
        where = Where(any_of=any_of, none_of=VISIBLE.none_of)
        found = self._pictures.first(where, order_by="rank", limit=limit, fields=WITHOUT_THUMBNAIL)
        return [self.corrections.rules.apply(picture_from(point.payload)) for point in found]

    def pending(self) -> dict[str, frozenset[str]]:
        """Pictures added, amended or retired since their nouns were last refreshed.

        Returns:
            The nouns of each, by id, with those that an amendment took from it.
        """
        found = self._pictures.scroll(PENDING, fields=["image_id", "noun", "former", "pointed"])
        return {point.payload["image_id"]: due_nouns(point.payload) for point in found}

    def retired(self) -> list[str]:
        """Ids of pictures that are retired but not settled: a removal was cut short."""
        found = self._pictures.scroll(Where(any_of={"state": ["gone"]}), fields=["image_id"])
        return [point.payload["image_id"] for point in found]

    def add(
        self,
        items: Sequence[tuple[Picture, RegionTable]],
        pointed: Mapping[str, PointedTable] = {},
    ) -> None:
        """Store pictures with all their regions; their records are pending. Safe on return.

        The records come last: regions without a record, left by a kill, count for nothing and are
        replaced when the picture is added again. Pictures stored already as given are skipped.

        Args:
            pointed: by the ids of pictures the regions that were made of areas pointed at.
        """
        due = [(picture, table) for picture, table in items if self.picture(picture.id) != picture]
        if due:
            if any(picture.pointings for picture, _ in due):
                self.corrections.prepare()
            add_pictures(
                self._pictures,
                self._regions,
                due,
                pointed,
                fingerprint=self.fingerprint,
                rules=self.corrections.rules,
            )

    def amend(self, pictures: Sequence[Picture], pointed: Mapping[str, PointedTable] = {}) -> None:
        """Replace the records of known pictures of the same regions; they are pending again.

        Args:
            pointed: by the ids of pictures the regions of areas pointed at that are new.

        Raises:
            CaptionaryError: a picture is unknown, or was cut into another number of regions.
        """
        if pictures:
            if any(picture.pointings for picture in pictures):
                self.corrections.prepare()
            amend_pictures(
                self._pictures,
                self._regions,
                pictures,
                pointed,
                fingerprint=self.fingerprint,
                rules=self.corrections.rules,
            )

    def retire(self, image_ids: Iterable[str]) -> None:
        """Hide pictures at once; `settle` deletes them. Unknown ids are ignored."""
        ids = [picture_point_id(image_id) for image_id in image_ids]
        self._pictures.set_payload({name: {"state": "gone"} for name in ids})
        self._pictures.flush()

    def settle(self, image_ids: Iterable[str]) -> None:
        """Promise that the nouns of these pictures are refreshed, and delete the retired ones."""
        if self.revision % 2:
            # The end of a change was not written, and done again it may have changed nothing.
            self._meta.write(revision=self.revision + 1)
        # What the states vouch for must be safe before they are; regions see to themselves.
        self._prototypes.flush()
        deleted = settle_pictures(
            self._pictures, self._regions, list(image_ids), fingerprint=self.fingerprint
        )
        self._pictures.flush()
        self.corrections.forget_pictures(deleted)

    # Regions

    def region_tables(self, pictures: Sequence[Picture]) -> list[RegionTable]:
        """The regions of pictures, in the order of the pictures.

        Raises:
            MissingRegions: the store lacks some of them.
        """
        return read_tables(
            self._regions,
            pictures,
            fingerprint=self.fingerprint,
            dim=self.dim,
            look_dim=self.look_dim,
        )

    def rows_of(self, regions: Sequence[tuple[str, int]]) -> RegionTable:
        """Single regions, by picture and index, as one table in their order.

        Raises:
            MissingRegions: the store lacks some of them.
        """
        return read_rows(
            self._regions,
            regions,
            fingerprint=self.fingerprint,
            dim=self.dim,
            look_dim=self.look_dim,
        )

    def whole_tables(self, pictures: Sequence[Picture]) -> tuple[list[Picture], list[RegionTable]]:
        """Pictures with their regions, without those of which some are lost."""
        whole = list(pictures)
        while True:
            try:
                return whole, self.region_tables(whole)
            except MissingRegions as error:
                whole = [picture for picture in whole if picture.id not in error.images]

    def tag(self, noun: str, tagged: Sequence[TaggedRegion]) -> None:
        """Make exactly these regions carry the noun; it leaves all others. `settle` makes it safe.

        Similarities are kept to float32 precision.

        Raises:
            MissingRegions: the store lacks one of them.
            CaptionaryError: a region speaks of another noun.
        """
        set_tags(self._regions, noun, tagged, fingerprint=self.fingerprint)

    def tagged(self, noun: str) -> list[TaggedRegion]:
        """The regions that carry a noun."""
        return read_tagged(self._regions, noun)

    # Prototypes

    def prototypes(self, nouns: Sequence[str]) -> list[Prototype]:
        """The prototypes of nouns, of one generation each, sorted by noun and number.

        A noun that is just being replaced has its old ones or its new ones.
        """
        return read_prototypes(self.engine, nouns)

    @property
    def speaking(self) -> Where:
        """The prototypes that speak for their noun, not against it."""
        return SPEAKING if self.corrections.ever else EVERYTHING

    def generations(self, nouns: Iterable[str] | None = None) -> dict[str, str]:
        """The generation of those nouns that have prototypes; "" where a change was cut short.

        nouns: None: all.
        """
        return read_generations(self.engine, nouns)

    @property
    def made_with(self) -> str:
        """What all nouns were made with, but those of pending pictures; "": this is not known."""
        return str(self._meta.get(MADE_WITH, ""))

    def keep_made_with(self, made_with: str) -> None:
        """Promise it of all nouns, once they are safe; "" before any of them is made otherwise."""
        if made_with != self.made_with:
            self._meta.write(**{MADE_WITH: made_with})

    def replace_prototypes(self, noun: str, prototypes: Sequence[Prototype]) -> None:
        """Write a noun's new generation, then delete what else it had; `settle` makes it safe.

        The same generation again changes nothing. A reader never finds the noun empty.

        Raises:
            CaptionaryError: a prototype is of another noun, or of another generation than the rest.
        """
        check_one_generation(noun, prototypes)
        of = len(prototypes)
        points = {p.id: p for p in (prototype_point(item, of=of) for item in prototypes)}
        where = Where(any_of={"noun": [noun]})
        stored = {point.id for point in self._prototypes.scroll(where, fields=[])}
        if stored == points.keys():
            return
        changing = (self.revision + 1) | 1  # the next odd number, also where a change failed
        self._meta.write(revision=changing)
        # New before old, so that a reader always finds one generation whole.
        self._prototypes.upsert([points[name] for name in points.keys() - stored])
        self._prototypes.delete(sorted(stored - points.keys()))
        self._meta.write(revision=changing + 1)

    # The sample

    def sample(self) -> list[str]:
        """Ids of the pictures that stand for all of them; empty before `draw_sample`."""
        drawn = self._meta["sample"]
        return [] if drawn is None else list(drawn["ids"])

    def draw_sample(self, limit: int = SAMPLE) -> list[str]:
        """The sample, drawn anew where none was, one has left, or the dictionary has doubled."""
        if (drawn := draw_sample(self._pictures, self._meta["sample"], limit=limit)) is not None:
            self._meta.write(sample=drawn)
        return self.sample()

    # Weights

    @property
    def weights(self) -> dict[str, float]:
        """How much each witness counts in this dictionary; empty where nothing was chosen."""
        return dict(self._meta.get(WEIGHTS, {}))

    def keep_weights(self, weights: Mapping[str, float]) -> None:
        """Keep how much each witness counts; empty: as in any dictionary."""
        self._meta.write(**{WEIGHTS: dict(weights)})

    # Counts

    def entries(self) -> list[NounEntry]:
        """A line for every noun of captions or prototypes, sorted."""
        return read_entries(self.engine, self.speaking)

    def stats(self) -> DictionaryStats:
        """Counts of everything."""
        return read_stats(
            self.engine,
            self.speaking,
            revision=self.revision,
            fingerprint=self.fingerprint,
            weights=self.weights,
        )

    def close(self) -> None:
        """Make everything safe and let go of the store."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
