import json
from dataclasses import replace
from pathlib import Path

import open_clip
import pytest
import torch

from learning.architectures import (
    Architecture,
    architecture_of,
    build_clip,
    build_tokenizer,
    read_architecture,
    take_weights,
    with_vocabulary,
    write_clip,
)
from learning.merges import MERGES_FILE, merges_file
from schemas.errors import WrongInput
from tests.learning.drawn import TINY, Flags, tiny_architecture
from tests.learning.groupers import (
    CLUSTERING,
    GROUPING,
    METHODS,
    small_architecture,
    write_small,
)
from vision.clip_files import find_clip, load_clip
from vision.encoder import ClipEncoder
from vision.learned import LEARNED_KEY, Learned, written_learned
from vision.pgseg import PgsegTower


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

    assert with_vocabulary(named, ["x"], None) == named
    assert build_tokenizer(named).vocab_size == 49408
    learned = with_vocabulary(named, ["dog dog"], 5)
    assert learned.merges == (("d", "o"), ("do", "g</w>"))
    assert learned.config["text_cfg"]["vocab_size"] == 516
    assert build_tokenizer(learned).vocab_size == 516
    assert build_tokenizer(learned).context_length == 77
    assert learned.digest != named.digest


def test_equal_seeds_build_equal_models_and_leave_random_numbers_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, same, other = (
        build_clip(tiny_architecture(), seed=seed).state_dict() for seed in (3, 3, 4)
    )

    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not torch.equal(one["visual.proj"], other["visual.proj"])


@pytest.mark.parametrize("custom_text", [False, True])
def test_what_is_written_is_loaded(tmp_path: Path, custom_text: bool) -> None:
    architecture = tiny_architecture({**TINY, "custom_text": custom_text})
    clip = build_clip(architecture, seed=0)

    write_clip(tmp_path, clip, architecture)

    loaded = open_clip.create_model(f"local-dir:{tmp_path}")
    assert type(loaded) is type(clip)
    for name, value in clip.state_dict().items():
        assert loaded.state_dict()[name].dtype == torch.float32
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    encoder = ClipEncoder(f"local-dir:{tmp_path}", device="cpu", templates="plain")
    assert encoder.input_size_hw == (16, 16)
    assert encoder.encode_texts([Flags()[0].captions[0]]).shape == (1, 16)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "merges.txt.gz",
        "open_clip_config.json",
        "open_clip_model.safetensors",
    ]


