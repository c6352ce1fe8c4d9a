"""`captionary vocabulary report`, `calibrate` and `prune`: how good a dictionary is, and tuning."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from captionary.cli import options
from captionary.dictionary import Dictionary
from captionary.files.atomic import write_atomically
from captionary.schemas.errors import WrongInput

if TYPE_CHECKING:
    from captionary.segmenter.quality import Report

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and no more.")]
SHOWN = 10
"""Lines printed of each part of the report."""


def report(
    *,
    store: options.Store = options.DEFAULT_STORE,
    out: Annotated[
        Path | None, typer.Option(help="HTML page with pictures to write; .json: the figures.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: options.Device = "auto",
) -> None:
    """Say how good each noun is, by the dictionary's own captions, and what to do next."""
    with Dictionary(store, device=device) as dictionary, _pictures() as shown:
        found = dictionary.report(shown)
    if out is not None:
        _write(found, out)
    if as_json:
        print(json.dumps(found.to_json()))
        return
    doubtful = [item for item in found.nouns if item.doubtful]
    print(
        f"{len(found.nouns)} nouns asked in {found.asked} pictures: "
        f"separation {found.separation:.2f}, {len(doubtful)} nouns doubtful"
    )
    for item in doubtful[:SHOWN]:
        taken = f", taken for {', '.join(item.confused)}" if item.confused else ""
        print(
            f"  doubtful: {item.noun} {item.separation:.2f} ± {item.error:.2f} "
            f"in {item.pictures} pictures{taken}"
        )
    for suggestion in found.next[:SHOWN]:
        where = suggestion.point[0].image_id if suggestion.point else "a new picture"
        print(f"  next: point at {suggestion.noun} in {where}, gains {100 * suggestion.gain:.2f} %")
    if found.unsupported:
        print(
            f"  {len(found.unsupported)} nouns of captions have no support: see 'prune --dry-run'"
        )
    if out is not None:
        print(f"written to {out}")


def _write(found: "Report", out: Path) -> None:
    from captionary.segmenter.quality import page_of

    if out.suffix.lower() not in (".html", ".htm", ".json"):
        raise WrongInput(f"the report {out} is neither .html nor .json; name it so")
    text = json.dumps(found.to_json()) if out.suffix.lower() == ".json" else page_of(found)
    write_atomically(out, lambda file: file.write(text.encode()))


def calibrate(
    *,
    store: options.Store = options.DEFAULT_STORE,
    on: Annotated[
        Path | None, typer.Option(help="Dataset folder with masks to choose by, not captions.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="N/M: one of equal parts of it.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Back to what all start with.")] = False,
    dry_run: DryRun = False,
    device: options.Device = "auto",
) -> None:
    """Choose how much each witness counts in this dictionary, by its own captions or by masks."""
    if part is not None and on is None:
        raise WrongInput("--part is of a dataset; name one with --on")
    with Dictionary(store, device=device) as dictionary:
        if reset:
            dictionary.reset_weights()
            print(f"weights are as in any dictionary again in {store}")
            return
        with _pictures() as shown:
            found = dictionary.calibrate(on=on, part=part, keep=not dry_run, on_picture=shown)
    print(
        f"prototypes {found.weights.prototypes:g}, captions {found.weights.captions:g}, "
        f"scale {found.weights.scale:g}: "
        + ("chosen" if found.changed else "as in any dictionary, for no others are clearly better")
    )
    measure = "mIoU" if on is not None else "score by captions"
    print(
        f"{measure} {100 * found.score_before:.1f} -> {100 * found.score_after:.1f} "
        f"on {found.pictures} pictures{'; nothing was written' if dry_run else ''}"
    )


def prune(
    *,
    store: options.Store = options.DEFAULT_STORE,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: options.Device = "auto",
) -> None:
    """Take from pictures the nouns of captions that nothing in them supports."""
    with Dictionary(store, device=device) as dictionary, _pictures() as shown:
        found, corrected = dictionary.prune(keep=not dry_run, on_picture=shown)
    if as_json:
        print(json.dumps([{"noun": noun, "image_id": image_id} for noun, image_id in found]))
        return
    if dry_run:
        for noun, image_id in found:
            print(f"{noun}  {image_id}")
        print(f"{len(found)} nouns of captions have no support; nothing was changed")
    elif corrected is None or corrected.number is None:
        print("no noun of a caption lacks support; nothing was changed")
    else:
        print(
            f"{len(found)} nouns taken from pictures, {corrected.nouns} nouns made anew; "
            f"back with 'captionary vocabulary undo {corrected.number}'"
        )


@contextmanager
def _pictures() -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console

    from captionary.cli.progress import bars

    with bars(Console(stderr=True)) as lines:
        line = lines.add("pictures")
        yield line.show
