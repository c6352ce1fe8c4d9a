"""Puts the parts together. Nothing else in the project constructs an encoder, a store or a service.

Imports of torch, spaCy and the store stand inside the functions, so that commands which do without
them start at once.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from captionary.schemas.errors import FingerprintMismatch, WrongInput

if TYPE_CHECKING:
    from captionary.indexer.pipeline import Indexer
    from captionary.indexer.refresh import Refresher
    from captionary.segmenter.segmenter import Segmenter
    from captionary.serving.limits import Limits
    from captionary.vision.clip.encoder import ClipEncoder
    from captionary.vision.extraction import RegionExtractor
    from captionary.vocabulary.engines.engine import Engine
    from captionary.vocabulary.stored_dictionary import StoredDictionary


DEFAULT_ENCODER = "ViT-B-16/openai"


@dataclass(frozen=True, slots=True)
class Models:
    """What to look with, as named on the command line; None where nothing was named."""

    encoder: str | None = None
    proposer: str | None = None
    embed: str | None = None
    precision: str | None = None
    device: str = "auto"

    def completed(self, built: Mapping[str, str]) -> "Models":
        """What was not named is as a store was built with, or else the default.

        How to cut and to embed depend on the encoder then, and stay open.
        """
        return replace(
            self,
            encoder=self.encoder or built.get("encoder", DEFAULT_ENCODER),
            proposer=built.get("proposer") if self.proposer is None else self.proposer,
            embed=built.get("embed") if self.embed is None else self.embed,
            precision=self.precision or built.get("precision", "auto"),
        )

    def names(self, encoder: "ClipEncoder") -> dict[str, str]:
        """What a store is to remember; a folder by its full path."""
        from captionary.vision.embedding.views import usual_embedding
        from captionary.vision.proposers.choice import apart, usual_proposer

        proposer = usual_proposer(encoder) if self.proposer is None else self.proposer
        return {
            "encoder": _absolute(self.encoder or DEFAULT_ENCODER),
            "proposer": "+".join(_absolute(part) for part in apart(proposer)),
            "embed": usual_embedding(encoder) if self.embed is None else self.embed,
            "precision": encoder.precision,
        }

    def load(self) -> "tuple[ClipEncoder, RegionExtractor]":
        """Load the encoder, and build the extractor on it."""
        from captionary.vision.embedding.views import choose_embedding
        from captionary.vision.extraction import RegionExtractor
        from captionary.vision.proposers.choice import choose_proposer

        # What is named wrongly is told before anything is loaded.
        if self.embed is not None:
            choose_embedding(self.embed)
        if self.proposer is not None:
            choose_proposer(self.proposer)
        encoder = self.load_encoder()
        names = self.names(encoder)
        embedding = choose_embedding(names["embed"])
        maps = embedding.maps(encoder)
        embedder = embedding.embedder(maps)
        return encoder, RegionExtractor(choose_proposer(names["proposer"])(maps), embedder)

    def load_encoder(self) -> "ClipEncoder":
        """Load the encoder alone."""
        from captionary.vision.clip.encoder import ClipEncoder

        name = self.encoder or DEFAULT_ENCODER
        return ClipEncoder(name, device=self.device, precision=self.precision or "auto")


def _absolute(name: str) -> str:
    """A name like `masks:FOLDER` with the folder's full path; other names as they are."""
    kind, colon, folder = name.partition(":")
    return f"{kind}:{Path(folder).resolve()}" if colon and Path(folder).is_dir() else name


def open_engine(store: str) -> "Engine":
    """The engine of a store: a folder, or a dictionary on a Qdrant server (`http://...`).

    Raises:
        WrongInput: the address is of no known kind, or what is there cannot be used.
        StoreInUse: another process has the folder open.
        StoreUnreachable: the server does not answer.
    """
    if "://" not in store:
        from captionary.vocabulary.engines.edge import EdgeEngine

        return EdgeEngine(store)
    if not store.startswith(("http://", "https://")):
        raise WrongInput(
            f"the store {store.partition('://')[0]}://... is of no known kind; "
            "give a folder, or http://HOST[:PORT][/NAME] of a Qdrant server"
        )
    from captionary.vocabulary.engines.server import ServerEngine
    from captionary.vocabulary.engines.server_settings import read_store_settings

    return ServerEngine(store, read_store_settings())


