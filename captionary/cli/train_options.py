"""Options of `captionary train`."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from captionary.learning.methods.registry import METHODS

Method: TypeAlias = Annotated[str, typer.Argument(help=f"What to train: {', '.join(METHODS)}.")]
Source: TypeAlias = Annotated[
    str | None,
    typer.Argument(help="Captioned pictures, as for 'captionary index'."),
]
Out: TypeAlias = Annotated[
    Path, typer.Option(help="Folder for the model, which --encoder names then.")
]
World: TypeAlias = Annotated[
    str | None, typer.Option(help="Learn from drawn scenes instead: pictograms.")
]
Images: TypeAlias = Annotated[
    str | None, typer.Option(help="Folder that relative picture names refer to.")
]
Model: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="An architecture of open_clip (ViT-B-32), a JSON file, or a name of our own: "
        + ", ".join(f"{known.model} for {name}" for name, known in METHODS.items())
        + ", unless given."
    ),
]
Weights: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Go on from those of mini, local-dir:FOLDER or MODEL/TAG, with its vocabulary "
        "and layers; pgseg and vilseg take those of a CLIP into their own."
    ),
]
Merges: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Learn a vocabulary of so many byte pairs from the captions; 2000 where the "
        "model has none, unless given.",
        min=0,
        max=48_894,  # open_clip's tokenizer reads no more
    ),
]
Masked: TypeAlias = Annotated[
    float,
    typer.Option(
        help="Share of the pictures shown as regions are: masked crops, here at random.",
        min=0,
        max=1,
    ),
]
Without: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="Leave out a part of the method, for comparison; may be repeated."),
]
Steps: TypeAlias = Annotated[int, typer.Option(help="Updates of the weights.", min=1)]
Batch: TypeAlias = Annotated[
    int, typer.Option(help="Pictures a step, over all GPUs.", min=2, max=1_000_000)
]
Accumulate: TypeAlias = Annotated[
    int,
    typer.Option(
        help="Parts that a batch goes through in, to take less memory. What a loss compares "
        "it compares within a part.",
        min=1,
    ),
]
LearningRate: TypeAlias = Annotated[float, typer.Option(help="The highest.", min=0)]
WarmUp: TypeAlias = Annotated[int, typer.Option(help="Steps in which the rate rises.", min=0)]
Seed: TypeAlias = Annotated[
    int, typer.Option(help="Another seed, another run.", min=0, max=2**63 - 1)
]
HeldOut: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Pictures to evaluate on, not learned from; a tenth, at most 500, unless given.",
        min=0,
    ),
]
Evaluate: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="DATASET",
        help="Folder with images/, masks/ and classes.txt to measure mIoU on, by text alone.",
    ),
]
EvaluateEvery: TypeAlias = Annotated[
    int, typer.Option(help="Steps from one evaluation to the next.", min=1)
]
SaveEvery: TypeAlias = Annotated[
    int, typer.Option(help="Steps at most that a killed run has to do again.", min=1)
]
Workers: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Processes that read pictures; unless given, what a GPU needs.", min=0),
]
