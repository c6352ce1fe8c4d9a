"""What can be wrong before a SAM is loaded; none of it needs transformers to work."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError

from captionary.schemas.errors import MissingExtra, WrongInput
from captionary.vision.proposers.plan import parse_proposer
from captionary.vision.proposers.sam_files import find_sam


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks as if transformers were there: finding a model's files is all our own."""
    if importlib.util.find_spec("transformers") is None:
        stand_in = ModuleType("transformers")
        stand_in.__spec__ = importlib.util.spec_from_loader("transformers", None)
        monkeypatch.setitem(sys.modules, "transformers", stand_in)


def error_message(name: str) -> str:
    with pytest.raises(WrongInput) as caught:
        parse_proposer(f"sam:{name}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folders_that_are_no_models(tmp_path: Path) -> None:
    assert "none does not exist" in error_message(f"{tmp_path}/none")
    assert "no config.json" in error_message(f"{tmp_path}")
    config = tmp_path / "config.json"
    for nothing in ("{}", "[]", "{", '"sam2"'):
        config.write_text(nothing)
        assert "not a model configuration" in error_message(f"{tmp_path}")
    config.write_text(json.dumps({"model_type": "clip"}))
    assert "'clip', which is no SAM that takes points" in error_message(f"{tmp_path}")
    config.write_text(json.dumps({"model_type": "sam2"}))
    assert "no weights (model.safetensors)" in error_message(f"{tmp_path}")
    (tmp_path / "model.safetensors").touch()
    assert "no preprocessor_config.json or processor_config.json" in error_message(f"{tmp_path}")
    (tmp_path / "processor_config.json").touch()
    assert find_sam(str(tmp_path)).config == {"model_type": "sam2"}


def test_transformers_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'captionary\[sam\]'"):
        parse_proposer(f"sam:{tmp_path}")


def test_download_without_a_network_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    message = error_message("facebook/sam2.1-hiera-tiny")
    assert "facebook/sam2.1-hiera-tiny is no folder, nor can it be downloaded" in message


def test_a_model_whose_licence_was_not_accepted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Refused(GatedRepoError):
        def __init__(self) -> None:
            Exception.__init__(self, "403")

    def refuse(*_: object, **__: object) -> None:
        raise Refused

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    assert "page at the hub, then run: hf auth login" in error_message("facebook/sam3")


def test_a_downloaded_model_is_found_without_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--some--sam"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    folder = repository / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "sam2_video"}))
    (folder / "model.safetensors").touch()
    (folder / "preprocessor_config.json").touch()
    assert find_sam("some/sam").folder == folder
