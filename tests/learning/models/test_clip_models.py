from dataclasses import replace
from pathlib import Path

import open_clip
import pytest
import torch

from captionary.learning.models.architectures import Architecture, architecture_of_model
from captionary.learning.models.clip_models import (
    build_clip,
    build_tokenizer,
    load_matching_weights,
    write_clip,
)
from captionary.schemas.errors import WrongInput
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.files import find_clip, load_clip
from captionary.vision.grouping.config import GroupingConfig
from tests.learning.flag_pictures import TINY, Flags, tiny_architecture
from tests.learning.grouping_models import CLUSTERING, GROUPING, METHODS, small_architecture


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

    read = architecture_of_model("before", files, clip)
    write_clip(after, clip, read)

    assert (read.merges, read.mean, read.std) == (own.merges, own.mean, own.std)
    encoders = [ClipEncoder(f"local-dir:{folder}", device="cpu") for folder in (before, after)]
    texts = [encoder.encode_texts(["red above blue"]) for encoder in encoders]
    assert (texts[0] == texts[1]).all()
    assert encoders[1].mean == own.mean


def test_a_vocabulary_that_the_model_has_no_room_for_is_refused() -> None:
    small = {**TINY, "text_cfg": {**TINY["text_cfg"], "vocab_size": 10}}

    with pytest.raises(WrongInput, match="vocab_size 10"):
        build_tokenizer(Architecture("small", small))


def test_a_plain_clip_starts_a_tower_that_groups() -> None:
    clip = build_clip(small_architecture(None), seed=1)
    model = build_clip(small_architecture(GROUPING), seed=2)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    load_matching_weights(model, clip, name="it")

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


@pytest.mark.parametrize("grouping", METHODS.values(), ids=METHODS)
def test_a_model_that_groups_starts_another(grouping: GroupingConfig) -> None:
    one, other = (build_clip(small_architecture(grouping), seed=seed) for seed in (1, 2))

    load_matching_weights(other, one, name="it")

    for name, value in one.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_a_plain_clip_starts_one_that_clusters() -> None:
    clip = build_clip(small_architecture(None), seed=1)
    model = build_clip(small_architecture(CLUSTERING), seed=2)

    load_matching_weights(model, clip, name="it")

    for name, value in clip.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_a_linear_projector_starts_as_the_projection() -> None:
    clip = build_clip(small_architecture(None), seed=1)
    model = build_clip(small_architecture(replace(GROUPING, projection=0)), seed=2)

    load_matching_weights(model, clip, name="it")

    projector, projection = (
        model.get_submodule("visual.projector"),
        clip.state_dict()["visual.proj"],
    )
    rows = torch.randn(3, 32)
    torch.testing.assert_close(projector(rows), rows @ projection)


@pytest.mark.parametrize(
    "grouping",
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
    grouping: GroupingConfig, other: dict[str, int | list[int]]
) -> None:
    clip = build_clip(small_architecture(None, **other), seed=0)
    model = build_clip(small_architecture(grouping), seed=0)

    with pytest.raises(WrongInput, match="the weights it are of other layers") as told:
        load_matching_weights(model, clip, name="it")
    assert "\n" not in str(told.value)
