"""Folders whose tokenizer has a vocabulary of its own, relative to the folder."""

import gzip
import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file

from captionary.schemas.errors import WrongInput
from captionary.vision.clip.encoder import ClipEncoder

MERGES = ("d o", "do g</w>", "c a", "ca t</w>")
SYMBOLS = 512 + len(MERGES) + 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = {"context_length": 20, "vocab_size": SYMBOLS, "width": 32, "heads": 2, "layers": 1}
    config = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 32, "head_width": 16},
        "text_cfg": {**text, "tokenizer_kwargs": {"bpe_path": "merges.txt.gz"}},
    }
    config["vision_cfg"]["layers"] = 1  # type: ignore[index]
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    write_merges(tmp_path, *MERGES)
    torch.manual_seed(5)
    model = open_clip.create_model(f"local-dir:{tmp_path}")
    halves = {name: value.half() for name, value in model.state_dict().items()}
    save_file(halves, tmp_path / "open_clip_model.safetensors")
    return tmp_path


def write_merges(folder: Path, *merges: str) -> None:
    content = "\n".join(("#", *merges)).encode()
    (folder / "merges.txt.gz").write_bytes(gzip.compress(content, mtime=0))


def load(folder: Path) -> ClipEncoder:
    return ClipEncoder(f"local-dir:{folder}", device="cpu", precision="float32", templates="plain")


def test_texts_are_tokenized_with_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    tokenizer = SimpleTokenizer(bpe_path=str(folder / "merges.txt.gz"), context_length=20)
    with torch.inference_mode():
        theirs = model.encode_text(tokenizer(["a photo of a dog."]), normalize=True).numpy()

    np.testing.assert_allclose(load(folder).encode_texts(["dog"]), theirs, atol=1e-6)
    assert len(tokenizer.encode("dog")) == 1


def test_the_vocabulary_is_part_of_the_fingerprint(folder: Path) -> None:
    before = load(folder).fingerprint
    assert load(folder).fingerprint == before

    write_merges(folder, *reversed(MERGES))

    assert load(folder).fingerprint != before


def test_damaged_and_foreign_vocabularies_are_refused(folder: Path) -> None:
    path = folder / "merges.txt.gz"
    whole = path.read_bytes()
    for content in (b"no gzip", whole[:-12], gzip.compress(b"\xff\xfe")):
        path.write_bytes(content)
        with pytest.raises(WrongInput, match=r"(?s)vocabulary .*merges\.txt\.gz.*copy the folder"):
            load(folder)
    for merges, symbols in (((*MERGES, "o n"), 519), ((), 514)):
        write_merges(folder, *merges)
        with pytest.raises(WrongInput, match=f"has {symbols} symbols but the model knows 518"):
            load(folder)
    path.unlink()
    with pytest.raises(WrongInput, match=r"has no vocabulary merges\.txt\.gz"):
        load(folder)
