"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from captionary.schemas import options
from captionary.schemas.errors import WrongInput


def _known_fusion(fusion: str) -> str:
    """Refuse what is none, before anything is opened."""
    try:
        options.witnesses_of(fusion)
    except WrongInput as error:
        raise typer.BadParameter(str(error)) from error
    return fusion


Store: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Folder of the dictionary, or http://HOST:PORT/NAME on a Qdrant server; "
        "of a cluster several hosts, with commas."
    ),
]
Encoder: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="MODEL/TAG of open_clip, local-dir:FOLDER, pgseg:FOLDER, vilseg:FOLDER, or a "
        "bundled name ('captionary models'). "
        "Not named: what the store was built with."
    ),
]
Proposer: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="How pictures are cut: superpixels, clusters, pgseg:FOLDER, vilseg:FOLDER, "
        "sam:FOLDER|MODEL, masks:FOLDER, whole, or several with +."
    ),
]
Embed: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="How regions become vectors: crop, tokens or dense, with a size or a last block "
        "(dense:sclip:2x), or several with +."
    ),
]
Looks: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Vision model that tells what looks alike: a name of timm, local-dir:FOLDER, with a "
        "block or sizes (MODEL@8:336), several with +, or none."
    ),
]
Keep: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="File of compounds that are one noun each ('prairie dog'), a line each; "
        "with * at its end one does not teach its last word."
    ),
]
Device: TypeAlias = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Precision: TypeAlias = Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")]

Bands: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Bands of TIFF files that are red, green and blue, as in 4,3,2, or one that is grey."
    ),
]

Fusion: TypeAlias = Annotated[
    options.Fusion,
    typer.Option(
        help="What scores regions: text (needs no dictionary), calibrated, prototypes, both, all, "
        "or some of text, neighbours, prototypes, captions joined by +.",
        callback=_known_fusion,
    ),
]
Background: TypeAlias = Annotated[
    options.BackgroundMode, typer.Option(help="What becomes of pixels that belong to no class.")
]
Threshold: TypeAlias = Annotated[
    float,
    typer.Option(help="Background below this probability (threshold, auto).", min=0, max=1),
]
Refine: TypeAlias = Annotated[
    bool, typer.Option("--refine", help="Sharper borders, by the picture's colours; slower.")
]
Exact: TypeAlias = Annotated[
    bool,
    typer.Option("--exact", help="Classes take the nouns that they name, and no kinds of them."),
]
KindsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--kinds",
        help="File with kinds of your own, before those of WordNet: 'furniture: bench, sofa', "
        "a line for each class.",
    ),
]
DEFAULT_STORE = options.DEFAULT_STORE
