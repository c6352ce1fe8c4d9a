from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from captionary.learning.data.batches import Batch, PreparedExamples
from captionary.learning.methods.contrastive import contrastive_loss
from captionary.learning.methods.noun_loss import noun_loss
from captionary.learning.methods.pgseg import IMAGE_WEIGHT, INITIAL_LOG_SCALE
from captionary.learning.methods.prototype_loss import prototype_loss
from captionary.vision.grouping.pgseg_stage import PgsegConfig
from captionary.vision.pictures.resizing import squash_bytes
from tests.learning.flag_pictures import Flags
from tests.learning.grouping_models import CERTAIN, MOST, colours, pgseg_losses, pgseg_preprocessor

INPUTS = pgseg_preprocessor()


def batch(count: int = 6) -> Batch:
    data = PreparedExamples(Flags(), INPUTS, seed=0)
    return INPUTS.collate([data[index, 0] for index in range(count)])


def normal(pictures: torch.Tensor) -> torch.Tensor:
    return (pictures.float() / 255 - 0.5) / 0.5


def of_context(tokens: torch.Tensor) -> torch.Tensor:
    """Padded to the whole context."""
    return torch.nn.functional.pad(tokens, (0, 12 - tokens.shape[-1]))


def test_nouns_are_prepared_beside_the_picture_and_its_caption() -> None:
    plain = INPUTS.pictures
    seen = set()
    for index in range(20):
        example = Flags(side=40)[index]
        pixels, tokens, nouns, is_noun = INPUTS.prepare(example, np.random.default_rng(index))
        again = INPUTS.prepare(example, np.random.default_rng(index))

        assert all(
            torch.equal(*pair) for pair in zip((pixels, tokens, nouns, is_noun), again, strict=True)
        )
        rows = zip(example.captions, plain.tokenizer(list(example.captions)), strict=True)
        (caption,) = (own for own, row in rows if torch.equal(row, tokens))
        names = colours(caption)[:MOST]
        assert is_noun.tolist() == [place < len(names) for place in range(MOST)]
        sentences = [f"a photo of a {name}." for name in names]
        for row, sentence in zip(nouns, sentences, strict=False):
            assert torch.equal(row, plain.tokenizer([sentence])[0])
        assert not nouns[len(names) :].any()
        assert torch.equal(pixels, squash_bytes(example.picture, size_hw=(16, 16)))
        seen.add(len(names))
    assert seen == {0, 2, 3}


def test_a_batch_is_as_long_as_its_longest_sentences() -> None:
    prepared = [INPUTS.prepare(Flags()[index], np.random.default_rng(0)) for index in range(6)]

    pictures, tokens, nouns, is_noun = INPUTS.collate(prepared)

    assert pictures.shape == (6, 3, 16, 16)
    assert is_noun.shape == (6, MOST)
    assert nouns.shape[:2] == (6, MOST)
    assert nouns.shape[2] % 4 == tokens.shape[1] % 4 == 0
    for number, (_, caption, sentences, _) in enumerate(prepared):
        assert torch.equal(of_context(tokens)[number], caption)
        assert torch.equal(of_context(nouns)[number], sentences)


ALONE = replace(CERTAIN, depths=(3, 0), groups=(7,), residual=False)


@pytest.mark.parametrize("grouping", [CERTAIN, ALONE], ids=["residual", "mean alone"])
def test_the_losses_equal_their_parts(grouping: PgsegConfig) -> None:
    module = pgseg_losses(grouping).eval()
    pictures, tokens, nouns, is_noun = batch()

    losses = module(pictures, tokens, nouns, is_noun)

    visual = module.clip.visual
    grouped = visual.group_patches(normal(pictures))
    images = normalize(visual.picture_vectors(grouped), dim=1)
    texts = normalize(module.clip.encode_text(of_context(tokens)), dim=1)
    scale = module.clip.logit_scale.exp()
    of_images = sum(
        prototype_loss(groups, found, scale=torch.tensor(10.0))
        for groups, found in zip(grouped.group_tokens, grouped.group_prototypes, strict=True)
    )
    assert is_noun.any(dim=1).sum() not in (0, len(is_noun))
    sentences = of_context(nouns[is_noun])
    vectors = normalize(module.clip.encode_text(sentences), dim=1)
    firsts = [
        next(i for i, other in enumerate(sentences) if torch.equal(row, other)) for row in sentences
    ]
    different = sorted(set(firsts))
    vector_of = torch.zeros(is_noun.shape, dtype=torch.int64)
    vector_of[is_noun] = torch.tensor([different.index(first) for first in firsts])
    segments = normalize(visual.segment_vectors(grouped), dim=2)
    present = grouped.present
    assert present.all() == grouping.residual
    of_texts = noun_loss(
        segments, vectors[different], vector_of, is_noun, scale=scale, present=present
    )
    assert module.loss_names == ("contrast", "image_prototypes", "text_prototypes")
    torch.testing.assert_close(losses[0], contrastive_loss(images, texts, scale=scale))
    torch.testing.assert_close(losses[1], 0.1 * of_images)
    torch.testing.assert_close(losses[2], 0.01 * of_texts)
    assert IMAGE_WEIGHT == 0.1
    torch.testing.assert_close(module.encode_pictures(pictures), images)
    torch.testing.assert_close(module.encode_tokens(tokens), texts)


