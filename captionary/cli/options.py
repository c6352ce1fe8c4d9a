"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from captionary.schemas import options

Store: TypeAlias = Annotated[
    str,
    typer.Option(help="Folder of the dictionary, or http://HOST:PORT/NAME on a Qdrant server."),
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
    options.Fusion, typer.Option(help="What scores regions; text needs no dictionary.")
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
DEFAULT_STORE = options.DEFAULT_STORE
