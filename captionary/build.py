"""Puts the parts together. Nothing else in the project constructs an encoder, a store or a service.

Imports of torch, spaCy and the store stand inside the functions, so that commands which do without
them start at once.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import FingerprintMismatch, WrongInput

if TYPE_CHECKING:
    from indexer.pipeline import Indexer
    from indexer.refresh import Refresher
    from segmenter.segmenter import Segmenter
    from vision.encoder import ClipEncoder
    from vision.extraction import RegionExtractor
    from vocabulary.vocabulary import Vocabulary


DEFAULT_ENCODER = "ViT-B-16/openai"


@dataclass(frozen=True, slots=True)
class Models:
    """What to look with, as named on the command line; None where nothing was named."""

    encoder: str | None = None
    proposer: str | None = None
    embed: str | None = None
    device: str = "auto"
    precision: str = "auto"

    def of_store(self, store: str | None) -> "Models":
        """What was not named is as the store was built with, or else the default.

        Raises:
            WrongInput: the address is of no known kind; StoreInUse: as its name says.
        """
        from vocabulary.edge import EdgeEngine

        built: dict[str, str] = {}
        if store is not None:
            check_address(store)
            with closing(EdgeEngine(store)) as engine:
                built = (engine.read_meta() or {}).get("models", {})
        return replace(
            self,
            encoder=self.encoder or built.get("encoder", DEFAULT_ENCODER),
            proposer=self.proposer or built.get("proposer", "superpixels"),
            embed=self.embed or built.get("embed", "crop"),
        )

    def names(self) -> dict[str, str]:
        """What a store is to remember; a folder by its full path."""
        encoder, proposer = _absolute(self.encoder or ""), _absolute(self.proposer or "")
        return {"encoder": encoder, "proposer": proposer, "embed": self.embed or ""}

    def load(self) -> "tuple[ClipEncoder, RegionExtractor]":
        """Load the encoder, and build the extractor on it; everything must be named."""
        from vision.embedders import MaskedCrops
        from vision.encoder import ClipEncoder
        from vision.extraction import RegionExtractor
        from vision.proposers import build_proposer

        if self.embed != "crop":
            raise WrongInput(f"unknown way to embed {self.embed!r}; choose crop")
        proposer = build_proposer(self.proposer or "")
        encoder = ClipEncoder(self.encoder or "", device=self.device, precision=self.precision)
        return encoder, RegionExtractor(proposer, MaskedCrops(encoder))


def _absolute(name: str) -> str:
    """`local-dir:FOLDER` or `masks:FOLDER` with the folder's full path; other names as they are."""
    kind, colon, folder = name.partition(":")
    return f"{kind}:{Path(folder).resolve()}" if colon else name


def check_address(store: str) -> None:
    """Refuse the address of a store that cannot be opened, before anything is loaded for it.

    Raises:
        WrongInput: it is not a folder.
    """
    if "://" in store:
        raise WrongInput(
            f"the store {store} is a server, which this release cannot use; give a folder"
        )


def open_vocabulary(
    store: str, extractor: "RegionExtractor | None" = None, models: Models | None = None
) -> "Vocabulary":
    """Open the dictionary of a store; with an extractor, make it where there is none.

    Raises:
        WrongInput: the address is of no known kind, or there is no dictionary and no extractor.
        StoreInUse, FingerprintMismatch: as their names say.
    """
    from vocabulary.edge import EdgeEngine
    from vocabulary.vocabulary import Vocabulary

    check_address(store)
    return Vocabulary(
        EdgeEngine(store),
        fingerprint=extractor.fingerprint if extractor else None,
        dim=extractor.dim if extractor else None,
        models=models.names() if models else None,
    )


def build_indexer(
    vocabulary: "Vocabulary",
    encoder: "ClipEncoder",
    extractor: "RegionExtractor",
    *,
    pipeline: str | None,
    workers: int | None,
) -> "Indexer":
    """The indexer of a dictionary; one worker a core unless told."""
    import torch

    from indexer.nouns import NounExtractor
    from indexer.pipeline import Indexer
    from indexer.refresh import Refresher

    # Each worker has a core to itself; threads within a pass would only get in their way.
    torch.set_num_threads(1)
    return Indexer(
        vocabulary,
        extractor,
        NounExtractor(pipeline),
        Refresher(vocabulary, encoder),
        workers=workers or os.cpu_count() or 1,
    )


def build_refresher(vocabulary: "Vocabulary", models: Models) -> "Refresher":
    """The refresher of a dictionary.

    Raises:
        FingerprintMismatch: the dictionary was built with another encoder.
    """
    from indexer.refresh import Refresher

    built = vocabulary.models
    named = replace(
        models,
        encoder=models.encoder or built.get("encoder", DEFAULT_ENCODER),
        proposer="whole",  # nothing is cut here
        embed="crop",
    )
    encoder, _ = named.load()
    if encoder.fingerprint not in vocabulary.fingerprint:
        raise FingerprintMismatch(store=vocabulary.fingerprint, running=encoder.fingerprint)
    return Refresher(vocabulary, encoder)


@contextmanager
def open_segmenter(
    models: Models, store: str | None, fusion: str = "both"
) -> "Iterator[Segmenter]":
    """The segmenter, reading the dictionary of a store where one is named.

    Raises:
        WrongInput: the fusion needs a dictionary, and there is none.
    """
    from segmenter.segmenter import NO_DICTIONARY, Segmenter
    from vocabulary.retrieval import Retriever

    if store is None and fusion != "text":
        raise WrongInput(NO_DICTIONARY.format(fusion))
    if store is not None:
        check_address(store)
    if store is not None and not Path(store).exists():
        raise WrongInput(f"there is no dictionary at {store}; make one with 'captionary index'")
    encoder, extractor = models.of_store(store).load()
    if store is None:
        yield Segmenter(extractor, encoder)
        return
    with open_vocabulary(store, extractor) as vocabulary:
        yield Segmenter(extractor, encoder, Retriever(vocabulary))
