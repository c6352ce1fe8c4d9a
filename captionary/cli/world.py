"""`captionary world`: drawn scenes with captions and true masks, as a dataset folder."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from captionary.pictograms.nouns import Kind, choose_nouns


def world(
    out: Annotated[Path, typer.Argument(help="Folder for the scenes; made if need be.")],
    *,
    scenes: Annotated[int, typer.Option(help="How many.", min=1)],
    seed: Annotated[int, typer.Option(help="Another seed, other scenes.", min=0)] = 0,
    nouns: Annotated[
        Kind, typer.Option(help="What stands in them: what mini has seen, has not, or both.")
    ] = "all",
    split: Annotated[
        Literal["train", "held-out"],
        typer.Option(help="No scene of one is a scene of the other; models learn from train."),
    ] = "held-out",
    size: Annotated[int, typer.Option(help="Pixels of a side.", min=16, max=256)] = 128,
    captions: Annotated[int, typer.Option(help="Of each scene.", min=1)] = 3,
) -> None:
    """Draw pictogram scenes as a dataset folder, for 'index' and 'evaluate' to try out.

    Interrupted or killed, the same command goes on; with more --scenes the folder grows.
    """
    from rich.console import Console

    from captionary.cli.progress import bars
    from captionary.pictograms.dataset_folder import write_world
    from captionary.pictograms.world import World

    drawn = World(choose_nouns(nouns), size=size, seed=seed, split=split, captions=captions)
    with bars(Console(stderr=True)) as lines:
        bar = lines.add("scenes", scenes)
        for done in write_world(drawn, out, scenes=scenes, nouns=nouns):
            bar.show(done)
    print(
        f"{scenes} scenes of {len(drawn.classes)} classes in {out}; "
        f"try 'captionary index {out / 'captions.jsonl'}' and 'captionary evaluate {out}'"
    )