def test_a_model_is_written_again_as_it_was(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        folder.mkdir()
    own = replace(tiny_architecture(), mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    write_clip(before, build_clip(own, seed=0), own)
    files = find_clip(f"local-dir:{before}")
    clip = load_clip(files)

    read = architecture_of("before", files, clip)
    write_clip(after, clip, read)

    assert (read.merges, read.mean, read.std) == (own.merges, own.mean, own.std)
    encoders = [ClipEncoder(f"local-dir:{folder}", device="cpu") for folder in (before, after)]
    texts = [encoder.encode_texts(["red above blue"]) for encoder in encoders]
    assert (texts[0] == texts[1]).all()
    assert encoders[1].mean == own.mean


def test_a_model_that_is_no_plain_clip_is_not_gone_on_from(tmp_path: Path) -> None:
    own = tiny_architecture()
    write_clip(tmp_path, build_clip(own, seed=0), own)
    files = find_clip(f"local-dir:{tmp_path}")
    other = replace(files, config={**files.config, "multimodal_cfg": {}})

    with pytest.raises(WrongInput, match="no plain CLIP"):
        architecture_of("other", other, load_clip(files))


def test_a_vocabulary_that_the_model_has_no_room_for_is_refused() -> None:
    small = {**TINY, "text_cfg": {**TINY["text_cfg"], "vocab_size": 10}}

    with pytest.raises(WrongInput, match="vocab_size 10"):
        build_tokenizer(Architecture("small", small))


def test_a_model_that_is_gone_on_from_keeps_its_sentences(tmp_path: Path) -> None:
    own = tiny_architecture()
    clip = build_clip(own, seed=0)
    for templates in (None, "plain"):
        folder = tmp_path / str(templates)
        folder.mkdir()
        write_clip(folder, clip, replace(own, templates=templates))
        files = find_clip(f"local-dir:{folder}")
        assert architecture_of("x", files, load_clip(files)).templates == templates


def test_a_vocabulary_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    own = tiny_architecture()
    write_clip(tmp_path, build_clip(own, seed=0), own)
    assert own.merges is not None
    (tmp_path / MERGES_FILE).write_bytes(merges_file(own.merges[:5]))
    files = find_clip(f"local-dir:{tmp_path}")

    with pytest.raises(WrongInput, match="the model knows"):
        architecture_of("cut", files, load_clip(files))


@pytest.mark.parametrize("learned", METHODS.values(), ids=METHODS)
def test_how_a_model_groups_is_read_and_kept(learned: Learned, tmp_path: Path) -> None:
    own = replace(small_architecture(learned), embed="dense")
    groups = {LEARNED_KEY: written_learned(learned), "captionary_embed": "dense"}
    read = read_architecture(written({**small_architecture(learned).config, **groups}, tmp_path))
    assert (read.learned, read.embed) == (learned, "dense")

    write_small(tmp_path / "model", learned)
    files = find_clip(f"local-dir:{tmp_path / 'model'}")
    again = architecture_of("again", files, load_clip(files))

    assert again.learned == learned
    assert isinstance(load_clip(files).visual, PgsegTower) == (learned == GROUPING)
    other = replace(GROUPING, kappa=3.0) if learned == GROUPING else GROUPING
    digests = {replace(own, learned=each).digest for each in (learned, other, None)}
    assert len(digests) == 3


@pytest.mark.parametrize(
    "groups", [{"method": "magic"}, {"method": "pgseg", "colour": 1}, {}, "pgseg", 3]
)
def test_groups_of_no_known_kind_are_refused(groups: object, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="cannot read the architecture"):
        read_architecture(written({**TINY, LEARNED_KEY: groups}, tmp_path))


def test_a_plain_clip_starts_a_tower_that_groups() -> None:
    clip = build_clip(small_architecture(None), seed=1)
    model = build_clip(small_architecture(GROUPING), seed=2)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    take_weights(model, clip, name="it")

    given, own = clip.state_dict(), model.state_dict()
    taken = {
        "visual.positional_embedding": given.pop("visual.positional_embedding")[1:],
        "logit_scale": given.pop("logit_scale"),
    }
    for name in ("visual.class_embedding", "visual.proj"):
        del given[name]
    for name, value in given.items():
        text = "" if name.startswith("visual.") else "text."
        taken[text + name.replace("visual.transformer.resblocks.", "visual.blocks.")] = value
    assert sum(name.startswith("visual.blocks.") for name in taken) == 3 * 12
    for name, value in own.items():
        assert torch.equal(value, taken.get(name, before[name])), name
    assert {*before} - {*taken} == {
        name
        for name in before
        if name.startswith(("visual.stages.", "visual.projector.")) or name == "text.attn_mask"
    }


@pytest.mark.parametrize("learned", METHODS.values(), ids=METHODS)
def test_a_model_that_groups_starts_another(learned: Learned) -> None:
    one, other = (build_clip(small_architecture(learned), seed=seed) for seed in (1, 2))

    take_weights(other, one, name="it")

    for name, value in one.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_a_plain_clip_starts_one_that_clusters() -> None:
    clip = build_clip(small_architecture(None), seed=1)
    model = build_clip(small_architecture(CLUSTERING), seed=2)

    take_weights(model, clip, name="it")

    for name, value in clip.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_a_linear_projector_starts_as_the_projection() -> None:
    clip = build_clip(small_architecture(None), seed=1)
    model = build_clip(small_architecture(replace(GROUPING, projection=0)), seed=2)

    take_weights(model, clip, name="it")

    projector, projection = (
        model.get_submodule("visual.projector"),
        clip.state_dict()["visual.proj"],
    )
    rows = torch.randn(3, 32)
    torch.testing.assert_close(projector(rows), rows @ projection)


@pytest.mark.parametrize(
    "learned",
    [*METHODS.values(), replace(GROUPING, projection=0)],
    ids=[*METHODS, "pgseg linear"],
)
@pytest.mark.parametrize(
    "other",
    [
        {"width": 48},
        {"patch_size": 8},
        {"layers": 2},
        {"layers": 4},
        {"image_size": 20},
        {"layers": [1, 1, 1, 1], "width": 8, "image_size": 64},
    ],
    ids=lambda other: "-".join(other),
)
def test_weights_of_other_layers_are_refused(
    learned: Learned, other: dict[str, int | list[int]]
) -> None:
    clip = build_clip(small_architecture(None, **other), seed=0)
    model = build_clip(small_architecture(learned), seed=0)

    with pytest.raises(WrongInput, match="the weights it are of other layers") as told:
        take_weights(model, clip, name="it")
    assert "\n" not in str(told.value)
