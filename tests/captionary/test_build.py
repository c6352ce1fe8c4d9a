from pathlib import Path

import pytest

from captionary.build import Models
from vision.encoder import ClipEncoder


def test_a_store_remembers_folders_by_their_full_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    encoder = ClipEncoder("mini", device="cpu", precision="float32")

    def remembered(proposer: str) -> str:
        return Models("mini", proposer, "crop").names(encoder)["proposer"]

    assert remembered("masks:here") == f"masks:{tmp_path / 'here'}"
    assert remembered("sam:here") == f"sam:{tmp_path / 'here'}"
    assert remembered("sam:facebook/sam2.1-hiera-tiny") == "sam:facebook/sam2.1-hiera-tiny"
    assert remembered("superpixels") == "superpixels"
