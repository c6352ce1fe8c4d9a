"""`captionary vocabulary`: look at a dictionary, take things out of it, copy it, share it.

What corrects it is in corrections.py.
"""

import json
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from captionary.cli import options, quality
from captionary.dictionary import Dictionary
from captionary.schemas.errors import WrongInput
from captionary.schemas.nouns import NounIndex

if TYPE_CHECKING:
    from captionary.schemas.dictionary import Prototype

app = typer.Typer(
    help="Look at the dictionary, correct it, take things out of it, copy it, share it.",
    no_args_is_help=True,
)

app.command()(quality.report)
app.command()(quality.calibrate)
app.command()(quality.prune)


@app.command(name="list")
def list_nouns(
    *,
    store: options.Store = options.DEFAULT_STORE,
    limit: Annotated[int, typer.Option(help="Lines at most; 0 for all.", min=0)] = 50,
) -> None:
    """List the nouns, those of most pictures first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    with Dictionary(store) as dictionary:
        entries = dictionary.nouns()
    table = Table("noun", "pictures", "regions", "prototypes", box=None)
    for entry in entries[: limit or None]:
        counts = (entry.pictures, entry.regions, entry.prototypes)
        table.add_row(escape(entry.noun), *map(str, counts))
    Console().print(table)
    print(f"{len(entries)} nouns")


@app.command()
def show(
    noun: Annotated[str, typer.Argument(help="A noun of the dictionary, in any spelling.")],
    *,
    store: options.Store = options.DEFAULT_STORE,
) -> None:
    """Show the prototypes of a noun, with the captions behind them."""
    with Dictionary(store) as dictionary:
        entries = {entry.noun: entry for entry in dictionary.nouns()}
        found = NounIndex(entries).resolve(noun)
        prototypes = {name: dictionary.prototypes(name) for name in found}
    if not found:
        raise WrongInput(f"the dictionary has no noun {noun!r}; see 'captionary vocabulary list'")
    for name in found:
        print(f"{name}: {entries[name].pictures} pictures, {entries[name].regions} regions")
        for prototype in prototypes[name]:
            _print_prototype(prototype)


def _print_prototype(prototype: "Prototype") -> None:
    kind = {"guessed": "", "pointed": ", pointed at", "refused": ", refused"}[prototype.kind]
    print(
        f"prototype {prototype.number}: {prototype.size} regions, "
        f"spread {prototype.spread:.2f}{kind}"
    )
    for exemplar in prototype.exemplars:
        print(
            f"  {exemplar.similarity:.2f}  {exemplar.image_id} box {exemplar.box_xyxy} "
            f"region {exemplar.index}: {exemplar.caption}"
        )


@app.command()
def remove(
    *,
    image: Annotated[str | None, typer.Option(help="Id of a picture.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of a source.")] = None,
    store: options.Store = options.DEFAULT_STORE,
    encoder: options.Encoder = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Remove a picture or a source, and refresh the nouns that it had taught."""
    if (image is None) == (source is None):
        raise WrongInput("name what to remove: either --image ID or --source NAME")
    opened = Dictionary(store, encoder=encoder, device=device, precision=precision)
    with opened as dictionary:
        pictures, nouns = dictionary.remove(image=image, source=source)
    print(f"{pictures} pictures removed, {nouns} nouns refreshed in {store}")


@app.command()
def stats(
    *,
    store: options.Store = options.DEFAULT_STORE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count what the dictionary holds."""
    with Dictionary(store) as dictionary:
        figures = asdict(dictionary.stats())
    if as_json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:12} {value}")


@app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="Folder or URL of a dictionary.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="Folder or URL without one.")],
) -> None:
    """Copy a dictionary to or from a server, or to another folder; killed, it goes on."""
    from rich.console import Console

    from captionary.cli.progress import bars
    from captionary.vocabulary.copying import copy_store
    from captionary.vocabulary.engines.choice import open_engine
    from captionary.vocabulary.engines.engine import NAMES

    with closing(open_engine(source)) as engine, closing(open_engine(target)) as other:
        with bars(Console(stderr=True)) as lines:
            shown = {name: lines.add(name) for name in NAMES}
            result = copy_store(
                engine, other, report=lambda name, done, total: shown[name].show(done, total)
            )
        print(
            f"{result.points} points copied from {engine.address} to {other.address}: "
            f"{result.written} written, {result.points - result.written} there already, "
            f"{result.deleted} deleted"
        )


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    *,
    thumbnails: Annotated[
        bool, typer.Option(help="With the small pictures that evidence is shown by.")
    ] = True,
    licence: Annotated[
        str, typer.Option("--license", help="Under what it may be used; a free text.")
    ] = "",
    note: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE=TEXT", help="Where a source's pictures are from; repeatable."),
    ] = None,
    store: options.Store = options.DEFAULT_STORE,
) -> None:
    """Write the dictionary into one file, which 'vocabulary import' reads anywhere."""
    from rich.console import Console

    from captionary.cli.progress import bars

    notes = dict(_parse_note(text) for text in note or ())
    with Dictionary(store) as dictionary, bars(Console(stderr=True)) as lines:
        done = dictionary.export(
            file,
            thumbnails=thumbnails,
            license=licence,
            notes=notes,
            on_picture=lines.add("pictures").show,
        )
    print(f"{done.pictures} pictures with {done.regions} regions exported to {file}")


def _parse_note(text: str) -> tuple[str, str]:
    source, equals, note = text.partition("=")
    if not equals:
        raise WrongInput(f"--note {text!r} must be SOURCE=TEXT")
    return source, note


@app.command(name="import")
def import_(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FROM...", help="Exported files, or folders or URLs of dictionaries."
        ),
    ],
    *,
    store: options.Store = options.DEFAULT_STORE,
    encoder: options.Encoder = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Take in other dictionaries of the same models; killed, it goes on."""
    from rich.console import Console

    from captionary.cli.progress import bars

    opened = Dictionary(store, encoder=encoder, device=device, precision=precision)
    with opened as dictionary, bars(Console(stderr=True)) as lines:
        pictures, nouns = lines.add("pictures"), lines.add("nouns")
        job = dictionary.import_(*sources, on_picture=pictures.show, on_noun=nouns.show)
    print(
        f"{job.pairs} pictures: {job.added} added or joined, {job.known} known already, "
        f"{len(job.failures)} left out; {job.nouns} nouns refreshed in {store}"
    )
    for failure in job.failures:
        print(f"left out: {failure.where}: {failure.reason}", file=sys.stderr)
    if len(job.failures) == job.pairs > 0:
        raise typer.Exit(2)
