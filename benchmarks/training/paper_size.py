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

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from captionary.learning.data.examples import Example
from captionary.learning.data.sources import TrainingData
from captionary.learning.methods.pgseg import PgsegLosses
from captionary.learning.methods.prototype_loss import cosines, matches
from captionary.learning.methods.registry import METHODS, Ingredients
from captionary.learning.models.architectures import read_architecture
from captionary.learning.models.clip_models import build_clip
from captionary.learning.processes import Processes
from captionary.learning.trainer import mixed_precision
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
    processes = Processes(device)
    layers = read_architecture(PAPER_SIZE[method])
    clip = build_clip(layers, seed=0).requires_grad_(True)
    data = TrainingData(Noise(), None, [], "noise")
    task = METHODS[method].build(Ingredients(layers, clip, data, processes))
    prepared = [task.inputs.one(data.examples[i], np.random.default_rng(i)) for i in range(batch)]
    inputs = [part.to(device) for part in task.inputs.together(prepared)]
    learning = [value for value in task.module.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-6)
    short = mixed_precision(device)

    def step() -> None:
        with torch.autocast(device.type, dtype=short, enabled=short is not None):
            loss = task.module(*inputs).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        task.module.after_step(0.5)
        if device.type == "cuda":
            torch.cuda.synchronize()

    with FlopCounterMode(display=False) as counter:
        step()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    matching = ""
    if isinstance(task.module, PgsegLosses):
        matching = f", matching {1000 * match(task.module, inputs[0]):.2f} ms"
    work = counter.get_total_flops() / batch
    peak = (
        torch.cuda.max_memory_allocated()
        if device.type == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    print(
        f"{method}: {sum(value.numel() for value in learning) / 1e6:.0f} M parameters learn, "
        f"{work / 1e9:.0f} GFLOP a picture, batch {batch}: {min(seconds) / batch:.2f} s a picture"
        f"{matching}, {work * batch / min(seconds) / 1e9:.0f} GFLOP/s, peak {peak / 1e9:.1f} GB; "
        f"at {tflops:.0f} TFLOP/s {1e6 * work / tflops / 1e12 / 3600:.2f} GPU hours a million"
    )


def match(module: PgsegLosses, pictures: torch.Tensor) -> float:
    """Seconds a picture in which its groups and prototypes are matched, at all stages."""
    with torch.no_grad():
        grouped = module.clip.visual.grouped(module.normal(pictures))
        pairs = zip(grouped.tokens, grouped.prototypes, strict=True)
        alike = [cosines(groups.float(), found).cpu() for groups, found in pairs]
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for each in alike:
            matches(each)
        seconds.append(time.perf_counter() - start)
    return min(seconds) / len(pictures)


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
