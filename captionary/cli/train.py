"""`captionary train`: models from captioned pictures alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from captionary.cli import options
from captionary.learning.methods.registry import METHODS
from captionary.learning.training import Training, open_trainer

if TYPE_CHECKING:
    from captionary.learning.progress import Progress


def train(
    method: Annotated[str, typer.Argument(help=f"What to train: {', '.join(METHODS)}.")],
    source: Annotated[
        str | None,
        typer.Argument(help="Captioned pictures, as for 'captionary index'."),
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder for the model, which --encoder names then.")],
    world: Annotated[
        str | None, typer.Option(help="Learn from drawn scenes instead: pictograms.")
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="Folder that relative picture names refer to.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="An architecture of open_clip (ViT-B-32), a JSON file, or a name of our own: "
            + ", ".join(f"{known.model} for {name}" for name, known in METHODS.items())
            + ", unless told."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Go on from those of mini, local-dir:FOLDER or MODEL/TAG, with its vocabulary "
            "and layers; pgseg and vilseg take those of a CLIP into their own."
        ),
    ] = None,
    merges: Annotated[
        int | None,
        typer.Option(
            help="Learn a vocabulary of so many byte pairs from the captions; 2000 where the "
            "model has none, unless told.",
            min=0,
            max=48_894,  # open_clip's tokenizer reads no more
        ),
    ] = None,
    masked: Annotated[
        float,
        typer.Option(
            help="Share of the pictures shown as regions are: masked crops, here at random.",
            min=0,
            max=1,
        ),
    ] = 0.0,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Leave out a part of the method, for comparison; may be repeated."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Updates of the weights.", min=1)] = 10_000,
    batch: Annotated[
        int, typer.Option(help="Pictures a step, over all GPUs.", min=2, max=1_000_000)
    ] = 256,
    accumulate: Annotated[
        int,
        typer.Option(
            help="Parts that a batch goes through in, to take less memory. What a loss compares "
            "it compares within a part.",
            min=1,
        ),
    ] = 1,
    learning_rate: Annotated[float, typer.Option(help="The highest.", min=0)] = 1e-3,
    warm_up: Annotated[int, typer.Option(help="Steps in which the rate rises.", min=0)] = 500,
    seed: Annotated[int, typer.Option(help="Another seed, another run.", min=0, max=2**63 - 1)] = 0,
    held_out: Annotated[
        int | None,
        typer.Option(
            help="Pictures to evaluate on, not learned from; a tenth, at most 500, unless told.",
            min=0,
        ),
    ] = None,
    evaluate: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Folder with images/, masks/ and classes.txt to measure mIoU on, by text alone.",
        ),
    ] = None,
    evaluate_every: Annotated[
        int, typer.Option(help="Steps from one evaluation to the next.", min=1)
    ] = 1000,
    save_every: Annotated[
        int, typer.Option(help="Steps at most that a killed run has to do again.", min=1)
    ] = 500,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that read pictures; unless told, what a GPU needs.", min=0),
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Train a model on captioned pictures.

    clip: pictures and captions that belong together become alike.

    pgseg: so do parts of a picture and nouns of its caption; the tower gathers patches into groups.

    vilseg: so do views of one picture; a head beside the tower sorts patches into clusters.

    Interrupted or killed, the same command goes on. On several GPUs:
    torchrun --nproc-per-node 8 -m captionary train clip ...
    """
    from rich.console import Console

    from captionary.cli.progress import bars
    from captionary.learning.settings import Settings
    from captionary.vision.clip.files import find_clip

    settings = Settings(
        steps=steps,
        batch_size=batch,
        accumulate=accumulate,
        learning_rate=learning_rate,
        warm_up=warm_up,
        seed=seed,
        evaluate_every=evaluate_every,
        save_every=save_every,
    )
    training = Training(
        method=method,
        source=source,
        world=world,
        images=images,
        model=model,
        weights=weights,
        merges=merges,
        masked=masked,
        without=frozenset(without or ()),
        held_out=held_out,
        evaluate=evaluate,
        workers=workers,
        device=device,
    )
    with open_trainer(training, settings, out) as trainer:
        first = trainer.processes.first
        with bars(Console(stderr=True, quiet=not first)) as lines:
            bar = lines.add("training", steps)

            def report(now: "Progress") -> None:
                bar.show(now.step, label=f"loss {now.loss:.3f}")
                if now.figures:
                    print(_line(now), flush=True)

            trainer.train(report)
    if first:
        groups = find_clip(f"local-dir:{out}").groups  # not all that a method makes has any
        kind = "local-dir" if groups is None else method
        print(f"{steps} steps done; use the model with --encoder {kind}:{out}")


def _line(now: "Progress") -> str:
    figures = (f"{name} {value:.3f}" for name, value in now.figures.items())
    return "  ".join([f"step {now.step}", f"loss {now.loss:.3f}", *figures])