def test_padding_is_no_noun() -> None:
    module = pgseg_losses().eval()
    pictures, tokens, nouns, is_noun = batch()
    before = module(pictures, tokens, nouns, is_noun)

    other = nouns.clone()
    other[~is_noun] = nouns[is_noun][0]  # where there is no noun, any sentence may stand
    padded = module(pictures, of_context(tokens), of_context(other), is_noun)

    torch.testing.assert_close(padded, before)
    some = is_noun.clone()
    some[is_noun.nonzero()[0, 0]] = False
    assert module(pictures, tokens, nouns, some)[2] != before[2]
    nothing = module(pictures, tokens, nouns, torch.zeros_like(is_noun))
    assert nothing[2] == 0
    torch.testing.assert_close(nothing[:2], before[:2])


def test_prototypes_move_in_training_only() -> None:
    module = pgseg_losses()
    made = batch()
    kept = [stage.prototypes for stage in module.clip.visual.stages]
    before = [each.clone() for each in kept]

    module.eval()(*made)
    for own, old in zip(kept, before, strict=True):
        assert torch.equal(own, old)

    module.train()
    torch.manual_seed(3)
    found = module.clip.visual.group_patches(normal(made[0])).group_prototypes
    torch.manual_seed(3)
    module(*made)
    for own, old, each in zip(kept, before, found, strict=True):
        expected = normalize(0.9 * old + 0.1 * sum(each) / 6, dim=1)
        torch.testing.assert_close(own, expected)
        torch.testing.assert_close(own.norm(dim=1), torch.ones(len(own)))
        assert (own - old).abs().max() > 1e-3


def test_what_is_learned_is_what_is_asked() -> None:
    """Pictures and segments go through one projector: neither may change what it says of both."""
    module = pgseg_losses().train()
    made = batch()
    for _ in range(20):
        module(*made)
    visual = module.eval().clip.visual
    grouped = visual.group_patches(normal(made[0]))
    asked = visual.picture_vectors(grouped), visual.segment_vectors(grouped)

    visual.projector.train()

    torch.testing.assert_close(visual.picture_vectors(grouped), asked[0])
    torch.testing.assert_close(visual.segment_vectors(grouped), asked[1])


def test_what_learns_from_which_loss() -> None:
    module = pgseg_losses().train()
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
    assert "clip.logit_scale" in learns(texts)
    assert "clip.visual.projector.0.weight" in learns(texts) - learns(images)
    assert "scales" in learns(images) - learns(texts)
    everything = learns(contrast + images + texts)
    biases = {name for name, _ in module.named_parameters() if name.endswith("key.bias")}
    assert {name for name, _ in module.named_parameters()} - everything <= biases


def test_scales_do_not_grow_without_end() -> None:
    module = pgseg_losses()
    assert module.scales is not None
    assert module.scales.tolist() == pytest.approx([INITIAL_LOG_SCALE] * 2)
    assert module.scales.exp().tolist() == pytest.approx([10.0] * 2)
    torch.nn.init.constant_(module.scales, 9.0)
    torch.nn.init.constant_(module.clip.logit_scale, 9.0)

    module.after_step(0.5)

    assert module.scales.exp().tolist() == pytest.approx([100.0] * 2)
    assert module.clip.logit_scale.exp().item() == pytest.approx(100.0)


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("texts", [True, False])
def test_parts_can_be_left_out(images: bool, texts: bool) -> None:
    module = pgseg_losses(replace(CERTAIN, prototypes=images), texts=texts).train()

    losses = module(*batch())
    losses.sum().backward()

    expected = ["contrast"] + ["image_prototypes"] * images + ["text_prototypes"] * texts
    assert list(module.loss_names) == expected
    assert losses.shape == (len(expected),)
    assert losses.isfinite().all()
    assert (module.scales is None) == (not images)
    module.after_step(1.0)


def test_it_learns_in_short_numbers() -> None:
    """As the trainer has it where the processor has bfloat16."""
    module = pgseg_losses().eval()
    expected = module(*batch())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = module(*batch())
    losses.sum().backward()

    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, expected, atol=0.1, rtol=0.2)
    gradients = [parameter.grad for parameter in module.parameters()]
    assert all(gradient is None or gradient.isfinite().all() for gradient in gradients)
