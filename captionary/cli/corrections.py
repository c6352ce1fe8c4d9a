"""`captionary vocabulary teach` and its like: what users say of nouns and regions, and undoing it.

Each command prints one line: what is in force now, and how to undo it.
"""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from captionary.cli import options
from captionary.dictionary import Dictionary
from captionary.schemas.errors import WrongInput
from captionary.schemas.pointing import WHOLE_PICTURE, MaskArea

if TYPE_CHECKING:
    from captionary.indexer.corrector import Corrected
    from captionary.schemas.corrections import Correction

NounName = Annotated[str, typer.Argument(help="A noun, in any spelling.")]
ImageId = Annotated[str, typer.Argument(help="Id of a stored picture.")]
Region = Annotated[
    int | None,
    typer.Option(help="Index of a stored region, as 'vocabulary show' names them.", min=0),
]


def teach(
    noun: NounName,
    image: Annotated[
        str, typer.Argument(help="A picture's file; with --region, the id of a stored one.")
    ],
    *,
    box: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Where it is, in pixels.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="PNG of the picture's size that is not 0 where it is."),
    ] = None,
    region: Region = None,
    refused: Annotated[bool, typer.Option("--not", help="What is there is not that noun.")] = False,
    source: Annotated[str, typer.Option(help="Name of the source of a new picture.")] = "",
    store: options.Store = options.DEFAULT_STORE,
    encoder: options.Encoder = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Point at a noun: in a box, a mask, a stored region, or all of a picture."""
    if sum(area is not None for area in (box, mask, region)) > 1:
        raise WrongInput("point in one way: --box X,Y,W,H, --mask PNG or --region N")
    edges = None if box is None else _parse_box(box)
    area = None if mask is None else MaskArea(str(mask))
    opened = Dictionary(store, encoder=encoder, device=device, precision=precision)
    with opened as dictionary:
        if region is None:
            done = dictionary.teach(
                noun, image, box=edges, area=area, refused=refused, source=source
            )
        elif refused:
            done = dictionary.refuse(noun, image, region)
        else:
            done = dictionary.confirm(noun, image, region)
    _print_corrected(done, store)


def _parse_box(text: str) -> tuple[float, float, float, float]:
    """Raises WrongInput where a text is no x, y, width and height."""
    try:
        left, top, width, height = map(float, text.split(","))
    except ValueError as error:
        raise WrongInput(
            f"--box {text!r} is not four numbers: X,Y,W,H, in pixels from the top left corner"
        ) from error
    return left, top, width, height


def untag(
    noun: NounName,
    image: ImageId,
    *,
    region: Region = None,
    store: options.Store = options.DEFAULT_STORE,
    encoder: options.Encoder = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Say that a stored region is not a noun; without --region: that the picture shows none."""
    opened = Dictionary(store, encoder=encoder, device=device, precision=precision)
    with opened as dictionary:
        _print_corrected(dictionary.refuse(noun, image, region), store)


def rename(
    noun: NounName,
    name: Annotated[str, typer.Argument(help="What it is called from now on.")],
    *,
    store: options.Store = options.DEFAULT_STORE,
    encoder: options.Encoder = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Call a noun otherwise, also in captions to come."""
    opened = Dictionary(store, encoder=encoder, device=device, precision=precision)
    with opened as dictionary:
        _print_corrected(dictionary.rename(noun, name), store)


def merge(
    noun: NounName,
    other: Annotated[str, typer.Argument(help="The noun that takes it in.")],
    *,
    store: options.Store = options.DEFAULT_STORE,
    encoder: options.Encoder = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Make a noun a part of another one, also in captions to come."""
    opened = Dictionary(store, encoder=encoder, device=device, precision=precision)
    with opened as dictionary:
        _print_corrected(dictionary.merge(noun, other), store)


def alias(
    noun: NounName,
    name: Annotated[str, typer.Argument(help="Another name, for class lists.")],
    *,
    store: options.Store = options.DEFAULT_STORE,
    encoder: options.Encoder = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Let another name stand for a noun in class lists."""
    opened = Dictionary(store, encoder=encoder, device=device, precision=precision)
    with opened as dictionary:
        _print_corrected(dictionary.alias(noun, name), store)


def block(
    noun: NounName,
    *,
    store: options.Store = options.DEFAULT_STORE,
    encoder: options.Encoder = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Learn a noun no more, and forget what was learned of it."""
    opened = Dictionary(store, encoder=encoder, device=device, precision=precision)
    with opened as dictionary:
        _print_corrected(dictionary.block(noun), store)


def history(
    *,
    store: options.Store = options.DEFAULT_STORE,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """List the corrections in force, oldest first, by the numbers that undo takes."""
    with Dictionary(store) as dictionary:
        corrections = dictionary.history()
    if as_json:
        print(json.dumps([asdict(item) for item in corrections], ensure_ascii=False))
        return
    for item in corrections:
        print(f"{item.number:4}  {said_by(item)}")
    print(f"{len(corrections)} corrections")


def undo(
    number: Annotated[
        int | None, typer.Argument(help="Of the correction; the last one unless given.")
    ] = None,
    *,
    store: options.Store = options.DEFAULT_STORE,
    encoder: options.Encoder = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Take a correction back, as if it had never been said."""
    opened = Dictionary(store, encoder=encoder, device=device, precision=precision)
    with opened as dictionary:
        done = dictionary.undo(number)
    print(f"undone {done.number}: {_said_by_all(done)}; {done.nouns} nouns made anew")


def said_by(correction: "Correction") -> str:
    """What a correction says, in one line."""
    noun, other = repr(correction.noun), repr(correction.other)
    if correction.is_pointing:
        image = f"picture {correction.image_id}"
        if correction.index == WHOLE_PICTURE:
            return f"{noun} is nowhere in {image}"
        verb = "is not" if correction.kind == "refuse" else "is"
        return f"{noun} {verb} region {correction.index} of {image}"
    says = {
        "rename": f"{noun} is called {other}",
        "merge": f"{noun} is a part of {other}",
        "alias": f"{other} is another name of {noun}",
        "block": f"{noun} is not learned",
    }
    return says[correction.kind]


def _print_corrected(done: "Corrected", store: str) -> None:
    if not done.corrections:
        print(f"that is in force already, see 'captionary vocabulary history'; {_made(done)}")
        return
    place = "" if store == options.DEFAULT_STORE else f" --store {shlex.quote(store)}"
    print(
        f"{_said_by_all(done)}; {_made(done)}; "
        f"undo with 'captionary vocabulary undo {done.number}{place}'"
    )


def _said_by_all(done: "Corrected") -> str:
    """What was said in one go, in one line."""
    first, *others = done.corrections
    return said_by(first) + (f", and {len(others)} more" if others else "")


def _made(done: "Corrected") -> str:
    return f"{done.nouns} nouns made anew"
