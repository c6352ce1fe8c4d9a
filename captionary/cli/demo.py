"""`captionary demo`: the whole story on drawn scenes, as a table, pictures and a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from captionary.schemas.errors import WrongInput


def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder for page, pictures and figures.")] = Path(
        "demo"
    ),
    encoder: Annotated[
        str, typer.Option(help="What looks at the scenes: mini, pgseg-mini or vilseg-mini.")
    ] = "mini",
    seed: Annotated[int, typer.Option(help="Another seed, other nouns and scenes.", min=0)] = 0,
) -> None:
    """Show what captions teach, on drawn scenes: offline, in a few minutes."""
    from rich.console import Console

    from captionary.cli.progress import bars
    from captionary.demo.run import run_demo
    from captionary.demo.scenes import Sizes
    from captionary.vision.clip.catalogue import BUNDLED

    if encoder not in BUNDLED:
        known = ", ".join(BUNDLED)
        raise WrongInput(f"{encoder!r} does not know the demo's pictograms; choose one of {known}")
    with bars(Console(stderr=True)) as lines:
        figures = run_demo(out, encoder, seed=seed, sizes=Sizes(), progress=lines)
    _report(figures, out)


def _report(figures: Mapping[str, Any], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from captionary.segmenter.confusion import percent

    settings, growth, seconds = (figures[part] for part in ("settings", "growth", "seconds"))
    encoder = settings["encoder"]
    print(
        f"{settings['captioned']} captioned scenes taught {settings['seen']} nouns that {encoder} "
        f"has seen in its training and {settings['novel']} novel ones; mIoU on "
        f"{settings['held_out']} other scenes, %:"
    )
    table = Table("", *figures["novel"], box=None)
    for name in ("seen", "novel"):
        table.add_row(name, *map(percent, figures[name].values()))
    Console().print(table)
    print(
        f"a new word, {growth['noun']}: {settings['taught']} captioned scenes in "
        f"{seconds['teach']:.0f} s took its IoU from {percent(growth['before'])} to "
        f"{percent(growth['after'])} %\n"
        f"{encoder} knows pictograms only; photographs need a CLIP of photographs, such as the "
        "default\n"
        f"{sum(seconds.values()):.0f} s in all; open {out / 'index.html'}"
    )
