"""The commands: what is typed, and what is printed. The work is done elsewhere."""

import gc
import importlib.metadata
import logging
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import typer

from captionary.cli import (
    about,
    corrections,
    demo,
    evaluate,
    index,
    segment,
    serve,
    train,
    vocabulary,
    world,
)
from captionary.files.free_space import disk_full
from captionary.schemas.errors import CaptionaryError, WrongInput

INTERRUPTED = 130

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"captionary {importlib.metadata.version('captionary')}")
        raise typer.Exit


@app.callback()
def _captionary(
    *,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """A visual dictionary that grows from captions, and a segmenter that reads it."""


app.command()(demo.demo)
app.command()(index.index)
app.command()(segment.segment)
app.command()(evaluate.evaluate)
app.command()(world.world)
app.add_typer(vocabulary.app, name="vocabulary")
for correct in (
    corrections.teach,
    corrections.untag,
    corrections.rename,
    corrections.merge,
    corrections.alias,
    corrections.block,
    corrections.history,
    corrections.undo,
):
    vocabulary.app.command()(correct)
app.command()(train.train)
app.command()(serve.serve)
app.command()(about.models)
app.command()(about.doctor)


NEW_OBJECTS = 50_000
"""New objects after which Python looks for cycles. At its own 700 a tenth of a short command's time
goes into that while torch and open_clip are imported, which leave hardly any."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit code 2 for the user's mistakes, 1 for faults, 130 interrupted.

    Args:
        arguments: those after the program's name; None: those of this process.
    """
    gc.set_threshold(NEW_OBJECTS)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name of a file must not end a run
            stream.reconfigure(errors="backslashreplace")
    # Before a library sets its own form; `serve` has another.
    logging.basicConfig(format="captionary: %(message)s")
    try:
        code = app(args=arguments, prog_name="captionary", standalone_mode=False)
        sys.stdout.flush()  # where it is a file its disk may be full, too
    except CaptionaryError as error:
        _print_error(str(error))
        sys.exit(2 if isinstance(error, WrongInput) else 1)
    except OSError as error:
        if (full := disk_full(error)) is None:
            raise
        _print_error(str(full))
        sys.exit(1)
    except typer.TyperException as error:
        _print_error(_usage(error))
        sys.exit(2)
    if code == INTERRUPTED:
        print("interrupted; nothing is lost, run the same command again", file=sys.stderr)
    sys.exit(code or 0)


def _print_error(message: str) -> None:
    """Print an error in one line, if there is anything to print."""
    if message:
        print(f"captionary: {message}", file=sys.stderr)


def _usage(error: typer.TyperException) -> str:
    """Typer's message for a command line that it cannot parse, and where to find help."""
    context, message = getattr(error, "ctx", None), getattr(error, "format_message", error.__str__)
    text = " ".join(message().split()).rstrip(".")
    path = "captionary" if context is None else context.command_path
    return f"{text}; see '{path} --help'" if text else ""
