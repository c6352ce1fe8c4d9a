from copy import deepcopy

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from captionary.learning.data.batches import Batch, PreparedExamples
from captionary.learning.methods.contrastive import contrastive_loss
from captionary.learning.methods.distillation import distillation_loss
from captionary.learning.methods.mutual_information import information_loss, joint_probabilities
from captionary.learning.methods.noun_loss import noun_loss
from captionary.learning.methods.vilseg import VilsegLosses
from captionary.vision.grouping.cluster_head import ClusterHead, patch_features
from tests.learning.flag_pictures import Flags
from tests.learning.grouping_models import random_weights, view_preprocessor, vilseg_losses

COUNT = 3


def batch(local_views: int = 2, *, first: int = 0) -> Batch:
    inputs = view_preprocessor(local_views)
    data = PreparedExamples(Flags(side=40), inputs, seed=0)
    return inputs.collate([data[index, 0] for index in range(first, first + COUNT)])


def features_of(module: VilsegLosses, views: torch.Tensor) -> torch.Tensor:
    return patch_features(module.clip.visual, (views.float() / 255 - 0.5) / 0.5)


def gradients(module: VilsegLosses, loss: torch.Tensor) -> set[str]:
    """Names of the parameters that a loss reaches."""
    named = {name: each for name, each in module.named_parameters() if each.requires_grad}
    found = torch.autograd.grad(loss, [*named.values()], retain_graph=True, allow_unused=True)
    return {
        name
        for name, gradient in zip(named, found, strict=True)
        if gradient is not None and gradient.any()
    }


def head_of(module: VilsegLosses) -> ClusterHead:
    assert module.clusters is not None
    return module.clusters


def mean_segments(head: ClusterHead | None, features: torch.Tensor) -> torch.Tensor:
    """One by one: the mean of a picture's segments, each the mean of its patches."""
    means = []
    for patches in features.flatten(1, 2):
        owners = torch.zeros(len(patches)) if head is None else head(patches).argmax(dim=1)
        segments = [patches[owners == own].mean(dim=0) for own in owners.unique()]
        means.append(torch.stack(segments).mean(dim=0))
    return torch.stack(means)


@pytest.mark.parametrize("clusters", [True, False])
def test_captions_are_contrasted_with_both_large_views(clusters: bool) -> None:
    module = vilseg_losses(clusters=clusters)
    if clusters:
        random_weights(head_of(module), 3, spread=0.5)
    views, *_, tokens, _, _ = made = batch()

    losses = module(*made)

    texts = normalize(
        module.clip.encode_text(torch.nn.functional.pad(tokens, (0, 12 - tokens.shape[1]))), dim=1
    )
    scale = module.clip.logit_scale.exp()
    each = []
    for view in range(2):
        images = mean_segments(module.clusters, features_of(module, views[:, view]))
        vectors = normalize(images @ module.clip.visual.proj, dim=1)
        each.append(contrastive_loss(vectors, texts, scale=scale))
        if not clusters:
            torch.testing.assert_close(module.encode_pictures(views[:, view]), vectors)
    torch.testing.assert_close(losses[0], sum(each) / 2)
    torch.testing.assert_close(module.encode_tokens(tokens), texts)


@pytest.mark.parametrize("local_views", [0, 2])
def test_views_are_contrasted_with_the_teachers_large_ones(local_views: int) -> None:
    module = vilseg_losses().eval()
    random_weights(module.teacher, 5, spread=0.02)
    random = torch.Generator().manual_seed(0)
    module.centre += torch.randn(20, generator=random)
    views, local, *_ = made = batch(local_views)

    losses = module(*made)

    student, teacher = [], []
    for view in range(2):
        student.append(module.head(features_of(module, views[:, view]).mean(dim=(1, 2))))
        seen = (views[:, view].float() / 255 - 0.5) / 0.5
        pooled = patch_features(module.teacher.visual, seen).mean(dim=(1, 2))
        teacher.append(module.teacher.head(pooled))
    for view in range(local_views):
        student.append(module.head(features_of(module, local[:, view]).mean(dim=(1, 2))))
    expected = distillation_loss(torch.stack(teacher), torch.stack(student), module.centre)
    torch.testing.assert_close(losses[1], expected)


def test_clusters_are_compared_where_views_overlap() -> None:
    """Of two equal views, one of them mirrored, each patch has one other."""
    module = vilseg_losses()
    views, local, _, _, tokens, *nouns = batch()
    views[:, 1] = views[:, 0]
    whole = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(COUNT, 2, 4)

    losses = module(views, local, whole, torch.zeros(COUNT, 2, dtype=torch.bool), tokens, *nouns)

    shares = head_of(module)(features_of(module, views[:, 0])).softmax(dim=-1).flatten(0, 2)
    joint = joint_probabilities(shares, shares)
    torch.testing.assert_close(losses[2], information_loss(joint))
    mirrored = torch.zeros(COUNT, 4, 4, dtype=torch.long) + torch.arange(16).view(4, 4).flip(1)
    other = shares.view(COUNT, 16, -1)[torch.arange(COUNT)[:, None], mirrored.flatten(1)]
    flipped = torch.tensor([[False, True]] * COUNT)
    losses = module(views, local, whole, flipped, tokens, *nouns)
    expected = information_loss(joint_probabilities(shares, other.flatten(0, 1)))
    torch.testing.assert_close(losses[2], expected)


