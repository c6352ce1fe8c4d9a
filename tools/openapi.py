"""Writes the OpenAPI documents of the services: `python -m tools.openapi FOLDER`."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from captionary.build import ModelNames
from captionary.build_services import open_app
from captionary.serving.settings import ServeSettings

ROLES: tuple[Literal["indexer", "segmenter"], ...] = ("indexer", "segmenter")


def build_documents() -> Iterator[tuple[str, str]]:
    """The file name and the OpenAPI document of each service, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        for role in ROLES:
            # The smallest models, and an empty dictionary: they leave no trace in a document.
            with open_app(role, ModelNames("mini"), f"{folder}/store", ServeSettings()) as app:
                document = json.dumps(app.openapi(), indent=1, ensure_ascii=False, sort_keys=True)
            yield f"{role}.json", document + "\n"


def main(folder: Path) -> None:
    """Write the documents into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in build_documents():
        (folder / name).write_text(document, encoding="utf-8")
        print(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
