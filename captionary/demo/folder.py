"""The folder of a demo, which the next demo replaces; what else lies in it is left alone."""

import shutil
from pathlib import Path

from captionary.schemas.errors import WrongInput

ABOUT = "ABOUT.txt"
MADE = (
    *("index.html", "story.png", "results.json", "pictures", "dictionary"),
    *("captioned", "held-out", "newcomer", "newcomer-held-out"),
)

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
    """Make a folder ready for a demo, without what an earlier one left there.

    Raises:
        WrongInput: it holds something else, or cannot be written.
    """
    about = folder / ABOUT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = about.exists() and about.read_bytes().startswith(SIGN.encode())
        if not there and any(folder.iterdir()):
            raise WrongInput(f"{folder} holds something else than a demo; give another --out")
        about.write_text(TEXT, encoding="utf-8")
        for name in MADE:
            _remove(folder / name)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WrongInput(f"cannot write into {folder}: {reason}; give another --out") from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
