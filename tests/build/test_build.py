import json
import shutil
from itertools import islice
from pathlib import Path

import pytest

from captionary.build import Models, build_refresher, open_indexer, open_dictionary
from captionary.indexer.readers import read_pairs
from captionary.schemas.errors import FingerprintMismatch, WrongInput
from captionary.vision.embedding.views import DEFAULT, choose_embedding
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.catalogue import BUNDLED


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
    both = f"clusters+masks:{tmp_path / 'here'}"
    assert remembered("clusters+masks:here") == both


def copied(folder: Path, embed: object) -> str:
    """The bundled model as a folder that says how to embed."""
    copy = shutil.copytree(BUNDLED["mini"], folder)
    config = copy / "open_clip_config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "captionary_embed": embed}))
    return f"local-dir:{copy}"


@pytest.mark.parametrize(
    ("named", "by_the_model", "expected"),
    [
        (None, None, DEFAULT),
        (None, "dense:sclip", "dense:sclip"),
        ("tokens", "dense:sclip", "tokens"),
    ],
)
def test_how_to_embed_is_named_by_the_user_or_the_model(
    tmp_path: Path, named: str | None, by_the_model: str | None, expected: str
) -> None:
    models = Models(copied(tmp_path / "copy", by_the_model), embed=named).completed({})
    encoder, extractor = models.load()
    assert models.names(encoder)["embed"] == expected
    way = choose_embedding(expected)
    assert extractor.embedder.fingerprint == way.embedder(way.maps(encoder)).fingerprint
    assert extractor.proposer.fingerprint.startswith("superpixels-")
    assert "+clusters-" in extractor.proposer.fingerprint


@pytest.mark.parametrize("embed", ["patches", 8])
def test_a_model_that_names_an_unknown_way(tmp_path: Path, embed: object) -> None:
    with pytest.raises(
        WrongInput, match=f"in the configuration of .*copy: unknown way to embed '{embed}'"
    ):
        Models(copied(tmp_path / "copy", embed)).completed({}).load()


def test_a_refresher_needs_the_encoder_alone(scenes: Path, tmp_path: Path) -> None:
    """Whatever regions were cut and embedded by; another encoder is told by what the store has."""
    store = str(tmp_path / "store")
    models = Models("mini", "superpixels", "tokens+dense")
    pairs = islice(read_pairs(str(scenes / "captions.jsonl")), 2)
    with open_indexer(models, store) as indexer:
        assert indexer.index(pairs).added == 2
    with open_dictionary(store) as dictionary:
        build_refresher(dictionary, Models())
        other = Models(copied(tmp_path / "copy", None), precision="bfloat16")
        with pytest.raises(FingerprintMismatch, match="the store was built with"):
            build_refresher(dictionary, other)
