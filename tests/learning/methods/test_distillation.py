import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.learning.methods.distillation import (
    DistillationHead,
    distillation_loss,
    update_centre,
    update_teacher,
)


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


@settings(max_examples=25)
@given(
    count=st.integers(1, 3),
    views=st.integers(2, 5),
    outputs=st.integers(1, 6),
    seed=st.integers(0, 999),
)
def test_the_loss_equals_plain_loops(count: int, views: int, outputs: int, seed: int) -> None:
    teacher, student = (
        drawn(2, count, outputs, seed=seed),
        drawn(views, count, outputs, seed=seed + 1),
    )
    centre = drawn(outputs, seed=seed + 2)

    loss = distillation_loss(teacher, student, centre)

    each = []
    for large in range(2):
        for view in range(views):
            if view == large:  # no view is compared with itself
                continue
            for number in range(count):
                target = softmax((teacher[large, number] - centre).numpy() / 0.04)
                said = softmax(student[view, number].numpy() / 0.1)
                each.append(-sum(t * math.log(s) for t, s in zip(target, said, strict=True)))
    assert float(loss) == pytest.approx(sum(each) / len(each), rel=1e-6, abs=1e-9)


def test_a_view_is_not_compared_with_itself() -> None:
    teacher, student = drawn(2, 3, 5, seed=0), drawn(4, 3, 5, seed=1).requires_grad_()
    alone = student.detach()[:1].requires_grad_()

    loss = distillation_loss(teacher[:1], torch.cat([alone, student[1:]]), torch.zeros(5))
    (gradient,) = torch.autograd.grad(loss, [alone])

    assert not gradient.any()


def test_only_the_student_learns() -> None:
    teacher = drawn(2, 3, 5, seed=0).requires_grad_()
    student = drawn(4, 3, 5, seed=1).requires_grad_()

    loss = distillation_loss(teacher, student, torch.zeros(5))
    of_teacher, of_student = torch.autograd.grad(loss, [teacher, student], allow_unused=True)

    assert of_teacher is None
    assert of_student.abs().sum() > 0


def test_the_centre_is_no_answer_to_all() -> None:
    """What the teacher says of everything is taken from what it says of each."""
    student, own = drawn(2, 4, 6, seed=0), drawn(2, 4, 6, seed=1)
    always = 3 * drawn(6, seed=2)

    shifted = distillation_loss(own + always, student, always)

    torch.testing.assert_close(shifted, distillation_loss(own, student, torch.zeros(6).double()))


def test_the_centre_moves_a_tenth_of_the_way() -> None:
    centre, teacher = drawn(5, seed=0), drawn(8, 5, seed=1)
    expected = 0.9 * centre + 0.1 * sum(teacher) / 8

    update_centre(centre, teacher)

    torch.testing.assert_close(centre, expected)


@pytest.mark.parametrize(("done", "momentum"), [(0.0, 0.996), (0.5, 0.998), (1.0, 1.0)])
def test_a_teacher_follows_less_and_less(done: float, momentum: float) -> None:
    teacher, student = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    before = [parameter.clone() for parameter in teacher.parameters()]

    update_teacher(teacher, student, done=done)

    for own, old, other in zip(teacher.parameters(), before, student.parameters(), strict=True):
        torch.testing.assert_close(own, momentum * old + (1 - momentum) * other)
        assert own.grad_fn is None


def test_logits_are_cosines_and_stay_so() -> None:
    torch.manual_seed(0)
    head = DistillationHead(6, hidden=16, outputs=9)
    features = drawn(4, 6, seed=0).float()
    optimizer = torch.optim.SGD([p for p in head.parameters() if p.requires_grad], lr=5.0)
    before = head(features).detach()
    for _ in range(3):
        optimizer.zero_grad()
        (head(features) * drawn(4, 9, seed=1).float()).sum().backward()
        optimizer.step()

    logits = head(features)

    assert not torch.allclose(logits, before, atol=0.01)
    torch.testing.assert_close(head.last.weight.norm(dim=1), torch.ones(9))
    for row, hidden in zip(logits.detach(), head.layers(features).detach(), strict=True):
        cosines = torch.cosine_similarity(hidden[None], head.last.weight.detach())
        torch.testing.assert_close(row, cosines, atol=1e-5, rtol=1e-4)
    frozen = [name for name, parameter in head.named_parameters() if not parameter.requires_grad]
    assert frozen == ["last.parametrizations.weight.original0"]