def test_nouns_are_matched_to_segments_of_both_views() -> None:
    module = vilseg_losses()
    head = head_of(module)
    random_weights(head, 3, spread=0.5)
    views, *_, nouns, is_noun = made = batch(first=9)
    assert len({tuple(row.flatten().tolist()) for row in nouns}) == COUNT

    losses = module(*made)

    different = sorted({tuple(row.tolist()) for row in nouns[is_noun]})
    segments, present, vector_of, named = [], [], [], []
    for view in range(2):
        for number, patches in enumerate(features_of(module, views[:, view]).flatten(1, 2)):
            owners = head(patches).argmax(dim=1)
            own = [patches[owners == cluster] for cluster in range(6)]
            segments.append(torch.stack([e.mean(dim=0) if len(e) else 0 * patches[0] for e in own]))
            present.append(torch.tensor([len(each) > 0 for each in own]))
            rows = zip(nouns[number].tolist(), is_noun[number].tolist(), strict=True)
            vector_of.append(
                torch.tensor([different.index(tuple(row)) if real else 0 for row, real in rows])
            )
            named.append(is_noun[number])
    expected = noun_loss(
        normalize(torch.stack(segments) @ module.clip.visual.proj, dim=2),
        module.encode_tokens(torch.tensor(different)),
        torch.stack(vector_of),
        torch.stack(named),
        scale=module.clip.logit_scale.exp(),
        present=torch.stack(present),
    )
    assert expected.item() > 0.1
    torch.testing.assert_close(losses[3], 0.5 * expected)


def test_what_learns_from_which_loss() -> None:
    module = vilseg_losses()
    contrast, vision, clusters, nouns = (gradients(module, loss) for loss in module(*batch()))

    assert clusters == {f"clusters.{name}" for name, _ in head_of(module).named_parameters()}
    assert not any(name.startswith(("head", "clusters")) for name in contrast)
    assert "clip.visual.conv1.weight" in contrast & vision
    assert "clip.token_embedding.weight" in contrast - vision
    assert "head.layers.0.weight" in vision
    assert "clip.visual.conv1.weight" in nouns
    assert not any(name.startswith(("head", "clusters", "clip.token")) for name in nouns)
    assert not any(name.startswith("teacher") for name in contrast | vision | clusters | nouns)
    assert not any(each.requires_grad for each in module.teacher.parameters())


def test_the_centre_moves_in_training_only() -> None:
    module = vilseg_losses().eval()
    views, *_ = made = batch()
    module(*made)
    assert not module.centre.any()

    module.train()(*made)

    logits = module.teacher(((views.float() / 255 - 0.5) / 0.5).flatten(0, 1))
    torch.testing.assert_close(module.centre, 0.1 * logits.mean(dim=0))


def test_the_teacher_starts_as_the_student_and_follows() -> None:
    module = vilseg_losses()
    pairs = [
        (own, other)
        for whole, part in (
            (module.teacher.visual, module.clip.visual),
            (module.teacher.head, module.head),
        )
        for own, other in zip(whole.parameters(), part.parameters(), strict=True)
    ]
    assert all(torch.equal(*pair) for pair in pairs)
    assert not any(own is other for own, other in pairs)
    random_weights(module.clip, 7, spread=0.1)
    with torch.no_grad():
        for parameter in module.head.layers.parameters():
            parameter.add_(0.1)
        module.clip.logit_scale.fill_(9.0)
    before = deepcopy(module.teacher)

    module.after_step(1.0)
    for own, old in zip(module.teacher.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(own, old)

    module.after_step(0.0)
    for (own, other), old in zip(pairs, before.parameters(), strict=True):
        torch.testing.assert_close(own, 0.996 * old + 0.004 * other)
    assert module.clip.logit_scale.exp().item() == pytest.approx(100)


@pytest.mark.parametrize("vision", [True, False])
@pytest.mark.parametrize(("clusters", "nouns"), [(True, True), (True, False), (False, False)])
def test_parts_can_be_left_out(vision: bool, clusters: bool, nouns: bool) -> None:
    module = vilseg_losses(vision=vision, clusters=clusters, nouns=nouns).train()

    losses = module(*batch(2 * vision))
    losses.sum().backward()
    module.after_step(0.5)

    expected = ["contrast"] + ["vision_contrast"] * vision + ["clusters"] * clusters
    expected += ["nouns"] * nouns
    assert list(module.loss_names) == expected
    assert losses.shape == (len(expected),)
    assert any(name.startswith("teacher") for name in module.state_dict()) == vision
    assert (module.clusters is None) == (not clusters)
    for name, parameter in module.named_parameters():
        assert (parameter.grad is None) == (not parameter.requires_grad), name


def test_it_learns_in_bfloat16() -> None:
    """As the trainer has it where the processor has bfloat16."""
    module = vilseg_losses().train()
    expected = deepcopy(module)(*batch())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = module(*batch())
    losses.sum().backward()

    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, expected, atol=0.1, rtol=0.1)
    for name, parameter in module.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_the_head_learns_to_tell_colours_apart() -> None:
    module = vilseg_losses(vision=False, nouns=False)
    optimizer = torch.optim.Adam(head_of(module).parameters(), lr=0.02)
    made = batch(0)
    information = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = module(*made)[-1]
        loss.backward()
        optimizer.step()
        information.append(loss.item())

    assert information[-1] < information[0] - 0.3
    assert -np.log(6) <= information[-1]
