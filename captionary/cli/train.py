"""`captionary train`: models from captioned pictures alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from captionary.cli import options
from captionary.cli import train_options as own

if TYPE_CHECKING:
    from captionary.learning.progress import Progress
    from captionary.learning.trainer import Trainer


def train(
    method: own.Method,
    source: own.Source = None,
    *,
    out: own.Out,
    world: own.World = None,
    images: own.Images = None,
    model: own.Model = None,
    weights: own.Weights = None,
    merges: own.Merges = None,
    masked: own.Masked = 0.0,
    without: own.Without = None,
    steps: own.Steps = 10_000,
    batch: own.Batch = 256,
    accumulate: own.Accumulate = 1,
    learning_rate: own.LearningRate = 1e-3,
    warm_up: own.WarmUp = 500,
    seed: own.Seed = 0,
    held_out: own.HeldOut = None,
    evaluate: own.Evaluate = None,
    evaluate_every: own.EvaluateEvery = 1000,
    save_every: own.SaveEvery = 500,
    workers: own.Workers = None,
    device: options.Device = "auto",
) -> None:
    """Train a model on captioned pictures.

    clip: pictures and captions that belong together become alike.

    pgseg: so do parts of a picture and nouns of its caption; the tower gathers patches into groups.

    vilseg: so do views of one picture; a head beside the tower sorts patches into clusters.

    Interrupted or killed, the same command goes on. On several GPUs:
    torchrun --nproc-per-node 8 -m captionary train clip ...
    """
    from captionary.build_training import open_training
    from captionary.learning.plan import TrainingPlan
    from captionary.learning.settings import Settings

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
    plan = TrainingPlan(
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
    with open_training(plan, settings, out, show_listing=_show_listing) as trainer:
        _run(trainer, steps)
        first = trainer.processes.first
    if first:
        _print_result(method, steps, out)


@contextmanager
def _show_listing(shards: int) -> Iterator[Callable[[int], None]]:
    """Show a line of progress while shards are listed."""
    from rich.console import Console

    from captionary.cli.progress import bars

    with bars(Console(stderr=True)) as lines:
        yield lines.add("listing shards", shards).show


def _run(trainer: "Trainer", steps: int) -> None:
    """Train with a line of progress, and print each evaluation."""
    from rich.console import Console

    from captionary.cli.progress import bars

    with bars(Console(stderr=True, quiet=not trainer.processes.first)) as lines:
        bar = lines.add("training", steps)

        def report(progress: "Progress") -> None:
            bar.show(progress.step, label=f"loss {progress.loss:.3f}")
            if progress.metrics:
                print(_format_metrics(progress), flush=True)

        trainer.train(report)


def _format_metrics(progress: "Progress") -> str:
    metrics = (f"{name} {value:.3f}" for name, value in progress.metrics.items())
    return "  ".join([f"step {progress.step}", f"loss {progress.loss:.3f}", *metrics])


def _print_result(method: str, steps: int, out: Path) -> None:
    """Say how the model is used."""
    from captionary.vision.clip.files import find_clip

    groups = find_clip(f"local-dir:{out}").default_proposer  # not all that a method makes has any
    kind = "local-dir" if groups is None else method
    print(f"{steps} steps done; use the model with --encoder {kind}:{out}")
