from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from captionary.learning.methods.clip import (
    MAX_LOG_SCALE,
    ClipLosses,
    ClipPreprocessor,
    random_crop,
    random_region,
)
from captionary.learning.models.clip_models import build_clip, build_tokenizer
from tests.learning.flag_pictures import (
    CPU,
    SIDE,
    TINY,
    Flags,
    tiny_architecture,
    tiny_preprocessor,
    tiny_task,
)


def batch_of(inputs: ClipPreprocessor, count: int) -> tuple[torch.Tensor, ...]:
    random = np.random.default_rng(0)
    return inputs.collate([inputs.prepare(Flags()[index], random) for index in range(count)])


def test_a_batch_is_as_long_as_its_longest_caption() -> None:
    inputs = tiny_preprocessor()
    pictures, tokens = batch_of(inputs, 5)

    assert pictures.shape == (5, 3, SIDE, SIDE)
    assert pictures.dtype == torch.uint8
    assert tokens.shape[1] % 4 == 0
    assert (tokens == inputs.tokenizer.eot_token_id).any(dim=1).all()
    assert pictures[0].permute(1, 2, 0).numpy().tolist() == Flags()[0].picture.tolist()


def test_pictures_are_squashed_and_captions_drawn() -> None:
    inputs = ClipPreprocessor((8, 24), tiny_preprocessor().tokenizer)
    drawn = [inputs.prepare(Flags(side=40)[3], np.random.default_rng(seed)) for seed in range(20)]

    assert {picture.shape for picture, _ in drawn} == {(3, 8, 24)}
    assert len({tuple(tokens.tolist()) for _, tokens in drawn}) == 2


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0.05, 1.0), st.integers(0, 99))
def test_a_cut_is_a_part_of_the_picture(height: int, width: int, least: float, seed: int) -> None:
    picture = np.arange(height * width * 3, dtype=np.int64).reshape(height, width, 3)
    cut: Any = random_crop(picture, np.random.default_rng(seed), min_area=least)  # type: ignore[arg-type]

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
    inputs = ClipPreprocessor(
        (SIDE, SIDE), tiny_preprocessor().tokenizer, masked=0.5, fill=(1.0, 0.0, 1.0)
    )
    fill = torch.tensor([255, 0, 255], dtype=torch.uint8).view(3, 1, 1)
    whole = inputs.prepare(Flags()[3], np.random.default_rng(0))[0].numel()
    drawn = [inputs.prepare(Flags()[3], np.random.default_rng(seed))[0] for seed in range(200)]
    painted = sum(bool((picture == fill).all(dim=0).any()) for picture in drawn)

    assert {picture.numel() for picture in drawn} == {whole}
    assert 60 <= painted <= 120


def test_short_texts_encode_as_in_the_full_context() -> None:
    task = tiny_task()
    _, tokens = batch_of(tiny_preprocessor(), 4)
    full = torch.nn.functional.pad(tokens, (0, 12 - tokens.shape[1]))
    with torch.no_grad():
        theirs = task.module.clip.encode_text(full, normalize=True)

        torch.testing.assert_close(task.module.encode_tokens(tokens), theirs)


def test_towers_that_read_their_padding_are_trained_too() -> None:
    config = {**TINY, "custom_text": True, "text_cfg": {**TINY["text_cfg"], "no_causal_mask": True}}
    architecture = tiny_architecture(config)
    inputs = ClipPreprocessor((SIDE, SIDE), build_tokenizer(architecture), trimmable=False)
    module = ClipLosses(build_clip(architecture, seed=0), CPU)
    pictures, tokens = batch_of(inputs, 4)

    assert tokens.shape == (4, 12)
    module(pictures, tokens).backward()
    assert all(value.grad is not None for value in module.parameters())


def test_every_weight_is_trained_and_named_once() -> None:
    task = tiny_task()
    task.module(*batch_of(tiny_preprocessor(), 4)).backward()

    assert all(value.grad is not None for value in task.module.parameters())
    assert all(name.startswith("clip.") for name in task.module.state_dict())


def test_bfloat16_changes_the_loss_little() -> None:
    task = tiny_task()
    batch = batch_of(tiny_preprocessor(), 16)
    exact = task.module(*batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        short = task.module(*batch)
    short.backward()

    assert short.dtype == torch.float32
    assert short.item() == pytest.approx(exact.item(), abs=0.05)


def test_the_scale_stays_bounded() -> None:
    task = tiny_task()
    torch.nn.init.constant_(task.module.clip.logit_scale, 7.0)

    task.after_step(0.5)

    assert task.module.clip.logit_scale.item() == pytest.approx(MAX_LOG_SCALE)
