"""`captionary evaluate`: mIoU on pictures with masks."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from captionary.cli import options
from captionary.files.free_space import disk_full
from captionary.schemas.errors import WrongInput
from captionary.schemas.options import DEFAULT_FUSION, DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from captionary.schemas.segmentation import Kinds


def evaluate(
    dataset: Annotated[Path, typer.Argument(help="Folder with images/, masks/ and classes.txt.")],
    *,
    store: options.Store = options.DEFAULT_STORE,
    fusion: options.Fusion = DEFAULT_FUSION,
    part: Annotated[
        str | None, typer.Option(help="N/M: the N-th of M equal parts, chosen by file name.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures to this file.")
    ] = None,
    background: options.Background = "none",
    threshold: options.Threshold = DEFAULT_THRESHOLD,
    refine: options.Refine = False,
    exact: options.Exact = False,
    kinds: options.KindsFile = None,
    encoder: options.Encoder = None,
    proposer: options.Proposer = None,
    embed: options.Embed = None,
    looks: options.Looks = None,
    bands: options.Bands = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Measure mIoU on pictures with masks."""
    from rich.console import Console

    from captionary.cli.progress import bars
    from captionary.dictionary import Dictionary
    from captionary.files.atomic import write_atomically
    from captionary.schemas.segmentation import kind_lines, without_noun_line
    from captionary.segmenter.kinds.table import read_kinds
    from captionary.vision.masks.datasets import DatasetFolder

    if json_file is not None:
        _check_writable(json_file)
    table = {} if kinds is None else dict(read_kinds(kinds))
    DatasetFolder(dataset, part=part)  # what is wrong with it is said before a store is opened
    opened = Dictionary(
        None if fusion == "text" else store,
        encoder=encoder,
        proposer=proposer,
        embed=embed,
        looks=looks,
        precision=precision,
        device=device,
        bands=bands,
    )
    with opened as dictionary, bars(Console(stderr=True)) as lines:
        masks, names, bar = lines.add("masks"), lines.add("class names"), lines.add("pictures")
        refused = _Refused()
        figures = dictionary.evaluate(
            dataset,
            part=part,
            fusion=fusion,
            background=background,
            threshold=threshold,
            refine=refine,
            exact=exact,
            kinds=table,
            on_mask=masks.show,
            on_name=names.show,
            on_picture=bar.show,
            on_refused=refused,
        )
    figures["settings"]["store"] = store
    _print_figures(figures)
    for line in kind_lines(_pairs(figures["kinds"])):
        print(f"captionary: {line}", file=sys.stderr)
    if figures["without_noun"]:
        print(f"captionary: {without_noun_line(figures['without_noun'])}", file=sys.stderr)
    if json_file is not None:
        write_atomically(json_file, (json.dumps(figures, indent=1) + "\n").encode())
    if figures["left_out"]:
        raise typer.Exit(2)


def _pairs(kinds: Mapping[str, Any]) -> "Kinds":
    """Kinds as `Segmentation` has them, of the JSON of the figures."""
    return {
        name: tuple((kind["noun"], kind["pictures"]) for kind in row) for name, row in kinds.items()
    }


class _Refused:
    """Says why pictures are left out, as soon as it is known; of very many the first."""

    LISTED = 20

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, reason: str) -> None:
        self.count += 1
        if self.count <= self.LISTED:
            print(f"captionary: {reason}", file=sys.stderr)
        elif self.count == self.LISTED + 1:
            print("captionary: more are left out; --json lists all", file=sys.stderr)


def _check_writable(path: Path) -> None:
    """Find out before the work, not after it, whether a file can be written."""
    try:
        path.open("a").close()
    except OSError as error:
        wrong = WrongInput(f"cannot write {path}: {error.strerror}; change --json")
        raise disk_full(error, path) or wrong from error


def _print_figures(figures: Mapping[str, Any]) -> None:
    """A table of the classes, and the means below it."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from captionary.segmenter.confusion import percent

    table = Table("class", "IoU %", box=None)
    for name, iou in figures["iou"].items():
        table.add_row(escape(name), percent(iou))
    Console().print(table)
    left_out = len(figures["left_out"])
    print(
        f"mIoU {percent(figures['miou'])} %, pixel accuracy "
        f"{percent(figures['pixel_accuracy'])} %, {figures['images']} pictures, "
        f"{figures['seconds_per_image']:.2f} s each{f', {left_out} left out' * bool(left_out)}"
    )
    for note in figures["notes"]:
        print(note, file=sys.stderr)
