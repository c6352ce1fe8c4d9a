"""Puts the parts of a dictionary together: encoder, store, indexer, segmenter.

Nothing else in the project constructs an encoder or a store. Imports of torch, spaCy and the store
stand inside the functions, so that what does without them starts at once.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from captionary.schemas.errors import CaptionaryError, FingerprintMismatch, WrongInput

if TYPE_CHECKING:
    from captionary.indexer.pipeline import Indexer
    from captionary.indexer.refresh import Refresher
    from captionary.segmenter.segmenter import Segmenter
    from captionary.vision.clip.encoder import ClipEncoder
    from captionary.vision.extraction import RegionExtractor
    from captionary.vision.plan import Plan
    from captionary.vocabulary.engines.engine import Engine
    from captionary.vocabulary.retrieval import Retriever
    from captionary.vocabulary.stored_dictionary import StoredDictionary


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The models to use, as a user names them; None: what a store was built with, or the default.

    encoder, proposer, embed, precision, device: as the options of these names take them.
    """

    encoder: str | None = None
    proposer: str | None = None
    embed: str | None = None
    precision: str | None = None
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class IndexingOptions:
    """How pictures are indexed.

    pipeline:  an installed spaCy pipeline; None: the English one that comes with the program.
    workers:   threads; None: one a core.
    max_pixels, max_bytes: of a picture; None: as of pictures anywhere.
    """

    pipeline: str | None = None
    workers: int | None = None
    max_pixels: int | None = None
    max_bytes: int | None = None


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
    _engine: "Engine | None" = field(init=False, default=None)
    _stored: "StoredDictionary | None" = field(init=False, default=None)
    _closed: bool = field(init=False, default=False)
    _lock: RLock = field(init=False, default_factory=RLock)

    def __post_init__(self) -> None:
        if self.store is not None:
            self._open_engine()

    def _open_engine(self) -> "Engine":
        if self.store is None:
            raise WrongInput("this needs a dictionary; open one with Dictionary(FOLDER)")
        if self._closed:
            raise CaptionaryError(f"the dictionary at {self.store} is closed; open it again")
        if self._engine is None:
            from captionary.vocabulary.engines.choice import open_engine

            self._engine = open_engine(self.store)
        return self._engine

    def _open_dictionary(
        self, fingerprint: str | None, dim: int | None, names: Mapping[str, str] | None = None
    ) -> "StoredDictionary":
        from captionary.vocabulary.stored_dictionary import StoredDictionary

        engine, self._engine = self._open_engine(), None  # which it closes where it fails
        stored = StoredDictionary(engine, fingerprint=fingerprint, dim=dim, models=names)
        self._engine = engine
        return stored

    @cached_property
    def plan(self) -> "Plan":
        """The plan: what is named, and where nothing is, what the store was built with.

        Raises:
            WrongInput, MissingExtra: as `Plan.parse`.
        """
        from captionary.vision.plan import Plan

        with self._lock:
            meta = None if self.store is None else self._open_engine().read_meta()
            names = self.models
            return Plan.parse(
                names.encoder,
                names.proposer,
                names.embed,
                names.precision,
                stored=(meta or {}).get("models", {}),
            )

    @cached_property
    def encoder(self) -> "ClipEncoder":
        """The plan's encoder.

        Raises:
            WrongInput: there is none, or it cannot be downloaded or loaded.
            MissingExtra: it needs a package that is not installed.
        """
        from captionary.vision.clip.encoder import ClipEncoder

        with self._lock:
            return ClipEncoder(
                self.plan.encoder, device=self.models.device, precision=self.plan.precision
            )

    @cached_property
    def extractor(self) -> "RegionExtractor":
        """What cuts and embeds pictures by the plan.

        Raises:
            WrongInput: the encoder cannot cut or embed that way.
        """
        from captionary.vision.clip.encoder import ClipEncoder

        def load_alike(name: str) -> ClipEncoder:
            """Load another encoder as the plan's was loaded."""
            own = self.encoder
            return ClipEncoder(name, device=own.device.type, precision=own.precision)

        with self._lock:
            return self.plan.extractor(self.encoder, load_alike)

    @property
    def stored(self) -> "StoredDictionary":
        """The dictionary of the store, to be read; opened for that, nothing is written.

        Raises:
            WrongInput: there is no dictionary yet, or an unfinished copy of one.
        """
        with self._lock:
            if self._stored is None:
                self._stored = self._open_dictionary(fingerprint=None, dim=None)
            return self._stored

    @cached_property
    def indexer(self) -> "Indexer":
        """The indexer; a store that has no dictionary is given an empty one.

        Raises:
            WrongInput: the store cannot be written to, or there is no such pipeline.
            FingerprintMismatch: the dictionary was built with other models.
        """
        from captionary.indexer.nouns import NounExtractor
        from captionary.indexer.pipeline import Indexer

        options = self.indexing
        with self._lock:
            extractor, nouns = self.extractor, NounExtractor(options.pipeline)
            names = self.plan.completed(self.encoder).names
            stored = self._open_dictionary(extractor.fingerprint, extractor.dim, names)
            # One that only reads does not see what another object writes; so all share this one.
            self._stored = stored
            self.__dict__.pop("segmenter", None)
            return Indexer(
                stored,
                extractor,
                nouns,
                self.refresher,
                workers=options.workers or os.cpu_count() or 1,
                max_pixels=options.max_pixels,
                max_bytes=options.max_bytes,
            )

    @property
    def refresher(self) -> "Refresher":
        """What makes the nouns of the dictionary anew; of the models it needs the encoder only.

        Raises:
            FingerprintMismatch: the dictionary was built with another encoder.
        """
        from captionary.indexer.refresh import Refresher

        stored, encoder = self.stored, self.encoder
        if encoder.fingerprint not in stored.fingerprint:
            raise FingerprintMismatch(store=stored.fingerprint, running=encoder.fingerprint)
        return Refresher(stored, encoder)

    @cached_property
    def text_segmenter(self) -> "Segmenter":
        """A segmenter by text alone, whether there is a dictionary or not."""
        from captionary.segmenter.segmenter import Segmenter

        with self._lock:
            return Segmenter(self.extractor, self.encoder)

    @cached_property
    def segmenter(self) -> "Segmenter":
        """The segmenter; it reads the dictionary of the store, which may be empty.

        Raises:
            WrongInput: the store has no dictionary yet.
            FingerprintMismatch: the dictionary was built with other models.
        """
        from captionary.segmenter.segmenter import Segmenter
        from captionary.vocabulary.retrieval import Retriever

        with self._lock:
            if self.store is None:
                return self.text_segmenter
            stored, extractor = self.stored, self.extractor
            if extractor.fingerprint != stored.fingerprint:
                raise FingerprintMismatch(store=stored.fingerprint, running=extractor.fingerprint)
            return Segmenter(extractor, self.encoder, Retriever(stored))

    @property
    def retriever(self) -> "Retriever":
        """What reads the dictionary.

        Raises:
            CaptionaryError: there is no store.
            WrongInput, FingerprintMismatch: as `segmenter`.
        """
        self._open_engine()  # says what is missing, if it is
        retriever = self.segmenter.retriever
        assert retriever is not None
        return retriever

    def close(self) -> None:
        """Make everything safe, and let go of the store; closing twice is allowed."""
        with self._lock:
            self._closed = True
            if self._engine is not None:
                self._engine.close()
                self._engine = None


def load_text_segmenter(folder: Path, device: str) -> "Segmenter":
    """Load the model of a folder, as training writes it, as a segmenter by text alone.

    Raises:
        WrongInput: there is no model.
    """
    return Parts(None, ModelNames(encoder=f"local-dir:{folder}", device=device)).text_segmenter
