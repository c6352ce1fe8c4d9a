"""`python -m tools.openapi FOLDER`: the OpenAPI documents of the services, as files."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from captionary.build import Models
from captionary.build_services import open_app
from captionary.serving.settings import ServeSettings

ROLES: tuple[Literal["indexer", "segmenter"], ...] = ("indexer", "segmenter")


def documents() -> Iterator[tuple[str, str]]:
    """The name of each service's file, and what is to stand in it."""
    with tempfile.TemporaryDirectory() as folder:
        for role in ROLES:
            # The smallest models, and an empty dictionary: they leave no trace in a document.
            with open_app(role, Models("mini"), f"{folder}/store", ServeSettings()) as app:
                document = json.dumps(app.openapi(), indent=1, ensure_ascii=False, sort_keys=True)
            yield f"{role}.json", document + "\n"


def main(folder: Path) -> None:
    """Write them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents():
        (folder / name).write_text(document, encoding="utf-8")
        print(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
