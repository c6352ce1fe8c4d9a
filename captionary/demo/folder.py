"""The folder of a demo: the next demo replaces its files, and leaves all others alone."""

import shutil
from pathlib import Path

from captionary.files.free_space import disk_full
from captionary.schemas.errors import WrongInput, one_line

ABOUT = "ABOUT.txt"
MADE = (
    "index.html",
    "story.png",
    "results.json",
    "pictures",
    "dictionary",
    "captioned",
    "held-out",
    "newcomer",
    "newcomer-held-out",
)
"""What a demo writes, besides ABOUT.txt."""

SIGN = "This folder was made by `captionary demo`, and the next demo replaces"
TEXT = f"""{SIGN} what is listed here.

index.html          the page to open; its pictures are in pictures/
story.png           the story in one picture
results.json        all figures
dictionary/         what the captions taught: a --store for `captionary segment` and others
captioned/          the scenes that taught it, a SOURCE for `captionary index`
held-out/           others with true masks, a DATASET for `captionary evaluate`
newcomer/           scenes that taught one more noun
newcomer-held-out/  others that show it
"""


def claim_folder(folder: Path) -> None:
    """Make a folder for a demo, or remove what an earlier demo wrote there.

    Raises:
        WrongInput: it holds something else, or cannot be written.
    """
    about = folder / ABOUT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_demo = about.exists() and about.read_bytes().startswith(SIGN.encode())
        if not is_demo and any(folder.iterdir()):
            raise WrongInput(f"{folder} holds something else than a demo; give another --out")
        about.write_text(TEXT, encoding="utf-8")
        for name in MADE:
            _remove(folder / name)
    except OSError as error:
        wrong = WrongInput(f"cannot write into {folder}: {one_line(error)}; give another --out")
        raise disk_full(error, folder) or wrong from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
