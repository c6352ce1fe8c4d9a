"""`captionary models` and `captionary doctor`: what can be used here."""

import importlib.metadata
import os
import platform
import sys
from typing import Annotated

import typer

PACKAGES = ("torch", "open_clip_torch", "qdrant-edge-py", "qdrant-client", "spacy", "scikit-learn")


def models(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Every MODEL/TAG that open_clip can load.")
    ] = False,
) -> None:
    """List encoders to choose from, with licence and size."""
    from rich.console import Console
    from rich.table import Table

    from vision.models import CATALOGUE, all_model_names

    if everything:
        print("\n".join(all_model_names()))
        return
    table = Table("encoder", "dim", "licence", "MB", "good for", box=None)
    table.columns[0].no_wrap = True
    for model in CATALOGUE.values():
        table.add_row(model.name, str(model.dim), model.licence, str(model.size_mb), model.good_for)
    Console().print(table)
    print("also local-dir:FOLDER in open_clip's layout, offline; --all lists the others")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return f"missing: pip install {package}"


def doctor() -> None:
    """Say what this machine has, and whether it can index and segment."""
    import torch

    from indexer.nouns import NounExtractor
    from vision.hardware import choose_device, has_bfloat16

    device = choose_device("auto")
    print(f"{'python':17}{sys.version.split()[0]} on {platform.system()} {platform.machine()}")
    for package in PACKAGES:
        print(f"{package:17}{_version(package)}")
    print(
        f"{'device':17}{device.type}, {os.cpu_count()} cores, torch uses {torch.get_num_threads()}"
    )
    print(
        f"{'bfloat16':17}{'yes' if has_bfloat16(device) else 'no: float32, several times slower'}"
    )
    nouns = next(NounExtractor().nouns(["two dogs beside a red fire hydrant"]))
    print(f"{'nouns':17}of 'two dogs beside a red fire hydrant': {', '.join(nouns)}")
