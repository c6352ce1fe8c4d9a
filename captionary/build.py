"""Puts the parts of a dictionary together: encoder, store, indexer, segmenter.

Nothing else in the project constructs an encoder or a store. Imports of torch, spaCy and the store
stand inside the functions, so that what does without them starts at once.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from captionary.schemas.errors import CaptionaryError, FingerprintMismatch, WrongInput

if TYPE_CHECKING:
    from captionary.indexer.corrector import Corrector
    from captionary.indexer.importing import Importer
    from captionary.indexer.nouns import Keep
    from captionary.indexer.pipeline import Indexer
    from captionary.indexer.refresh import Refresher
    from captionary.segmenter.segmenter import Segmenter
    from captionary.vision.clip.encoder import ClipEncoder
    from captionary.vision.extraction import RegionExtractor
    from captionary.vision.plan import Plan
    from captionary.vocabulary.engines.engine import Engine
    from captionary.vocabulary.retrieval import Retriever
    from captionary.vocabulary.sharing import Share
    from captionary.vocabulary.stored_dictionary import StoredDictionary


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The models to use, as a user names them; None: what a store was built with, or the default.

    encoder, proposer, embed, looks, precision, device: as the options of these names take them.
    """

    encoder: str | None = None
    proposer: str | None = None
    embed: str | None = None
    looks: str | None = None
    precision: str | None = None
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class IndexingOptions:
    """How pictures are indexed.

    pipeline:  an installed spaCy pipeline; None: the English one that comes with the program.
    keep:      compounds that are one noun each, or a file of them, a line each.
    workers:   threads; None: one a core.
    max_pixels, max_bytes: of a picture; None: as of pictures anywhere.
    bands:     of TIFF files, as `load_picture`.
    """

    pipeline: str | None = None
    keep: "Keep" = ()
    workers: int | None = None
    max_pixels: int | None = None
    max_bytes: int | None = None
    bands: tuple[int, ...] = ()


class _part(Generic[T]):
    """A part, built when it is first needed, by one thread while others wait.

    `functools.cached_property` does not serve: Python 3.11 holds a lock for each of them, which
    together with that of the parts can block two threads for good; later ones hold none at all.
    """

    def __init__(self, build: "Callable[[Parts], T]") -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __get__(self, parts: "Parts", _owner: type) -> T:
        built, name = parts.built, self._build.__name__
        with parts.lock:
            parts.check_open()
            if name not in built:
                built[name] = self._build(parts)
            part: T = built[name]
            return part


