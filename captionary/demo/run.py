"""Runs the demo: from the name of a folder to everything in it."""

import json
from pathlib import Path
from typing import Any

from captionary.build import ModelNames
from captionary.demo.figures import compute_figures
from captionary.demo.folder import claim_folder
from captionary.demo.page import write_page
from captionary.demo.panels import draw_gallery
from captionary.demo.poster import draw_poster
from captionary.demo.scenes import Sizes
from captionary.demo.story import ProgressBars, play_story
from captionary.files.free_space import disk_full
from captionary.schemas.errors import WrongInput, one_line


def run_demo(
    folder: Path, encoder: str, *, seed: int, sizes: Sizes, progress: ProgressBars
) -> dict[str, Any]:
    """Run the demo in a folder and return its figures.

    Raises:
        WrongInput: the folder holds something else or cannot be written, or the models cannot be
            used.
    """
    claim_folder(folder)
    try:
        story = play_story(
            folder, ModelNames(encoder=encoder), seed=seed, sizes=sizes, progress=progress
        )
        gallery = draw_gallery(story, folder)
        figures = compute_figures(story, encoder=encoder, seed=seed, sizes=sizes)
        draw_poster(gallery, story.cast.newcomer.name).save(folder / "story.png")
        write_page(folder, gallery, figures)
        results = json.dumps(figures, indent=1) + "\n"
        (folder / "results.json").write_text(results, encoding="utf-8")
    except OSError as error:
        wrong = WrongInput(f"cannot write into {folder}: {one_line(error)}; give another --out")
        raise disk_full(error, folder) or wrong from error
    return figures
