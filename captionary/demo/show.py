"""The demo from a folder's name to everything in it."""

import json
from pathlib import Path
from typing import Any

from captionary.build import Models
from captionary.cli.progress import Bars
from captionary.demo.figures import figures
from captionary.demo.folder import claim_folder
from captionary.demo.page import write_page
from captionary.demo.panels import hang
from captionary.demo.poster import draw_poster
from captionary.demo.scenes import Sizes
from captionary.demo.story import tell
from captionary.schemas.errors import WrongInput


def show(folder: Path, encoder: str, *, seed: int, sizes: Sizes, lines: Bars) -> dict[str, Any]:
    """Play the story and write its figures, pictures and page; answers the figures.

    Raises:
        WrongInput: the folder holds something else or cannot be written, or the models cannot be
            used.
    """
    claim_folder(folder)
    try:
        told = tell(folder, Models(encoder=encoder), seed=seed, sizes=sizes, lines=lines)
        gallery = hang(told, folder)
        measured = figures(told, encoder=encoder, seed=seed, sizes=sizes)
        draw_poster(gallery, told.cast.newcomer.name).save(folder / "story.png")
        write_page(folder, gallery, measured)
        results = json.dumps(measured, indent=1) + "\n"
        (folder / "results.json").write_text(results, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise WrongInput(f"cannot write into {folder}: {reason}; give another --out") from error
    return measured