@dataclass
class Parts:
    """What an open dictionary is made of, each part built when it is first needed.

    The store is opened at once. May be shared by threads.

    store: folder or URL; None: no dictionary, so that pictures are segmented by text alone.

    Raises:
        WrongInput, StoreInUse, StoreUnreachable: as `open_engine`.
    """

    store: str | None
    models: ModelNames = ModelNames()
    indexing: IndexingOptions = IndexingOptions()
    built: dict[str, Any] = field(init=False, default_factory=dict)
    lock: RLock = field(init=False, default_factory=RLock)
    _engine: "Engine | None" = field(init=False, default=None)
    _names_to_be: Mapping[str, str] = field(init=False, default_factory=dict)
    _closed: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        if self.store is not None:
            self._open_engine()

    def check_open(self) -> None:
        """Refuse to be used once it is closed.

        Raises:
            CaptionaryError: it is.
        """
        if self._closed:
            raise CaptionaryError(f"the dictionary at {self.store} is closed; open it again")

    def _open_engine(self) -> "Engine":
        if self.store is None:
            raise WrongInput("this needs a dictionary; open one with Dictionary(FOLDER)")
        self.check_open()
        if self._engine is None:
            from captionary.vocabulary.engines.choice import open_engine

            self._engine = open_engine(self.store)
        return self._engine

    def _open_dictionary(
        self,
        fingerprint: str | None,
        dim: int | None,
        look_dim: int | None = None,
        names: Mapping[str, str] | None = None,
    ) -> "StoredDictionary":
        from captionary.vocabulary.stored_dictionary import StoredDictionary

        # Where it fails it closes the engine; parts that use the one before are built anew.
        engine, self._engine = self._open_engine(), None
        for name in ("stored", "refresher", "corrector", "segmenter"):
            self.built.pop(name, None)
        stored = StoredDictionary(
            engine, fingerprint=fingerprint, dim=dim, look_dim=look_dim, models=names
        )
        self._engine = engine
        return stored

    def _stored_names(self) -> Mapping[str, str]:
        """What the store remembers of its models, if there is any."""
        meta = None if self.store is None else self._open_engine().read_meta()
        names: Mapping[str, str] = (meta or {}).get("models", self._names_to_be)
        return names

    @_part
    def plan(self) -> "Plan":
        """The plan: what is named, and where nothing is, what the store was built with.

        Raises:
            WrongInput, MissingExtra: as `Plan.parse`.
        """
        from captionary.vision.plan import Plan

        names, stored = self.models, self._stored_names()
        return Plan.parse(
            names.encoder,
            names.proposer,
            names.embed,
            names.looks,
            names.precision,
            stored=stored,
        )

    @_part
    def encoder(self) -> "ClipEncoder":
        """The plan's encoder.

        Raises:
            WrongInput: there is none, or it cannot be downloaded or loaded.
            MissingExtra: it needs a package that is not installed.
        """
        from captionary.files.cache import CacheFile, cache_folder
        from captionary.vision.clip.encoder import ClipEncoder
        from captionary.vision.plan import Plan

        # Not the whole plan: the files of a stored proposer may be gone, and what is removed from
        # a dictionary needs none.
        names, stored = self.models, self._stored_names()
        kept = {name: stored[name] for name in ("encoder", "precision") if name in stored}
        plan = Plan.parse(names.encoder, precision=names.precision, stored=kept)
        folder = cache_folder()
        return ClipEncoder(
            plan.encoder,
            device=names.device,
            precision=plan.precision,
            cache=None if folder is None else CacheFile(folder / "texts.sqlite"),
        )

    @_part
    def extractor(self) -> "RegionExtractor":
        """What cuts and embeds pictures by the plan.

        Raises:
            WrongInput: the encoder cannot cut or embed that way.
        """
        from captionary.vision.clip.encoder import ClipEncoder

        plan = self.plan  # before the encoder is loaded: what is wrong in it is said at once
        own = self.encoder

        def load_alike(name: str) -> ClipEncoder:
            """Load another encoder as the plan's was loaded."""
            return ClipEncoder(name, device=own.device.type, precision=own.precision)

        return plan.extractor(own, load_alike)

    @_part
    def stored(self) -> "StoredDictionary":
        """The dictionary of the store, to be read; opened for that, nothing is written.

        Raises:
            WrongInput: there is no dictionary yet, or an unfinished copy of one.
        """
        return self._open_dictionary(fingerprint=None, dim=None)

    @_part
    def indexer(self) -> "Indexer":
        """The indexer; a store that has no dictionary is given an empty one.

        Raises:
            WrongInput: the store cannot be written to, there is no such pipeline, or no such file
                of compounds.
            DiskFull: its disk has too little space left.
            FingerprintMismatch: the dictionary was built with other models.
        """
        from captionary.indexer.nouns import NounExtractor
        from captionary.indexer.pipeline import Indexer

        options = self.indexing
        self._open_engine().check_writable()  # before a model is loaded
        extractor, nouns = self.extractor, NounExtractor(options.pipeline, keep=options.keep)
        names = self.plan.completed(self.encoder).names
        if "stored" in self.built:  # what reads it goes on reading it
            _check_fingerprint(self.stored, extractor)
        # One that only reads does not see what another object writes; so all share this one.
        stored = self._open_dictionary(
            extractor.fingerprint, extractor.dim, extractor.look_dim, names
        )
        self.built["stored"] = stored
        return Indexer(
            stored,
            extractor,
            nouns,
            self.refresher,
            workers=options.workers or os.cpu_count() or 1,
            max_pixels=options.max_pixels,
            max_bytes=options.max_bytes,
            bands=options.bands,
        )

    @_part
    def refresher(self) -> "Refresher":
        """What makes the nouns of the dictionary anew; of the models it needs the encoder only.

        Raises:
            FingerprintMismatch: the dictionary was built with another encoder.
        """
        from captionary.indexer.refresh import Refresher

        stored, encoder = self.stored, self.encoder
        if encoder.fingerprint not in stored.fingerprint:
            raise FingerprintMismatch(store=stored.fingerprint, running=encoder.fingerprint)
        return Refresher(stored, encoder, workers=self.indexing.workers or os.cpu_count() or 1)

    @_part
    def corrector(self) -> "Corrector":
        """What corrects the dictionary; of the models it needs the encoder only.

        Raises:
            FingerprintMismatch: as `refresher`.
        """
        from captionary.indexer.corrector import Corrector

        return Corrector(self.stored, self.refresher)

    def importer(self, shares: "Sequence[Share]") -> "Importer":
        """What takes shares into the dictionary; an empty store is given one of their models.

        Raises:
            WrongInput: there is no share, they are of different models, or of others than the
                dictionary; or the store cannot be written to.
            FingerprintMismatch: as `refresher`.
        """
        from captionary.indexer.importing import Importer

        if not shares:
            raise WrongInput("name what to import: files, folders or addresses of dictionaries")
        with self.lock:
            self._open_engine().check_writable()
            first = shares[0]
            for share in shares[1:]:
                _check_alike(share, first.fingerprint, first.address)
            if self._open_engine().read_meta() is None:
                self._make_dictionary(first)
            _check_alike(first, self.stored.fingerprint, str(self.store))
            return Importer(self.stored, self.refresher)

    def _make_dictionary(self, share: "Share") -> None:
        """Make an empty dictionary of the models of a share."""
        own = {} if self.models.encoder is None else {"encoder": self.models.encoder}
        for name in ("plan", "encoder", "extractor", "text_segmenter"):
            self.built.pop(name, None)  # built before it was known of which models it is
        self._names_to_be = {**share.models, **own}
        if self.encoder.fingerprint not in share.fingerprint:  # before anything is made
            raise FingerprintMismatch(store=share.fingerprint, running=self.encoder.fingerprint)
        dim, look_dim = share.dims
        names = self._names_to_be
        self.built["stored"] = self._open_dictionary(share.fingerprint, dim, look_dim, names)

    @_part
    def text_segmenter(self) -> "Segmenter":
        """A segmenter by text alone, whether there is a dictionary or not."""
        from captionary.segmenter.segmenter import Segmenter

        # Looks are compared with a dictionary only: text alone need not pay for them.
        return Segmenter(replace(self.extractor, looks=None), self.encoder)

    @_part
    def segmenter(self) -> "Segmenter":
        """The segmenter; it reads the dictionary of the store, which may be empty.

        Raises:
            WrongInput: the store has no dictionary yet.
            FingerprintMismatch: the dictionary was built with other models.
        """
        from captionary.segmenter.segmenter import Segmenter
        from captionary.vocabulary.retrieval import Retriever

        if self.store is None:
            return self.text_segmenter
        stored, extractor = self.stored, self.extractor
        _check_fingerprint(stored, extractor)
        return Segmenter(extractor, self.encoder, Retriever(stored))

    @property
    def retriever(self) -> "Retriever":
        """What reads the dictionary, as it is now, also where another process writes it.

        Raises:
            WrongInput: there is no store, or no dictionary in it.
            FingerprintMismatch: as `segmenter`.
        """
        with self.lock:
            self._open_engine()  # says what is missing, if it is
            self.stored.catch_up()
        retriever = self.segmenter.retriever
        assert retriever is not None
        return retriever

    def close(self) -> None:
        """Make everything safe, and let go of the store; closing twice is allowed."""
        with self.lock:
            self._closed = True
            self.built.clear()
            if self._engine is not None:
                self._engine.close()
                self._engine = None


def _check_alike(share: "Share", fingerprint: str, address: str) -> None:
    if share.fingerprint != fingerprint:
        raise WrongInput(
            f"{share.address} was made with {share.fingerprint!r}, and {address} with "
            f"{fingerprint!r}; only dictionaries of the same models can be joined"
        )


def _check_fingerprint(stored: "StoredDictionary", extractor: "RegionExtractor") -> None:
    if extractor.fingerprint != stored.fingerprint:
        raise FingerprintMismatch(store=stored.fingerprint, running=extractor.fingerprint)


def load_text_segmenter(folder: Path, device: str) -> "Segmenter":
    """Load the model of a folder, as training writes it, as a segmenter by text alone.

    Raises:
        WrongInput: there is no model.
    """
    return Parts(None, ModelNames(encoder=f"local-dir:{folder}", device=device)).text_segmenter
