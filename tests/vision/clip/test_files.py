"""Names, folders and downloads of models: what is wrong with them is one line."""

import json
import shutil
import sys
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import open_clip
import pytest
from safetensors.torch import load_file

from captionary.schemas.errors import MissingExtra, WrongInput
from captionary.vision.clip.catalogue import BUNDLED, CATALOGUE, GROUPING_MODELS, all_model_names
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.files import find_clip


def error_message(name: str) -> str:
    with pytest.raises(WrongInput) as caught:
        ClipEncoder(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unknown_names_list_near_ones() -> None:
    assert "ViT-B-16/openai" in error_message("ViT-B-16/opnai")
    assert "ViT-B-32/" in error_message("ViT-B32/openai")
    assert "ViT-B-16/openai" in error_message("ViT-B-16")
    assert "captionary models" in error_message("zzz")
    assert "captionary models" in error_message("")


def test_folders_that_are_no_models(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mini: str
) -> None:
    source = BUNDLED[mini]
    shutil.copy(source / "merges.txt.gz", tmp_path)
    assert "does not exist" in error_message(f"local-dir:{tmp_path}/none")
    assert "no open_clip_config.json" in error_message(f"local-dir:{tmp_path}")
    config = tmp_path / "open_clip_config.json"
    config.write_text("{}")
    assert "not a model configuration" in error_message(f"local-dir:{tmp_path}")
    config.write_text((source / config.name).read_text())
    assert "no weights" in error_message(f"local-dir:{tmp_path}")
    weights = tmp_path / "open_clip_model.safetensors"
    weights.write_bytes((source / weights.name).read_bytes()[:100_000])
    assert "cannot be loaded" in error_message(f"local-dir:{tmp_path}")
    shutil.copyfile(source / weights.name, weights)
    text = json.loads(config.read_text())
    text["model_cfg"]["embed_dim"] = 64
    config.write_text(json.dumps(text))
    assert "cannot be loaded" in error_message(f"local-dir:{tmp_path}")
    text["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "some/tokenizer"
    config.write_text(json.dumps(text))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match="pip install transformers"):
        find_clip(f"local-dir:{tmp_path}")


def test_download_without_a_network_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    message = error_message("ViT-B-16/openai")
    assert "open_clip_model.safetensors" in message
    assert "local-dir:" in message


def test_downloaded_weights_are_found_without_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--vit_base_patch16_clip_224.openai"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    file = repository / "snapshots" / "abc" / "open_clip_model.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    files = find_clip("ViT-B/16/openai")
    assert files.weights == str(file)
    assert files.quick_gelu
    assert files.preprocess["mean"][0] == pytest.approx(0.4815, abs=1e-4)


def test_unknown_templates() -> None:
    with pytest.raises(WrongInput, match="80, 7, plain"):
        ClipEncoder("ViT-B-16/openai", templates="8")


@pytest.mark.parametrize("named", ["8", ["80"], 80, ""])
def test_unknown_templates_in_a_folder_are_refused(
    named: object, tmp_path: Path, mini: str
) -> None:
    copy = shutil.copytree(BUNDLED[mini], tmp_path / "copy")
    config = copy / "open_clip_config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "captionary_templates": named}))
    assert error_message(f"local-dir:{copy}") == (
        f"{config} names unknown captionary_templates {named!r}; choose one of 80, 7, plain"
    )


def test_templates_of_a_folder_are_used(tmp_path: Path, mini: str) -> None:
    copy = shutil.copytree(BUNDLED[mini], tmp_path / "copy")
    config = copy / "open_clip_config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "captionary_templates": "7"}))
    encoder = ClipEncoder(f"local-dir:{copy}", device="cpu")
    plain, seven = (
        ClipEncoder(mini, device="cpu", templates=templates).encode_texts(["dog"])
        for templates in ("plain", "7")
    )
    for templates in (None, "80"):
        assert np.array_equal(encoder.encode_texts(["dog"], templates=templates), seven)
    assert not np.allclose(plain, seven)


def test_catalogue_agrees_with_open_clip() -> None:
    names = all_model_names()
    assert len(names) == len(set(names)) > 100
    for model in (model for name, model in CATALOGUE.items() if name not in BUNDLED):
        assert model.name in names
        config = open_clip.get_model_config(model.name.partition("/")[0])
        assert config["embed_dim"] == model.dim


@pytest.mark.parametrize("name", BUNDLED)
def test_catalogue_agrees_with_what_is_bundled(name: str) -> None:
    encoder = ClipEncoder(name, device="cpu", templates="plain")
    weights = load_file(BUNDLED[name] / "open_clip_model.safetensors").values()
    assert CATALOGUE[name].dim == encoder.dim
    assert encoder.default_proposer == (name if name in GROUPING_MODELS else None)
    in_float32 = 4 * sum(each.numel() for each in weights) / 1e6
    assert CATALOGUE[name].size_mb == pytest.approx(in_float32, abs=1)