def open_dictionary(store: str) -> "StoredDictionary":
    """Open the dictionary of a store, to look at or to read; it must be there.

    Raises:
        WrongInput: as `open_engine`, or there is no dictionary.
        StoreInUse, StoreUnreachable: as `open_engine`.
    """
    from captionary.vocabulary.stored_dictionary import StoredDictionary

    return StoredDictionary(open_engine(store), fingerprint=None, dim=None)


@contextmanager
def open_indexer(
    models: Models, store: str, *, pipeline: str | None = None, workers: int | None = None
) -> "Iterator[Indexer]":
    """The indexer of a store, which is made where there is none; one worker a core unless told.

    Raises:
        WrongInput, StoreInUse, StoreUnreachable: as `open_vocabulary`.
        FingerprintMismatch: the dictionary was built with other models.
    """
    with open_both(models, store, pipeline=pipeline, workers=workers) as (indexer, _):
        yield indexer


@contextmanager
def open_both(
    models: Models,
    store: str,
    *,
    pipeline: str | None = None,
    workers: int | None = None,
    limits: "Limits | None" = None,
) -> "Iterator[tuple[Indexer, Segmenter]]":
    """As `open_indexer`, with a segmenter that sees at once what the indexer adds.

    limits: of a service, for the pictures that are indexed; None: those of pictures anywhere.
    """
    import torch

    from captionary.indexer.nouns import NounExtractor
    from captionary.indexer.pipeline import Indexer
    from captionary.indexer.refresh import Refresher
    from captionary.segmenter.segmenter import Segmenter
    from captionary.vision.pictures.loading import MAX_BYTES, MAX_PIXELS
    from captionary.vocabulary.retrieval import Retriever
    from captionary.vocabulary.stored_dictionary import StoredDictionary

    # Each worker has a core to itself; threads within a pass would only get in their way.
    torch.set_num_threads(1)
    with closing(open_engine(store)) as engine:
        named = models.completed((engine.read_meta() or {}).get("models", {}))
        encoder, extractor = named.load()
        nouns = NounExtractor(pipeline)
        dictionary = StoredDictionary(
            engine,
            fingerprint=extractor.fingerprint,
            dim=extractor.dim,
            models=named.names(encoder),
        )
        indexer = Indexer(
            dictionary,
            extractor,
            nouns,
            Refresher(dictionary, encoder),
            workers=workers or os.cpu_count() or 1,
            max_pixels=MAX_PIXELS if limits is None else limits.pixels,
            max_bytes=MAX_BYTES if limits is None else limits.body,
        )
        yield indexer, Segmenter(extractor, encoder, Retriever(dictionary))


def build_refresher(dictionary: "StoredDictionary", models: Models) -> "Refresher":
    """The refresher of a dictionary.

    Raises:
        FingerprintMismatch: the dictionary was built with another encoder.
    """
    from captionary.indexer.refresh import Refresher

    encoder = models.completed(dictionary.models).load_encoder()
    if encoder.fingerprint not in dictionary.fingerprint:
        raise FingerprintMismatch(store=dictionary.fingerprint, running=encoder.fingerprint)
    return Refresher(dictionary, encoder)


@contextmanager
def open_segmenter(models: Models, store: str, fusion: str = "both") -> "Iterator[Segmenter]":
    """The segmenter; it reads the dictionary of a store unless it goes by text alone.

    Raises:
        WrongInput, StoreInUse, StoreUnreachable: as `open_vocabulary`, or the dictionary is empty.
        FingerprintMismatch: the dictionary was built with other models.
    """
    from captionary.segmenter.segmenter import Segmenter

    if fusion == "text":
        encoder, extractor = models.completed({}).load()
        yield Segmenter(extractor, encoder)
        return
    with open_reader(models, store) as segmenter:
        if segmenter.retriever is None or not segmenter.retriever.nouns():
            raise WrongInput(f"the dictionary at {store} is empty; fill it with 'captionary index'")
        yield segmenter


@contextmanager
def open_reader(models: Models, store: str) -> "Iterator[Segmenter]":
    """A segmenter that reads the dictionary of a store, which may be empty.

    Raises:
        WrongInput, StoreInUse, StoreUnreachable: as `open_vocabulary`.
        FingerprintMismatch: the dictionary was built with other models.
    """
    from captionary.segmenter.segmenter import Segmenter
    from captionary.vocabulary.retrieval import Retriever

    with open_dictionary(store) as dictionary:
        encoder, extractor = models.completed(dictionary.models).load()
        if extractor.fingerprint != dictionary.fingerprint:
            raise FingerprintMismatch(store=dictionary.fingerprint, running=extractor.fingerprint)
        yield Segmenter(extractor, encoder, Retriever(dictionary))
