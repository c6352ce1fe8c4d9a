"""The commands: what is typed, and what is printed. The work is done elsewhere."""

import sys

import typer

from captionary import (
    about_command,
    evaluate_command,
    index_command,
    segment_command,
    vocabulary_command,
)
from schemas.errors import CaptionaryError, WrongInput

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _captionary() -> None:
    """A visual dictionary that grows from captions, and a segmenter that reads it."""


app.command()(index_command.index)
app.command()(segment_command.segment)
app.command()(evaluate_command.evaluate)
app.add_typer(vocabulary_command.app, name="vocabulary")
app.command()(about_command.models)
app.command()(about_command.doctor)


def main() -> None:
    """Run the command line: exit code 2 for the user's mistakes, 1 for faults."""
    try:
        app()
    except CaptionaryError as error:
        print(f"captionary: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, WrongInput) else 1)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        sys.exit(130)
