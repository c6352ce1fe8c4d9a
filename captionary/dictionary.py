"""The Python interface: a dictionary that is grown, corrected, shared, and segments pictures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from os import PathLike, fspath
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast, overload

from captionary.build import IndexingOptions, ModelNames, Parts
from captionary.correcting import Correcting
from captionary.examining import Examining
from captionary.exchanging import Exchanging
from captionary.schemas.classes import ClassName, to_classes
from captionary.schemas.errors import WrongInput
from captionary.schemas.nouns import NounIndex
from captionary.schemas.options import (
    DEFAULT_FUSION,
    DEFAULT_STORE,
    DEFAULT_THRESHOLD,
    BackgroundMode,
    Fusion,
    parse_bands,
)

if TYPE_CHECKING:
    from captionary.indexer.nouns import Keep
    from captionary.indexer.readers import Pair
    from captionary.schemas.dictionary import DictionaryStats, NounEntry, Picture, Prototype
    from captionary.schemas.jobs import Job
    from captionary.segmenter.kinds.table import KindTableLike
    from captionary.segmenter.result import Result
    from captionary.segmenter.segmenter import Segmenter
    from captionary.vision.pictures.in_memory import PictureLike
    from captionary.vocabulary.retrieval import NearNoun, NearRegion

Classes: TypeAlias = str | Iterable[str | ClassName]
"""Class names as "dog, grass: lawn | meadow", or as a list with one class an item."""


class Dictionary(Correcting, Examining, Exchanging):
    """A visual dictionary, opened; close it, or use it in a `with` statement.

    Models are loaded when they are first needed. One process at a time may have a folder open; a
    dictionary on a server has one writer and any number of readers. Threads may share it.

    Args:
        store:     folder, or http://HOST:PORT/NAME on a Qdrant server; a new one is made by
            `index`. None: no dictionary, so that pictures are segmented by text alone.
        encoder:   MODEL/TAG of open_clip, local-dir:FOLDER, pgseg:FOLDER, vilseg:FOLDER, or the
            name of a bundled model. None, as for the next four: what the store was built with, or
            else the default.
        proposer:  how pictures are cut, as `--proposer`.
        embed:     how regions become vectors, as `--embed`.
        looks:     vision model that tells what looks alike, as `--looks`; "none": CLIP alone.
        precision: auto, float32 or bfloat16.
        device:    auto, cpu, cuda or mps.
        pipeline:  an installed spaCy pipeline, for captions in other languages than English.
        keep:      compounds that are one noun each ("prairie dog"), or a file of them, a line each;
            one that ends in "*" is no kind of its last word.
        workers:   threads that index; None: one a core.
        bands:     of TIFF files and arrays, which to take for red, green and blue, as `--bands`;
            None: as the file says. Index and segment with the same.

    Raises:
        WrongInput: the store cannot be used.
        StoreInUse: another process has the folder open.
        StoreUnreachable: the server does not answer.
    """

    def __init__(
        self,
        store: str | PathLike[str] | None = DEFAULT_STORE,
        *,
        encoder: str | None = None,
        proposer: str | None = None,
        embed: str | None = None,
        looks: str | None = None,
        precision: str | None = None,
        device: str = "auto",
        pipeline: str | None = None,
        keep: "Keep" = (),
        workers: int | None = None,
        bands: str | Sequence[int] | None = None,
    ) -> None:
        self._bands = parse_bands(bands)
        self.store = None if store is None else fspath(store)
        models = ModelNames(encoder, proposer, embed, looks, precision, device)
        indexing = IndexingOptions(pipeline, keep, workers, bands=self._bands)
        self._parts = Parts(self.store, models, indexing)
        self._writing = RLock()  # a store has one writer at a time

    def index(
        self,
        source: "str | PathLike[str] | Iterable[Pair]",
        *,
        images: str | PathLike[str] | None = None,
        source_name: str = "",
        replace: bool = False,
        on_pair: "Callable[[Job], None]" = lambda _job: None,
        on_noun: Callable[[int, int], None] = lambda _done, _due: None,
    ) -> "Job":
        """Add captioned pictures and refresh the nouns of their captions; known ones are skipped.

        Killed, the same call goes on where it was.

        Args:
            source:      a file or folder as `captionary index` takes it, or pairs.
            images:      folder that relative picture names of a file refer to.
            source_name: name of the collection, to filter or remove by, of pairs that name none.
            replace:     the captions take the place of those that the dictionary has of a picture,
                instead of being added to them.
            on_pair:     called with the state of the job after every pair.
            on_noun:     called after every noun with how many are refreshed, and of how many.

        Returns:
            The job: counts, and each pair that could not be indexed with the reason.

        Raises:
            WrongInput: the source or a model cannot be used.
            FingerprintMismatch: the dictionary was built with other models than are named.
        """
        from captionary.indexer.readers import read_pairs, to_pairs

        if isinstance(source, str | PathLike):
            folder = None if images is None else fspath(images)
            pairs = read_pairs(fspath(source), images=folder, source_name=source_name)
        else:
            pairs = to_pairs(source, source_name, bands=self._bands)
        with self._writing:
            return self._parts.indexer.index(
                pairs, replace_captions=replace, report=on_pair, refreshed=on_noun
            )

    def remove(self, *, image: str | None = None, source: str | None = None) -> tuple[int, int]:
        """Remove a picture by its id, or all pictures of a source, as if never indexed.

        Returns:
            How many pictures were removed, and how many nouns were refreshed for that.

        Raises:
            WrongInput: not exactly one is named, or there is no such picture or source.
        """
        if (image is None) == (source is None):
            raise WrongInput("name what to remove: either a picture by its id, or a source")
        stored = self._parts.stored
        with self._writing:
            if image is not None:
                removed = [image] if stored.picture(image) else []
            else:
                removed = [picture.id for picture in stored.pictures(source=source)]
            if not removed and not stored.retired():  # else finish a removal that was cut short
                what = f"picture {image!r}" if image is not None else f"source {source!r}"
                raise WrongInput(
                    f"the dictionary at {self.store} has no {what}; nothing was removed"
                )
            refresher = self._parts.refresher
            stored.retire(removed)
            return len(removed), refresher.refresh()

    @overload
    def segment(  # type: ignore[overload-overlap]  # a path is an iterable of letters, too
        self,
        picture: "PictureLike",
        classes: Classes,
        *,
        fusion: Fusion | None = ...,
        background: BackgroundMode = ...,
        threshold: float = ...,
        refine: bool = ...,
        exact: bool = ...,
        kinds: "KindTableLike" = ...,
        evidence: int = ...,
        on_name: Callable[[int, int], None] = ...,
    ) -> "Result": ...

    @overload
    def segment(
        self,
        picture: "Iterable[PictureLike]",
        classes: Classes,
        *,
        fusion: Fusion | None = ...,
        background: BackgroundMode = ...,
        threshold: float = ...,
        refine: bool = ...,
        exact: bool = ...,
        kinds: "KindTableLike" = ...,
        evidence: int = ...,
        on_name: Callable[[int, int], None] = ...,
    ) -> "Iterator[Result]": ...

    def segment(
        self,
        picture: "PictureLike | Iterable[PictureLike]",
        classes: Classes,
        *,
        fusion: Fusion | None = None,
        background: BackgroundMode = "none",
        threshold: float = DEFAULT_THRESHOLD,
        refine: bool = False,
        exact: bool = False,
        kinds: "KindTableLike" = "",
        evidence: int = 3,
        on_name: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> "Result | Iterator[Result]":
        """Label every pixel of a picture, or of several, with class names.

        Args:
            picture:    a path, the bytes of a file, a PIL image or an array; or several, which are
                segmented one by one as results are asked for, so that memory is flat. After one
                that cannot be read, `next` goes on with the one behind it.
            classes:    the names, with synonyms where they have any.
            fusion:     what scores regions, as `--fusion`; None: "all", or "text" where there is no
                store.
            background: what becomes of pixels that belong to no class.
            threshold:  background below this probability (threshold, auto), in [0, 1].
            refine:     sharper borders, by the picture's colours; slower.
            exact:      a class takes the nouns of the dictionary that it names, and no kinds of it.
            kinds:      your own kinds, before those of the lexicon: {"furniture": ["bench"]}, the
                text of a table ("furniture: bench, sofa"), or the Path of its file.
            evidence:   prototypes named for each region, at most.
            on_name:    called with how many class names are encoded, and of how many.

        Raises:
            UnreadablePicture: a picture cannot be read.
            WrongInput: the classes or an option cannot be used, or the dictionary is empty.
            FingerprintMismatch: the dictionary was built with other models than are named.
        """
        from captionary.segmenter.kinds.table import to_kinds
        from captionary.segmenter.result import Result
        from captionary.segmenter.segmenter import Settings
        from captionary.vision.pictures.in_memory import is_one_picture, to_picture

        named = to_classes(classes)
        fusion = fusion or self._default_fusion
        table = to_kinds(kinds)
        settings = Settings(
            fusion, background, threshold, evidence, refine=refine, exact=exact, kinds=table
        )
        # What it cannot do is said at once, not at the first picture.
        self._segmenter_for(fusion).encode_classes(named, settings, on_name)

        def one(item: "PictureLike", number: int = 0) -> Result:
            loaded, name = to_picture(item, number, bands=self._bands)
            segmenter = self._segmenter_for(fusion)  # of the dictionary as it is by now
            segmentation = segmenter.segment(loaded, named, settings)
            return Result(segmentation, loaded.pixels, name, loaded.notes)

        if is_one_picture(picture):
            return one(picture)
        # Not a generator: that would end at the first picture that cannot be read.
        return map(one, cast("Iterable[PictureLike]", picture), count(1))

    def evaluate(
        self,
        dataset: str | PathLike[str],
        *,
        part: str | None = None,
        fusion: Fusion | None = None,
        background: BackgroundMode = "none",
        threshold: float = DEFAULT_THRESHOLD,
        refine: bool = False,
        exact: bool = False,
        kinds: "KindTableLike" = "",
        on_mask: Callable[[int, int], None] = lambda _done, _total: None,
        on_name: Callable[[int, int], None] = lambda _done, _total: None,
        on_picture: Callable[[int, int], None] = lambda _done, _total: None,
        on_refused: Callable[[str], None] = lambda _reason: None,
    ) -> dict[str, Any]:
        """Measure mean IoU on a folder with images/, masks/ and classes.txt.

        All masks are read first; pictures that cannot be used are left out, and counted.

        Args:
            dataset:    the folder.
            part:       "N/M": the N-th of M equal parts, chosen by file name.
            on_mask:    called after every mask that is read with how many are done, of how many.
            on_name:    called with how many class names are encoded, and of how many.
            on_picture: called after every picture with how many are done, and of how many.
            on_refused: called with the reason for each picture that is left out.
            fusion, background, threshold, refine, exact, kinds: as `segment`.

        Returns:
            Figures in [0, 1] with all that they depend on, as `captionary evaluate --json` writes.

        Raises:
            WrongInput: the dataset cannot be used; or as `segment`.
        """
        from captionary.segmenter.evaluation import evaluate_folder
        from captionary.segmenter.kinds.table import to_kinds
        from captionary.segmenter.segmenter import Settings

        fusion = fusion or self._default_fusion
        table = to_kinds(kinds)
        settings = Settings(fusion, background, threshold, refine=refine, exact=exact, kinds=table)
        return evaluate_folder(
            lambda: self._segmenter_for(fusion),
            Path(dataset),
            settings,
            store=self.store,
            part=part,
            bands=self._bands,
            on_mask=on_mask,
            on_name=on_name,
            on_picture=on_picture,
            on_refused=on_refused,
        )

    @property
    def _default_fusion(self) -> Fusion:
        return "text" if self.store is None else DEFAULT_FUSION

    def _segmenter_for(self, fusion: Fusion) -> "Segmenter":
        if fusion == "text":
            return self._parts.text_segmenter
        if not self._parts.retriever.nouns():
            raise WrongInput(
                f"the dictionary at {self.store} is empty; fill it with 'captionary index'"
            )
        return self._parts.segmenter

    def nouns(self) -> "list[NounEntry]":
        """The nouns with counts, those of most pictures first."""
        entries = self._parts.stored.entries()
        return sorted(entries, key=lambda entry: (-entry.pictures, entry.noun))

    def prototypes(self, noun: str) -> "list[Prototype]":
        """The prototypes of a noun, largest first, with the captioned regions behind them.

        The noun may be in any spelling, singular or plural, here as in `pictures` and `retrieve`.
        """
        stored = self._parts.stored
        return stored.prototypes([noun]) or stored.prototypes(self._stored_nouns(noun))

    def pictures(
        self, *, noun: str | None = None, source: str | None = None
    ) -> "Iterator[Picture]":
        """The indexed pictures, sorted by id: all, those of a noun, those of a source."""
        nouns = None if noun is None else self._stored_nouns(noun)
        return self._parts.stored.pictures(noun=nouns, source=source)

    def _stored_nouns(self, noun: str) -> list[str]:
        """The nouns that a name means, as they are stored; itself where there are none."""
        stored = self._parts.stored
        nouns = (entry.noun for entry in stored.entries())
        found = NounIndex(nouns, stored.corrections.rules.aliases).resolve(noun)
        return list(found) or [noun]

    def retrieve(
        self,
        picture: "PictureLike",
        *,
        box_xyxy: tuple[int, int, int, int] | None = None,
        limit: int = 10,
        noun: str | None = None,
        source: str | None = None,
        tag: str | None = None,
    ) -> "tuple[list[NearNoun], list[NearRegion]]":
        """What the dictionary has that is most similar to a picture, or to a box of it.

        Args:
            box_xyxy: in pixels, half-open; None: the whole picture.
            limit:    nouns, and regions, at most.
            noun, source, tag: only what has them.

        Returns:
            The nouns with the nearest prototypes, and the nearest stored regions, nearest first.
        """
        from captionary.vision.pictures.in_memory import to_picture

        retriever = self._parts.retriever
        box = self._parts.extractor.embed_box(to_picture(picture, bands=self._bands)[0], box_xyxy)
        nouns = retriever.nearest_nouns(box.looks[0], limit=limit, noun=noun)
        regions = retriever.nearest_regions(
            box.looks[0], limit=limit, noun=noun, source=source, tag=tag
        )
        return nouns, regions

    def stats(self) -> "DictionaryStats":
        """Counts of everything."""
        return self._parts.stored.stats()

    def close(self) -> None:
        """Make everything safe, and let go of the store; closing twice is allowed."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
