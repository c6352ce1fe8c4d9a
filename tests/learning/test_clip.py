from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learning.architectures import build_clip, build_tokenizer
from learning.clip import (
    LARGEST_SCALE,
    ClipInputs,
    Contrast,
    LabelledPictures,
    cut_out,
    random_region,
)
from learning.settings import Settings
from tests.learning.drawn import (
    COLOURS,
    CPU,
    SIDE,
    TINY,
    Flags,
    tiny_architecture,
    tiny_task,
    tiny_trainer,
)
from vision.encoder import ClipEncoder


def batch_of(inputs: ClipInputs, count: int) -> tuple[torch.Tensor, ...]:
    random = np.random.default_rng(0)
    return inputs.together([inputs.one(Flags()[index], random) for index in range(count)])


def test_a_batch_is_as_long_as_its_longest_caption() -> None:
    inputs = tiny_task().inputs
    pictures, tokens = batch_of(inputs, 5)

    assert pictures.shape == (5, 3, SIDE, SIDE)
    assert pictures.dtype == torch.uint8
    assert tokens.shape[1] % 4 == 0
    assert (tokens == inputs.tokenizer.eot_token_id).any(dim=1).all()
    assert pictures[0].permute(1, 2, 0).numpy().tolist() == Flags()[0].picture.tolist()


def test_pictures_are_squashed_and_captions_drawn() -> None:
    inputs = ClipInputs((8, 24), tiny_task().inputs.tokenizer)
    drawn = [inputs.one(Flags(side=40)[3], np.random.default_rng(seed)) for seed in range(20)]

    assert {picture.shape for picture, _ in drawn} == {(3, 8, 24)}
    assert len({tuple(tokens.tolist()) for _, tokens in drawn}) == 2


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0.05, 1.0), st.integers(0, 99))
def test_a_cut_is_a_part_of_the_picture(height: int, width: int, least: float, seed: int) -> None:
    picture = np.arange(height * width * 3, dtype=np.int64).reshape(height, width, 3)
    cut: Any = cut_out(picture, np.random.default_rng(seed), least=least)  # type: ignore[arg-type]

    top, left = divmod(int(cut[0, 0, 0]) // 3, width)
    rows, columns, _ = cut.shape
    assert (cut == picture[top : top + rows, left : left + columns]).all()
    assert (rows + 0.5) * (columns + 0.5) >= least * (height - 0.5) * (width - 0.5) or (
        rows == 1 or columns == 1
    )


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 99))
def test_a_random_region_is_never_empty_and_no_speck(height: int, width: int, seed: int) -> None:
    region = random_region((height, width), np.random.default_rng(seed))

    assert region.mask.shape == (height, width)
    assert region.area >= 0.5 * 0.5 * 0.4 * 0.5  # sides, share covered, rounding


def test_some_pictures_are_shown_as_masked_crops() -> None:
    inputs = ClipInputs(
        (SIDE, SIDE), tiny_task().inputs.tokenizer, masked=0.5, fill=(1.0, 0.0, 1.0)
    )
    fill = torch.tensor([255, 0, 255], dtype=torch.uint8).view(3, 1, 1)
    whole = inputs.one(Flags()[3], np.random.default_rng(0))[0].numel()
    drawn = [inputs.one(Flags()[3], np.random.default_rng(seed))[0] for seed in range(200)]
    painted = sum(bool((picture == fill).all(dim=0).any()) for picture in drawn)

    assert {picture.numel() for picture in drawn} == {whole}
    assert 60 <= painted <= 120


def test_short_texts_encode_as_in_the_full_context() -> None:
    task = tiny_task()
    _, tokens = batch_of(task.inputs, 4)
    full = torch.nn.functional.pad(tokens, (0, 12 - tokens.shape[1]))
    with torch.no_grad():
        theirs = task.module.clip.encode_text(full, normalize=True)

        torch.testing.assert_close(task.module.encode_tokens(tokens), theirs)


def test_towers_that_read_their_padding_are_trained_too() -> None:
    config = {**TINY, "custom_text": True, "text_cfg": {**TINY["text_cfg"], "no_causal_mask": True}}
    architecture = tiny_architecture(config)
    inputs = ClipInputs((SIDE, SIDE), build_tokenizer(architecture), trimmable=False)
    module = Contrast(build_clip(architecture, seed=0), CPU)
    pictures, tokens = batch_of(inputs, 4)

    assert tokens.shape == (4, 12)
    module(pictures, tokens).backward()
    assert all(value.grad is not None for value in module.parameters())


def test_every_weight_is_trained_and_named_once() -> None:
    task = tiny_task()
    task.module(*batch_of(task.inputs, 4)).backward()

    assert all(value.grad is not None for value in task.module.parameters())
    assert all(name.startswith("clip.") for name in task.module.state_dict())


def test_short_numbers_change_the_loss_little() -> None:
    task = tiny_task()
    batch = batch_of(task.inputs, 16)
    exact = task.module(*batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        short = task.module(*batch)
    short.backward()

    assert short.dtype == torch.float32
    assert short.item() == pytest.approx(exact.item(), abs=0.05)


def test_the_scale_stays_bounded() -> None:
    task = tiny_task()
    torch.nn.init.constant_(task.module.clip.logit_scale, 7.0)

    task.after_step()

    assert task.module.clip.logit_scale.item() == pytest.approx(LARGEST_SCALE)


def labelled(count: int) -> LabelledPictures:
    """Pictures of one colour each; its name is that colour "above" itself."""
    names = tuple(f"{name} above {name}" for name in COLOURS)
    colours = np.array(list(COLOURS.values()), dtype=np.uint8)
    targets = np.arange(count) % len(colours)
    pictures = np.broadcast_to(colours[targets, None, None], (count, SIDE, SIDE, 3))
    return LabelledPictures(pictures, targets, names)


def test_evaluation_measures_what_it_was_given() -> None:
    assert dict(tiny_task().evaluate()) == {}
    task = tiny_task(held_out=Flags(20), labelled=labelled(12))
    with torch.no_grad():
        figures, again = task.evaluate(), task.evaluate()

    assert tuple(figures) == task.measures
    assert figures == again
    assert figures["image_to_text_1"] <= figures["image_to_text_5"]
    assert all(0 <= value <= 1 for value in figures.values())


def test_a_trained_model_finds_what_it_has_not_seen_and_is_loaded_the_same(
    tmp_path: Path,
) -> None:
    task = tiny_task(held_out=Flags(400), labelled=labelled(12))
    settings = Settings(steps=150, batch_size=24, learning_rate=3e-3, warm_up=10)
    figures = tiny_trainer(tmp_path, settings, task=task).train()

    assert figures["image_to_text_5"] > 0.9
    assert figures["text_to_image_1"] > 0.5
    encoder = ClipEncoder(
        f"local-dir:{tmp_path}", device="cpu", precision="float32", templates="plain"
    )
    pictures = torch.stack([torch.tensor(Flags()[index].picture) for index in range(9)])
    pictures = pictures.permute(0, 3, 1, 2)
    names = ["red", "white above black"]
    tokens = task.inputs.tokenizer([f"a photo of a {name}." for name in names])
    with torch.no_grad():
        images, texts = task.module.encode_pictures(pictures), task.module.encode_tokens(tokens)
    np.testing.assert_allclose(encoder.encode_images(pictures / 255), images, atol=2e-3)
    np.testing.assert_allclose(encoder.encode_texts(names), texts, atol=2e-3)
