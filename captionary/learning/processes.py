"""The processes of a run: one, or those that torchrun has started, one a GPU."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from captionary.schemas.errors import WrongInput

TIMEOUT = timedelta(days=1)
"""How long processes wait for one another. The usual ten minutes are too few where the first one
segments a dataset; one that dies is noticed by torchrun at once."""


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's place among those that train one model.

    rank:   0 is the one that writes and reports.
    count:  how many there are (the world size).
    device: what this process computes on.
    """

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that writes and reports."""
        return self.rank == 0

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model such that its gradients are the mean over all processes."""
        if self.count == 1:
            return model
        on_gpu = self.device.type == "cuda"
        ids = [self.device.index] if on_gpu else None
        # Gradients are views into the buffers that are sent: a copy of all of them less.
        return torch.nn.parallel.DistributedDataParallel(
            model, device_ids=ids, gradient_as_bucket_view=True
        )

    def no_sync(self, model: torch.nn.Module) -> AbstractContextManager[None]:
        """While it is open, gradients of a wrapped model add up in each process by itself."""
        if isinstance(model, torch.nn.parallel.DistributedDataParallel):
            result: AbstractContextManager[None] = model.no_sync()
            return result
        return nullcontext()

    def all_gather(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows of all processes, (N, D) -> (N * count, D), in the order of their ranks.

        Gradients flow back to where the rows came from; all processes must call it, and go back.
        """
        if self.count == 1:
            return rows
        result: torch.Tensor = _AllGather.apply(rows, self)
        return result

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of numbers over all processes, float32 of any shape; all must call it."""
        # A copy: all-reduce works in place.
        total = values.detach().float().clone()
        if self.count > 1:
            distributed.all_reduce(total)
        return total / self.count

    def any(self, *, here: bool) -> bool:
        """Whether it is so in any process; all of them must call it."""
        if self.count == 1:
            return here
        return bool(self.mean(torch.tensor(float(here), device=self.device)) > 0)


class _AllGather(torch.autograd.Function):
    """All-gather with gradients: those of a row, in all processes, go back to it summed.

    Our own, because torch has deprecated `torch.distributed.nn.functional.all_gather` in favour of
    a private module whose names change with its versions.
    """

    @staticmethod
    def forward(context: Any, rows: torch.Tensor, processes: Processes) -> torch.Tensor:
        context.processes = processes
        parts = [torch.empty_like(rows) for _ in range(processes.count)]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        # All-reduce and not reduce-scatter, which gloo (on CPUs) does not have.
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total.chunk(context.processes.count)[context.processes.rank], None


@contextmanager
def join_processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun has started; without torchrun there is one only.

    Args:
        device: what to compute on; where that is a GPU, each process of a machine takes its own.

    Raises:
        WrongInput: there are fewer GPUs than processes.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device)
        return
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise WrongInput(
                f"torchrun has started more processes than the {torch.cuda.device_count()} GPUs "
                "here; give a smaller --nproc-per-node"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield Processes(device, distributed.get_rank(), count)
    finally:
        distributed.destroy_process_group()
