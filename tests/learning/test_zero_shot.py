from pathlib import Path

import numpy as np
import torch

from captionary.learning.settings import Settings
from captionary.learning.zero_shot import LabelledPictures, ZeroShotEvaluation
from captionary.vision.clip.encoder import ClipEncoder
from tests.learning.flag_pictures import (
    COLOURS,
    SIDE,
    Flags,
    tiny_preprocessor,
    tiny_task,
    tiny_trainer,
)


def labelled(count: int) -> LabelledPictures:
    """Pictures of one colour each; its name is that colour "above" itself."""
    names = tuple(f"{name} above {name}" for name in COLOURS)
    colours = np.array(list(COLOURS.values()), dtype=np.uint8)
    targets = np.arange(count) % len(colours)
    pictures = np.broadcast_to(colours[targets, None, None], (count, SIDE, SIDE, 3))
    return LabelledPictures(pictures, targets, names)


def test_what_was_given_is_evaluated() -> None:
    assert dict(tiny_task().evaluate()) == {}
    evaluation = ZeroShotEvaluation(tiny_preprocessor(), held_out=Flags(20), labelled=labelled(12))
    module = tiny_task().module
    with torch.no_grad():
        metrics, again = evaluation.evaluate(module), evaluation.evaluate(module)

    assert tuple(metrics) == evaluation.metric_names
    assert metrics == again
    assert metrics["image_to_text_1"] <= metrics["image_to_text_5"]
    assert all(0 <= value <= 1 for value in metrics.values())


def test_a_trained_model_finds_what_it_has_not_seen_and_is_loaded_the_same(
    tmp_path: Path,
) -> None:
    task = tiny_task(held_out=Flags(400), labelled=labelled(12))
    settings = Settings(steps=150, batch_size=24, learning_rate=3e-3, warm_up=10)
    metrics = tiny_trainer(tmp_path, settings, task=task).train()

    assert metrics["image_to_text_5"] > 0.9
    assert metrics["text_to_image_1"] > 0.5
    encoder = ClipEncoder(
        f"local-dir:{tmp_path}", device="cpu", precision="float32", templates="plain"
    )
    pictures = torch.stack([torch.tensor(Flags()[index].picture) for index in range(9)])
    pictures = pictures.permute(0, 3, 1, 2)
    names = ["red", "white above black"]
    tokens = tiny_preprocessor().tokenizer([f"a photo of a {name}." for name in names])
    with torch.no_grad():
        images, texts = task.module.encode_pictures(pictures), task.module.encode_tokens(tokens)
    np.testing.assert_allclose(encoder.encode_images(pictures / 255), images, atol=2e-3)
    np.testing.assert_allclose(encoder.encode_texts(names), texts, atol=2e-3)
