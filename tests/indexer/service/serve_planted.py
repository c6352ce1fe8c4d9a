"""The indexer's service on the planted world, in a process of its own: serve_planted.py FOLDER."""

import sys
from pathlib import Path

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.service import worker
from captionary.serving.server import address_of, listen, serve
from captionary.vocabulary.engines.edge import EdgeEngine
from tests.indexer.service.served import Parts


def main(folder: Path) -> None:
    """Serve a folder's store and queue, a few pictures at a time; tell the address first."""
    worker.BATCH = 4
    parts = Parts(folder, NounExtractor(), engine=EdgeEngine(folder / "store"))
    with parts.opened() as dictionary:
        listening = listen("127.0.0.1", 0)
        print(address_of(listening), flush=True)
        serve(parts.app(dictionary), listening)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
