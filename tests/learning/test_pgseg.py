from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from learning.architectures import build_clip
from learning.batches import Prepared
from learning.losses import contrastive_loss
from learning.pgseg import FIRST_SCALE, IMAGE_WEIGHT, TEXT_WEIGHT, PgsegLosses
from learning.prototypes import prototype_loss
from tests.learning.drawn import CPU, Flags, tiny_inputs
from tests.learning.groupers import GROUPING, random_weights, small_architecture
from vision.grouping import spherical_em
from vision.pgseg import Grouping
from vision.texts import hidden_tokens, project_text

INPUTS = tiny_inputs()
CERTAIN = replace(GROUPING, drop_path=0.0)


def losses_of(grouping: Grouping = CERTAIN, *, texts: bool = True) -> PgsegLosses:
    architecture = small_architecture(grouping)
    clip = build_clip(architecture, seed=0)
    random_weights(clip, spread=0.05)
    return PgsegLosses(clip, CPU, mean=architecture.mean, std=architecture.std, texts=texts)


def batch(count: int = 4, first: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    data = Prepared(Flags(), INPUTS, seed=0)
    pictures, tokens = INPUTS.together([data[first + index, 0] for index in range(count)])
    return pictures, tokens


def captions_found(module: PgsegLosses, tokens: torch.Tensor) -> torch.Tensor:
    """Prototypes of each caption by itself, of what stands between its start and its end."""
    tower = module.clip.text
    hidden = hidden_tokens(tower, tokens)
    each = []
    for row, caption in zip(hidden, tokens.tolist(), strict=True):
        words = project_text(tower, row[1 : caption.index(max(caption))])
        start = module.text_prototypes
        each.append(spherical_em(normalize(words, dim=1), start, iterations=4, kappa=15.0)[0])
    return torch.stack(each).detach()


def test_the_losses_equal_their_parts() -> None:
    module = losses_of().eval()
    pictures, tokens = batch()

    losses = module(pictures, tokens)

    visual = module.clip.visual
    grouped = visual.grouped((pictures.float() / 255 - 0.5) / 0.5)
    images = normalize(visual.picture_vectors(grouped), dim=1)
    texts = normalize(module.clip.encode_text(tokens_of_context(tokens)), dim=1)
    scale = module.clip.logit_scale.exp()
    of_images = sum(
        prototype_loss(groups, found, scale=torch.tensor(10.0))
        for groups, found in zip(grouped.tokens, grouped.prototypes, strict=True)
    )
    found = captions_found(module, tokens)
    of_texts = prototype_loss(visual.segment_vectors(grouped), found, scale=torch.tensor(10.0))
    assert module.losses == ("contrast", "image_prototypes", "text_prototypes")
    torch.testing.assert_close(losses[0], contrastive_loss(images, texts, scale=scale))
    torch.testing.assert_close(losses[1], 0.1 * of_images)
    torch.testing.assert_close(losses[2], 0.01 * of_texts)
    assert (IMAGE_WEIGHT, TEXT_WEIGHT) == (0.1, 0.01)
    torch.testing.assert_close(module.encode_pictures(pictures), images)
    torch.testing.assert_close(module.encode_tokens(tokens), texts)


def tokens_of_context(tokens: torch.Tensor) -> torch.Tensor:
    """Padded to the whole context."""
    return torch.nn.functional.pad(tokens, (0, 12 - tokens.shape[1]))


def test_start_end_and_padding_are_no_words_of_a_caption() -> None:
    module = losses_of().eval()
    pictures, tokens = batch()
    before = module(pictures, tokens)
    torch.testing.assert_close(module(pictures, tokens_of_context(tokens)), before)

    ends = tokens.argmax(dim=1)
    words = torch.randn(4, tokens.shape[1], 16, generator=torch.Generator().manual_seed(0))
    found = module._of_captions(words, ends)
    changed = words.clone()
    changed[:, 0] = 7
    for row, end in enumerate(ends.tolist()):
        changed[row, end:] = -3
    torch.testing.assert_close(module._of_captions(changed, ends), found)


def test_prototypes_move_in_training_only() -> None:
    module = losses_of()
    pictures, tokens = batch()
    kept = [*(stage.prototypes for stage in module.clip.visual.stages), module.text_prototypes]
    before = [each.clone() for each in kept]

    module.eval()(pictures, tokens)
    for own, old in zip(kept, before, strict=True):
        assert torch.equal(own, old)

    module.train()
    torch.manual_seed(3)
    grouped = module.clip.visual.grouped(module._normal(pictures))
    found = [*grouped.prototypes, captions_found(module, tokens)]
    torch.manual_seed(3)
    module(pictures, tokens)
    for own, old, each in zip(kept, before, found, strict=True):
        expected = normalize(0.9 * old + 0.1 * sum(each) / 4, dim=1)
        torch.testing.assert_close(own, expected)
        torch.testing.assert_close(own.norm(dim=1), torch.ones(len(own)))
        assert (own - old).abs().max() > 1e-3


def test_what_learns_from_which_loss() -> None:
    module = losses_of().train()
    contrast, images, texts = module(*batch())

    def learns(loss: torch.Tensor) -> set[str]:
        named = dict(module.named_parameters())
        found = torch.autograd.grad(loss, [*named.values()], retain_graph=True, allow_unused=True)
        return {
            name
            for name, gradient in zip(named, found, strict=True)
            if gradient is not None and gradient.any()
        }

    assert "clip.visual.stages.0.group_tokens" in learns(images)
    assert "clip.visual.stages.0.group_tokens" in learns(contrast)
    assert not any(name.startswith("clip.text") for name in learns(images) | learns(texts))
    assert "clip.visual.projector.0.weight" in learns(texts) - learns(images)
    assert "scales" in learns(images) & learns(texts)
    everything = learns(contrast + images + texts)
    biases = {name for name, _ in module.named_parameters() if name.endswith("key.bias")}
    assert {name for name, _ in module.named_parameters()} - everything <= biases


def test_scales_do_not_grow_without_end() -> None:
    module = losses_of()
    assert module.scales is not None
    assert module.scales.tolist() == pytest.approx([FIRST_SCALE] * 3)
    assert module.scales.exp().tolist() == pytest.approx([10.0] * 3)
    torch.nn.init.constant_(module.scales, 9.0)
    torch.nn.init.constant_(module.clip.logit_scale, 9.0)

    module.after_step(0.5)

    assert module.scales.exp().tolist() == pytest.approx([100.0] * 3)
    assert module.clip.logit_scale.exp().item() == pytest.approx(100.0)


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("texts", [True, False])
def test_parts_can_be_left_out(images: bool, texts: bool) -> None:
    module = losses_of(replace(CERTAIN, prototypes=images), texts=texts).train()

    losses = module(*batch())
    losses.sum().backward()

    expected = ["contrast"] + ["image_prototypes"] * images + ["text_prototypes"] * texts
    assert list(module.losses) == expected
    assert losses.shape == (len(expected),)
    assert losses.isfinite().all()
    assert (module.scales is None) == (not images and not texts)
    assert any("text_prototypes" in name for name in module.state_dict()) == texts
    module.after_step(1.0)


def test_it_learns_in_short_numbers() -> None:
    """As the trainer has it where the processor has bfloat16."""
    module = losses_of().eval()
    expected = module(*batch())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = module(*batch())
    losses.sum().backward()

    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, expected, atol=0.1, rtol=0.2)
    gradients = [parameter.grad for parameter in module.parameters()]
    assert all(gradient is None or gradient.isfinite().all() for gradient in gradients)
