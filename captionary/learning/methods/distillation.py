"""Self-distillation: a student predicts in any view what its teacher sees in the large ones.

DINO (Caron et al., 2021), with which ViL-Seg contrasts views.
"""

import math

import torch
from torch import nn
from torch.nn.functional import log_softmax, normalize
from torch.nn.utils.parametrizations import weight_norm

TEACHER_TEMPERATURE, STUDENT_TEMPERATURE = 0.04, 0.1
CENTRE_MOMENTUM = 0.9
FIRST_MOMENTUM = 0.996


class DistillationHead(nn.Module):
    """Projection head: features of pictures to logits, (N, width) -> (N, outputs)."""

    def __init__(self, width: int, *, hidden: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden // 4),
        )
        last = weight_norm(nn.Linear(hidden // 4, outputs, bias=False))
        # Rows of length 1 that stay so: else one output could grow and take all pictures.
        last.parametrizations.weight.original0.data.fill_(1)
        last.parametrizations.weight.original0.requires_grad_(False)
        self.last = last

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits: cosines with the rows of the last layer."""
        logits: torch.Tensor = self.last(normalize(self.layers(features), dim=-1))
        return logits


def distillation_loss(
    teacher: torch.Tensor, student: torch.Tensor, centre: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of the student's views with the teacher's other views: a scalar.

    Args:
        teacher: (G, N, K) logits of the G global views; no gradient goes into them.
        student: (V, N, K) logits of all V views, the global ones first, in the same order.
        centre:  (K,), subtracted from the teacher's logits, so that it does not collapse to one
            output for all.
    """
    targets = ((teacher.detach() - centre) / TEACHER_TEMPERATURE).softmax(dim=-1)
    predictions = log_softmax(student / STUDENT_TEMPERATURE, dim=-1)
    each = -torch.einsum("gnk,vnk->gv", targets, predictions) / teacher.shape[1]
    # A view is not compared with itself.
    others = ~torch.eye(*each.shape, dtype=torch.bool, device=each.device)
    return each[others].mean()


@torch.no_grad()
def update_centre(centre: torch.Tensor, teacher: torch.Tensor) -> None:
    """Move the centre, (K,), a little towards the mean of the teacher's logits, (N, K)."""
    centre.lerp_(teacher.mean(dim=0).to(centre), 1 - CENTRE_MOMENTUM)


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, *, done: float) -> None:
    """Move a teacher a little towards its student (EMA), less and less as the run goes on.

    done: share of the run that is done, in [0, 1].
    """
    # A cosine up to 1: in the end the teacher stands still, an average over its last students.
    momentum = 1 - (1 - FIRST_MOMENTUM) * (1 + math.cos(math.pi * done)) / 2
    for own, other in zip(teacher.parameters(), student.parameters(), strict=True):
        own.lerp_(other, 1 - momentum)
