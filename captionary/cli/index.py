"""`captionary index`: captioned pictures into the dictionary."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from captionary.cli import options
from captionary.files.atomic import write_atomically
from captionary.files.free_space import disk_full
from captionary.schemas.errors import WrongInput, readable
from captionary.schemas.jobs import Job
from captionary.schemas.pairs import PairFailure


def index(
    source: Annotated[
        str,
        typer.Argument(help="JSON Lines, CSV, Parquet, COCO, YOLO, tar shards, or a folder."),
    ],
    *,
    store: options.Store = options.DEFAULT_STORE,
    encoder: options.Encoder = None,
    proposer: options.Proposer = None,
    embed: options.Embed = None,
    looks: options.Looks = None,
    images: Annotated[
        str | None, typer.Option(help="Folder that relative picture names refer to.")
    ] = None,
    source_name: Annotated[
        str, typer.Option("--source", help="Name for these pictures, to filter or remove by.")
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Captions replace those of known pictures.")
    ] = False,
    pipeline: Annotated[
        str | None, typer.Option(help="An installed spaCy pipeline, for other languages.")
    ] = None,
    keep: options.Keep = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads; one a core unless given.", min=1)
    ] = None,
    bands: options.Bands = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
) -> None:
    """Add captioned pictures to the dictionary; what it has already is skipped."""
    from rich.console import Console

    from captionary.cli.progress import bars
    from captionary.dictionary import Dictionary
    from captionary.indexer.readers import count_pairs, read_pairs

    # What is wrong with the source is said before a store is opened or a model is loaded.
    pairs = read_pairs(source, images=images, source_name=source_name)
    opened = Dictionary(
        store,
        encoder=encoder,
        proposer=proposer,
        embed=embed,
        looks=looks,
        precision=precision,
        device=device,
        pipeline=pipeline,
        keep=keep or (),
        workers=workers,
        bands=bands,
    )
    with opened as dictionary, bars(Console(stderr=True)) as lines:
        pictures = lines.add("pictures", count_pairs(source))
        nouns = lines.add("nouns")
        job = dictionary.index(
            pairs,
            replace=replace,
            on_pair=lambda state: pictures.show(state.pairs),
            on_noun=nouns.show,
        )
    _print_job(job, failures=failures_file(store), store=store)


def failures_file(store: str) -> Path:
    """Beside the folder of a store; for a server's dictionary, its name in the current folder."""
    if "://" not in store:
        return Path(f"{store.rstrip('/')}.failures.jsonl")
    from captionary.vocabulary.engines.server_address import ServerAddress

    return Path(f"{ServerAddress.parse(store).name}.failures.jsonl")


def _print_job(job: Job, *, failures: Path, store: str) -> None:
    # Rows are told where several made a pair: every row is in a pair or refused.
    rows = f"{job.rows} rows, " if job.rows != job.pairs else ""
    print(
        f"{rows}{job.pairs} pairs: {job.added} indexed, {job.known} known already, "
        f"{len(job.failures)} refused; {job.nouns} nouns refreshed in {readable(store)}"
    )
    _write_failures(job.failures, failures)
    if job.failures:
        first = job.failures[0]
        print(
            f"refused, first: {first.where}: {first.reason}\n"
            f"all of them: {readable(str(failures))}",
            file=sys.stderr,
        )
    for note in job.notes:
        print(note, file=sys.stderr)
    if len(job.failures) == job.pairs > 0:
        raise typer.Exit(2)


def _write_failures(failed: Sequence[PairFailure], path: Path) -> None:
    """One JSON object a line: where, image, reason; no file where there are none."""
    lines = [json.dumps(asdict(failure), ensure_ascii=False) + "\n" for failure in failed]
    try:
        path.unlink(missing_ok=True)
        if lines:
            write_atomically(path, "".join(lines).encode())
    except OSError as error:
        wrong = WrongInput(f"cannot write the list of refused pairs: {error}")
        raise disk_full(error, path) or wrong from error
