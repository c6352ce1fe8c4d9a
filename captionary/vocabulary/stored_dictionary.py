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
from captionary.schemas.errors import CaptionaryError, MissingRegions
from captionary.schemas.regions import RegionTable
from captionary.vocabulary.counts import read_entries, read_stats
from captionary.vocabulary.engines.engine import Engine, VectorName, Where
from captionary.vocabulary.generations import (
    check_one_generation,
    read_generations,
    read_prototypes,
)
from captionary.vocabulary.pictures import draw_sample, read_pictures, read_sorted
from captionary.vocabulary.point_ids import picture_point_id
from captionary.vocabulary.points import (
    PENDING,
    VISIBLE,
    WITHOUT_THUMBNAIL,
    due_nouns,
    picture_from,
    picture_point,
    prototype_point,
    region_points,
)
from captionary.vocabulary.regions import read_tables, region_ids, set_tags
from captionary.vocabulary.store_meta import Meta

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
        """Of the pictures whose captions have a noun, those first in the order of samples.

        They come without their thumbnails, which `pictures_named` reads of the few to be shown.
        """
        where = Where(any_of={"noun": [noun]}, none_of=VISIBLE.none_of)
        found = self._pictures.first(where, order_by="rank", limit=limit, fields=WITHOUT_THUMBNAIL)
        return [picture_from(point.payload) for point in found]

    def pending(self) -> dict[str, frozenset[str]]:
        """Pictures added, amended or retired since their nouns were last refreshed.

        Returns:
            The nouns of each, by id, with those that an amendment took from it.
        """
        found = self._pictures.scroll(PENDING, fields=["image_id", "noun", "former"])
        return {point.payload["image_id"]: due_nouns(point.payload) for point in found}

    def retired(self) -> list[str]:
        """Ids of pictures that are retired but not settled: a removal was cut short."""
        found = self._pictures.scroll(Where(any_of={"state": ["gone"]}), fields=["image_id"])
        return [point.payload["image_id"] for point in found]

    def add(self, items: Sequence[tuple[Picture, RegionTable]]) -> None:
        """Store pictures with all their regions; their records are pending. Safe on return.

        The records come last: regions without a record, left by a kill, count for nothing and are
        replaced when the picture is added again. Pictures stored already as given are skipped.
        """
        due = [(picture, table) for picture, table in items if self.picture(picture.id) != picture]
        if not due:
            return
        points = [
            point
            for picture, table in due
            for point in region_points(picture, table, fingerprint=self.fingerprint)
        ]
        # A kill, or a former cut of the picture, may have left regions that no record counts.
        self._regions.delete(Where(any_of={"image_id": [picture.id for picture, _ in due]}))
        self._regions.upsert(points)
        self._regions.flush()
        self._pictures.upsert([picture_point(picture, state="new") for picture, _ in due])
        self._pictures.flush()

    def amend(self, pictures: Sequence[Picture]) -> None:
        """Replace the records of known pictures of the same regions; they are pending again.

        Raises:
            CaptionaryError: a picture is unknown, or was cut into another number of regions.
        """
        for picture in pictures:
            before = self.picture(picture.id)
            if before is None or before.regions != picture.regions:
                raise CaptionaryError(f"picture {picture.id!r} cannot be amended; add it instead")
            if (before.source, before.tags) != (picture.source, picture.tags):
                part = {"source": picture.source, "tags": list(picture.tags)}
                ids = region_ids(picture, fingerprint=self.fingerprint)
                self._regions.set_payload(dict.fromkeys(ids, part))
        if pictures:
            self._regions.flush()
            ids = [picture_point_id(picture.id) for picture in pictures]
            known = self._pictures.retrieve(ids, fields=["noun", "former"])
            # A noun that an amendment takes from a picture is due as well, also after a kill.
            due = {point.id: due_nouns(point.payload) for point in known}
            self._pictures.upsert(
                [
                    picture_point(item, state="new", due=due[name])
                    for name, item in zip(ids, pictures, strict=True)
                ]
            )
            self._pictures.flush()

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
        ids = [picture_point_id(image_id) for image_id in image_ids]
        found = self._pictures.retrieve(ids, fields=["image_id", "state"])
        gone = [point for point in found if point.payload["state"] == "gone"]
        self._regions.delete(Where(any_of={"image_id": [p.payload["image_id"] for p in gone]}))
        # What the states below vouch for must be safe before they are.
        self._regions.flush()
        self._prototypes.flush()
        new = [point.id for point in found if point.payload["state"] == "new"]
        self._pictures.set_payload({name: {"state": "settled", "former": []} for name in new})
        self._pictures.delete([point.id for point in gone])
        self._pictures.flush()

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

    # Prototypes

    def prototypes(self, nouns: Sequence[str]) -> list[Prototype]:
        """The prototypes of nouns, of one generation each, sorted by noun and number.

        A noun that is just being replaced has its old ones or its new ones.
        """
        return read_prototypes(self.engine, nouns)

    def generations(self) -> dict[str, str]:
        """The generation of every noun that has prototypes; "" where a change was cut short."""
        return read_generations(self.engine)

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

    # Counts

    def entries(self) -> list[NounEntry]:
        """A line for every noun of captions or prototypes, sorted."""
        return read_entries(self.engine)

    def stats(self) -> DictionaryStats:
        """Counts of everything."""
        return read_stats(self.engine, revision=self.revision, fingerprint=self.fingerprint)

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
