import json
from dataclasses import replace
from pathlib import Path

import open_clip
import pytest

from captionary.learning.models.architectures import (
    add_vocabulary,
    architecture_of_model,
    read_architecture,
)
from captionary.learning.models.byte_pairs import MERGES_FILE, encode_merges
from captionary.learning.models.clip_models import build_clip, build_tokenizer, write_clip
from captionary.schemas.errors import WrongInput
from captionary.vision.clip.files import find_clip, load_clip
from captionary.vision.grouping.config import GROUPING_KEY, GroupingConfig, serialize_grouping
from captionary.vision.grouping.pgseg import PgsegTower
from tests.learning.flag_pictures import TINY, tiny_architecture
from tests.learning.grouping_models import (
    GROUPING,
    METHODS,
    small_architecture,
    write_small,
)


def written(config: object, folder: Path) -> str:
    path = folder / "own.json"
    path.write_text(json.dumps(config))
    return str(path)


def test_names_are_found_and_files_read(tmp_path: Path) -> None:
    assert "vocab_size" not in read_architecture("mini").config["text_cfg"]
    assert read_architecture("ViT-B/32").config == open_clip.get_model_config("ViT-B-32")
    assert read_architecture(written(TINY, tmp_path)).input_size_hw == (16, 16)


def test_a_whole_models_file_is_read_without_its_vocabulary(tmp_path: Path) -> None:
    config = tiny_architecture().config

    read = read_architecture(written({"model_cfg": config}, tmp_path))

    assert read.config == TINY


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[1]", "cannot read the architecture"),
        ("{", "cannot read the architecture"),
        ('{"embed_dim": 4}', "cannot read the architecture"),
        ('{"vision_cfg": {}, "text_cfg": {"hf_model_name": "x"}}', "no plain CLIP"),
        ('{"vision_cfg": {}, "text_cfg": {}, "init_logit_bias": -10}', "no plain CLIP"),
        ('{"vision_cfg": {"image_size": "big"}, "text_cfg": {}}', "image_size 'big'"),
        ('{"vision_cfg": {"image_size": [16]}, "text_cfg": {}}', "image_size"),
        ('{"vision_cfg": {"image_size": 0}, "text_cfg": {}}', "image_size 0"),
    ],
)
def test_wrong_files_are_refused(content: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(content)

    with pytest.raises(WrongInput, match=complaint):
        read_architecture(str(path))


def test_wrong_names_and_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="unknown model 'mimi'"):
        read_architecture("mimi")
    with pytest.raises(WrongInput, match="unknown model 'local-dir:here'"):
        read_architecture("local-dir:here")
    with pytest.raises(WrongInput, match="cannot read the architecture"):
        read_architecture(str(tmp_path / "none.json"))
    wrong = read_architecture(written({**TINY, "vision_cfg": {"witdh": 3}}, tmp_path))
    with pytest.raises(WrongInput, match="cannot be built"):
        build_clip(wrong, seed=0)


def test_a_vocabulary_is_learned_where_there_is_none_or_it_is_asked_for() -> None:
    named = read_architecture("ViT-B-32")

    assert add_vocabulary(named, ["x"], None) == named
    assert build_tokenizer(named).vocab_size == 49408
    learned = add_vocabulary(named, ["dog dog"], 5)
    assert learned.merges == (("d", "o"), ("do", "g</w>"))
    assert learned.config["text_cfg"]["vocab_size"] == 516
    assert build_tokenizer(learned).vocab_size == 516
    assert build_tokenizer(learned).context_length == 77
    assert learned.digest != named.digest


def test_a_model_that_is_no_plain_clip_is_not_gone_on_from(tmp_path: Path) -> None:
    own = tiny_architecture()
    write_clip(tmp_path, build_clip(own, seed=0), own)
    files = find_clip(f"local-dir:{tmp_path}")
    other = replace(files, config={**files.config, "multimodal_cfg": {}})

    with pytest.raises(WrongInput, match="no plain CLIP"):
        architecture_of_model("other", other, load_clip(files))


def test_a_model_that_is_gone_on_from_keeps_its_sentences(tmp_path: Path) -> None:
    own = tiny_architecture()
    clip = build_clip(own, seed=0)
    for templates in (None, "plain"):
        folder = tmp_path / str(templates)
        folder.mkdir()
        write_clip(folder, clip, replace(own, templates=templates))
        files = find_clip(f"local-dir:{folder}")
        assert architecture_of_model("x", files, load_clip(files)).templates == templates


def test_a_vocabulary_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    own = tiny_architecture()
    write_clip(tmp_path, build_clip(own, seed=0), own)
    assert own.merges is not None
    (tmp_path / MERGES_FILE).write_bytes(encode_merges(own.merges[:5]))
    files = find_clip(f"local-dir:{tmp_path}")

    with pytest.raises(WrongInput, match="the model knows"):
        architecture_of_model("cut", files, load_clip(files))


@pytest.mark.parametrize("grouping", METHODS.values(), ids=METHODS)
def test_how_a_model_groups_is_read_and_kept(grouping: GroupingConfig, tmp_path: Path) -> None:
    own = replace(small_architecture(grouping), default_embedding="dense")
    groups = {GROUPING_KEY: serialize_grouping(grouping), "captionary_embed": "dense"}
    read = read_architecture(written({**small_architecture(grouping).config, **groups}, tmp_path))
    assert (read.grouping, read.default_embedding) == (grouping, "dense")

    write_small(tmp_path / "model", grouping)
    files = find_clip(f"local-dir:{tmp_path / 'model'}")
    again = architecture_of_model("again", files, load_clip(files))

    assert again.grouping == grouping
    assert isinstance(load_clip(files).visual, PgsegTower) == (grouping == GROUPING)
    other = replace(GROUPING, kappa=3.0) if grouping == GROUPING else GROUPING
    digests = {replace(own, grouping=each).digest for each in (grouping, other, None)}
    assert len(digests) == 3


@pytest.mark.parametrize(
    "groups", [{"method": "magic"}, {"method": "pgseg", "colour": 1}, {}, "pgseg", 3]
)
def test_groups_of_no_known_kind_are_refused(groups: object, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="cannot read the architecture"):
        read_architecture(written({**TINY, GROUPING_KEY: groups}, tmp_path))
