"""`captionary segment`: pictures and class names to class maps."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from captionary.cli import options
from captionary.files.picture_formats import SUFFIXES, is_picture
from captionary.schemas.classes import parse_classes
from captionary.schemas.errors import UnreadablePicture, WrongInput, readable
from captionary.schemas.notes import Note, merge_notes
from captionary.schemas.options import DEFAULT_FUSION, DEFAULT_THRESHOLD

if TYPE_CHECKING:
    from captionary.schemas.segmentation import Kinds


def segment(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures.")],
    *,
    classes: Annotated[str, typer.Option(help="'road, sky, person: man | woman' or @FILE.")],
    store: options.Store = options.DEFAULT_STORE,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("segmented"),
    format: Annotated[str, typer.Option(help="Any of overlay,png,coco,json.")] = "overlay,png,json",
    fusion: options.Fusion = DEFAULT_FUSION,
    background: options.Background = "none",
    threshold: options.Threshold = DEFAULT_THRESHOLD,
    refine: options.Refine = False,
    exact: options.Exact = False,
    kinds: options.KindsFile = None,
    evidence: Annotated[
        int, typer.Option(help="Prototypes named for each region in the JSON.", min=0)
    ] = 3,
    encoder: options.Encoder = None,
    proposer: options.Proposer = None,
    embed: options.Embed = None,
    looks: options.Looks = None,
    bands: options.Bands = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Label every pixel of pictures with class names."""
    from rich.console import Console

    from captionary.cli.progress import bars
    from captionary.dictionary import Dictionary
    from captionary.schemas.segmentation import kind_lines, without_noun_line
    from captionary.segmenter.kinds.table import read_kinds
    from captionary.segmenter.outputs import parse_formats

    if os.path.isfile(classes):  # noqa: PTH113  (pathlib's fails on names that are too long)
        raise WrongInput(
            f"{classes} is a file; write @{classes} to have the classes in it read, or "
            f"'{classes},' for a class of that name"
        )
    named, formats = parse_classes(classes), parse_formats(format)
    table = {} if kinds is None else dict(read_kinds(kinds))
    files = list(_files(pictures))
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
    refused: list[str] = []
    notes: tuple[Note, ...] = ()
    without_noun: tuple[str, ...] = ()
    taken: Kinds = {}
    with opened as dictionary, bars(Console(stderr=True)) as lines:
        names, bar = lines.add("class names"), lines.add("pictures", len(files))
        results = dictionary.segment(
            files,
            named,
            fusion=fusion,
            background=background,
            threshold=threshold,
            refine=refine,
            exact=exact,
            kinds=table,
            evidence=evidence,
            on_name=names.show,
        )
        for done in range(1, len(files) + 1):
            try:
                result = next(results)
                notes = merge_notes((*notes, *result.notes))
                result.save(out, formats)
                without_noun, taken = result.without_noun, result.kinds
            except UnreadablePicture as error:
                refused.append(str(error))
            bar.show(done)
    print(
        f"{len(files) - len(refused)} of {len(files)} pictures segmented into {readable(str(out))}"
    )
    for line in kind_lines(taken):
        print(f"captionary: {line}", file=sys.stderr)
    if without_noun:
        print(f"captionary: {without_noun_line(without_noun)}", file=sys.stderr)
    for reason in refused:
        print(f"captionary: {reason}", file=sys.stderr)
    for note in notes:
        print(note, file=sys.stderr)
    if refused:
        raise typer.Exit(2)


def _files(pictures: list[Path]) -> Iterator[Path]:
    """The pictures named, and those in the folders named, none under a name used before."""
    stems: dict[str, Path] = {}
    for path in pictures:
        try:
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError as error:
            raise WrongInput(f"cannot read the folder {path}: {error.strerror}") from error
        found = [file for file in inside if file == path or is_picture(file.name)]
        if not found:
            raise WrongInput(f"the folder {path} has no pictures ({', '.join(sorted(SUFFIXES))})")
        for file in found:
            if (other := stems.setdefault(file.stem, file)) != file:
                raise WrongInput(
                    f"{other} and {file} would write the same results; segment them into "
                    "different --out folders"
                )
            yield file
