"""`captionary models` and `captionary doctor`: what can be used here."""

import importlib.metadata
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from captionary.schemas.errors import CaptionaryError

PACKAGES = (
    "torch",
    "open_clip_torch",
    "timm",
    "qdrant-edge-py",
    "qdrant-client",
    "spacy",
    "scikit-learn",
)


def models(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Every MODEL/TAG that open_clip can load.")
    ] = False,
) -> None:
    """List encoders and look models to choose from, with licence and size."""
    from rich.console import Console
    from rich.table import Table

    from captionary.vision.clip.catalogue import CATALOGUE, LOOK_MODELS, all_model_names

    if everything:
        print("\n".join(all_model_names()))
        return
    for option, catalogue in (("encoder", CATALOGUE), ("looks", LOOK_MODELS)):
        table = Table(option, "dim", "licence", "MB", "good for", box=None)
        table.columns[0].no_wrap = True
        for model in catalogue.values():
            size = str(model.size_mb)
            table.add_row(model.name, str(model.dim), model.licence, size, model.good_for)
        Console().print(table)
    print(
        "also local-dir:FOLDER in open_clip's layout, or in timm's for looks, offline; --all lists "
        "the other encoders, and any model of timm gives looks"
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return f"missing: pip install {package}"


def doctor() -> None:
    """Say what this machine has, and try the parts that indexing and segmenting need."""
    print(f"{'python':17}{sys.version.split()[0]} on {platform.system()} {platform.machine()}")
    for package in PACKAGES:
        print(f"{package:17}{_version(package)}")
    for name, trial in (
        ("device", _device),
        ("nouns", _nouns),
        ("looks", _looks),
        ("store", _store),
    ):
        try:
            found = trial()
        except (ImportError, CaptionaryError) as error:
            raise CaptionaryError(f"{name}: {error}; install captionary again") from error
        print(f"{name:17}{found}")


def _device() -> str:
    import torch

    from captionary.vision.hardware import choose_device, has_bfloat16

    device = choose_device("auto")
    fast = "bfloat16" if has_bfloat16(device) else "no bfloat16, so float32 and slower"
    return f"{device.type}, {os.cpu_count()} cores ({torch.get_num_threads()} for torch), {fast}"


def _nouns() -> str:
    from captionary.indexer.nouns import NounExtractor

    caption = "two dogs beside a red fire hydrant"
    return f"of {caption!r}: {', '.join(next(NounExtractor().nouns([caption])))}"


def _looks() -> str:
    from captionary.vision.clip.catalogue import DEFAULT_LOOKS
    from captionary.vision.looks.look_model import LookModel

    model = LookModel(DEFAULT_LOOKS)
    return f"{model.name}, {model.dim} numbers a region"


def _store() -> str:
    from captionary.vocabulary.engines.edge import EdgeEngine
    from captionary.vocabulary.stored_dictionary import StoredDictionary

    with tempfile.TemporaryDirectory() as folder:
        StoredDictionary(EdgeEngine(Path(folder) / "store"), fingerprint="trial", dim=2).close()
    return "an empty one was made and removed"
