import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from captionary.learning.models.clip_models import build_clip
from captionary.learning.settings import Settings, learning_rate, parameter_groups
from tests.learning.flag_pictures import tiny_architecture


def test_the_rate_rises_straight_and_falls_along_a_cosine() -> None:
    settings = Settings(steps=110, warm_up=10, learning_rate=2.0)

    assert [learning_rate(step, settings) for step in (0, 4, 9, 10)] == [0.2, 1.0, 2.0, 2.0]
    assert learning_rate(60, settings) == pytest.approx(1.0)
    assert learning_rate(35, settings) == pytest.approx(1 + 2**-0.5)
    assert learning_rate(110, settings) == pytest.approx(0.0)


@given(st.integers(1, 200), st.integers(0, 300), st.integers(0, 199))
def test_the_rate_stays_within_its_bounds(steps: int, warm_up: int, step: int) -> None:
    rate = learning_rate(step, Settings(steps=steps, warm_up=warm_up, learning_rate=3e-4))

    assert 0 <= rate <= 3e-4


def test_only_matrices_decay() -> None:
    model = build_clip(tiny_architecture(), seed=0)
    names = {id(value): name for name, value in model.named_parameters()}
    decaying, others = (
        {names[id(value)] for value in group["params"]}  # type: ignore[attr-defined]
        for group in parameter_groups(model, 0.1)
    )

    assert decaying | others == set(names.values())
    assert not decaying & others
    assert {"visual.conv1.weight", "visual.proj", "text_projection"} < decaying
    assert {
        "logit_scale",
        "token_embedding.weight",
        "positional_embedding",
        "visual.positional_embedding",
        "visual.class_embedding",
        "ln_final.weight",
        "visual.transformer.resblocks.0.mlp.c_fc.bias",
    } < others
    assert isinstance(model, torch.nn.Module)
