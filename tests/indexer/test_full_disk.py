"""Indexing stopped by a full disk: with room again, the same run ends as it would have."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from captionary.indexer import pipeline
from captionary.indexer.nouns import NounExtractor
from captionary.schemas.errors import DiskFull
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.indexer.planted import DIM, EXTRACTOR, SCENES, dump, index, indexer, pairs, stored


@dataclass
class FillingDisk:
    """A disk that is full after it was asked a number of times."""

    left: int

    def __call__(self, _path: Path) -> int:
        self.left -= 1
        return 1 << 40 if self.left >= 0 else 0


def test_a_run_that_a_full_disk_stopped_goes_on(
    tmp_path: Path, nouns: NounExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BATCH", 2)
    world = pairs(tmp_path / "pictures", SCENES)
    index(tmp_path / "whole", world, nouns)
    disk, stops = FillingDisk(1), 0
    while True:
        try:
            with StoredDictionary(
                EdgeEngine(tmp_path / "store", free=disk),
                fingerprint=EXTRACTOR.fingerprint,
                dim=DIM,
            ) as dictionary:
                indexer(dictionary, nouns).index(world)
                result = dump(dictionary)
            break
        except DiskFull:
            # A little further each time, so that it is stopped at every kind of step.
            disk.left, stops = 5 * (stops + 1), stops + 1
    assert stops >= 3
    assert result == stored(tmp_path / "whole")
