"""A training step at the size of the papers: does it fit, and how long does it take?

    python -m benchmarks.training.paper_size [--batch 4] [--method pgseg vilseg] [--device auto]

For each method: parameters that learn, work of a step forward and backward (products only, as torch
counts them), seconds and peak memory, each a picture where it says so, and the hours that a GPU
takes for a million pictures at the rate given by --tflops, which is what a GPU sustains and not
what its data sheet says. Captions are as long as they can be: in a batch of hundreds one is. For
PGSeg also what the matching of groups and prototypes takes, on one core, whatever the device: the
GPU waits for it. Each method runs in a process of its own, so that its memory is its own.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from captionary.build_training import load_noun_extractor
from captionary.learning.data.examples import Example
from captionary.learning.data.sources import TrainingData
from captionary.learning.methods.pgseg import PgsegLosses
from captionary.learning.methods.prototype_loss import match_one_to_one, pairwise_cosines
from captionary.learning.methods.task_spec import TaskSpec
from captionary.learning.methods.tasks import build_task
from captionary.learning.models.architectures import read_architecture
from captionary.learning.models.clip_models import build_clip
from captionary.learning.processes import Processes
from captionary.learning.task import CaptionTask
from captionary.learning.trainer import choose_short_type
from captionary.vision.hardware import choose_device

PAPER_SIZE = {"pgseg": "pgseg-vit-s", "vilseg": "vilseg-vit-b"}
TFLOPS = 40.0
"""What a GPU of the A100 kind is assumed to sustain in bfloat16, an eighth of its 312: towers as
narrow as these never come near that. Assumed, not measured."""

REPEATS = 3
CAPTION = " ".join(["two tigers beside a red apple on the grass"] * 12)


class Noise:
    """Pictures of noise with a caption."""

    def __len__(self) -> int:
        return 1 << 20

    def __getitem__(self, index: int) -> Example:
        pixels = np.random.default_rng(index).integers(0, 256, (224, 224, 3), dtype=np.uint8)
        return Example(pixels, (CAPTION,))


def measure(method: str, batch: int, device: torch.device, tflops: float) -> None:
    task = prepare_task(method, device)
    examples = Noise()
    prepared = [
        task.preprocessor.prepare(examples[i], np.random.default_rng(i)) for i in range(batch)
    ]
    inputs = [part.to(device) for part in task.preprocessor.collate(prepared)]
    learning = [value for value in task.module.parameters() if value.requires_grad]
    step = training_step(task, inputs, torch.optim.AdamW(learning, lr=1e-6), device)
    with FlopCounterMode(display=False) as counter:
        step()
    seconds = min(timed(step) for _ in range(REPEATS))
    matching = ""
    if isinstance(task.module, PgsegLosses):
        matching = f", matching {1000 * match(task.module, inputs[0]):.2f} ms"
    work = counter.get_total_flops() / batch
    print(
        f"{method}: {sum(value.numel() for value in learning) / 1e6:.0f} M parameters learn, "
        f"{work / 1e9:.0f} GFLOP a picture, batch {batch}: {seconds / batch:.2f} s a picture"
        f"{matching}, {work * batch / seconds / 1e9:.0f} GFLOP/s, "
        f"peak {peak_memory(device) / 1e9:.1f} GB; "
        f"at {tflops:.0f} TFLOP/s {1e6 * work / tflops / 1e12 / 3600:.2f} GPU hours a million"
    )


def prepare_task(method: str, device: torch.device) -> CaptionTask[Any]:
    layers = read_architecture(PAPER_SIZE[method])
    clip = build_clip(layers, seed=0).requires_grad_(True)
    data = TrainingData(Noise(), None, [], "noise")
    spec = TaskSpec(layers, clip, data, Processes(device), load_noun_extractor)
    return build_task(method, spec)


def training_step(
    task: CaptionTask[Any],
    inputs: Sequence[torch.Tensor],
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> Callable[[], None]:
    short = choose_short_type(device)

    def step() -> None:
        with torch.autocast(device.type, dtype=short, enabled=short is not None):
            loss = task.module(*inputs).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        task.module.after_step(0.5)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def timed(work: Callable[[], None]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_memory(device: torch.device) -> int:
    """Bytes at most until now, of the GPU or else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def match(module: PgsegLosses, pictures: torch.Tensor) -> float:
    """Seconds a picture in which its groups and prototypes are matched, at all stages."""
    with torch.no_grad():
        grouped = module.clip.visual.group_patches(module.normalize_pixels(pictures))
        pairs = zip(grouped.group_tokens, grouped.group_prototypes, strict=True)
        stages = [pairwise_cosines(groups.float(), own).cpu() for groups, own in pairs]

    def match_all() -> None:
        for cosines in stages:
            match_one_to_one(cosines)

    return min(timed(match_all) for _ in range(REPEATS)) / len(pictures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--method", nargs="+", default=list(PAPER_SIZE), choices=PAPER_SIZE)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tflops", type=float, default=TFLOPS)
    options = parser.parse_args()
    if len(options.method) == 1:
        device = choose_device(options.device)
        measure(options.method[0], options.batch, device, options.tflops)
        return
    for method in options.method:
        same = ["--batch", str(options.batch), "--device", options.device]
        same += ["--tflops", str(options.tflops), "--method", method]
        subprocess.run([sys.executable, "-m", "benchmarks.training.paper_size", *same], check=True)


if __name__ == "__main__":
    main()
