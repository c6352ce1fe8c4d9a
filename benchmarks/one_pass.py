"""Time and memory of embedding a picture's regions: crops, region tokens, feature maps.

    python -m benchmarks.one_pass [--encoder random | mini | local-dir:FOLDER] [--threads 2]
        [--ways crop tokens dense] [--regions 16 64 128] [--device cpu]

`random` is a ViT-B/16 without training: speed does not depend on what weights say. Each figure is
measured in a process of its own, on a drawn picture cut into so many cells: the median time of a
picture, and by how much the process's peak grew beyond the loaded model. Times are also told as
ratios to `crop` of the same run. Last, the time of one pass over a picture is compared with plain
matrix products of the same shapes and precision, which is the best that the processor could do.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import open_clip
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from scipy.spatial import cKDTree

from captionary.schemas.regions import Region
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.embedding.views import parse_embedding
from captionary.vision.pictures.loading import LoadedPicture

SIZE_HW = (480, 640)
RANDOM = "ViT-B-16"


def cells(count: int) -> tuple[LoadedPicture, list[Region]]:
    """A picture of noise, cut into the cells that are nearest to so many random points."""
    random = np.random.default_rng(0)
    points = random.random((count, 2)) * SIZE_HW
    places = np.indices(SIZE_HW).reshape(2, -1).T
    owner = cKDTree(points).query(places)[1].reshape(SIZE_HW)
    pixels = random.integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
    picture = LoadedPicture(pixels, "cells")
    return picture, [Region(owner == number) for number in np.unique(owner)]


def write_random(folder: Path) -> str:
    """A ViT-B/16 of random weights, as a folder in open_clip's layout."""
    torch.manual_seed(0)
    model = open_clip.create_model(RANDOM)
    config = {"model_cfg": open_clip.get_model_config(RANDOM), "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def seconds_of(work: Callable[[], object], *, device: str, at_least: float = 2.0) -> float:
    """Median seconds of some work, after one time to warm up."""
    times: list[float] = []
    while len(times) < 4 or (sum(times) < at_least and len(times) < 100):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return median(times[1:])


class Peak:
    """By how much memory has grown at most, in MB, since this was made."""

    def __init__(self, device: str) -> None:
        self._cuda = device == "cuda"
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
        elif RESET.exists():
            RESET.write_text("5")  # Linux forgets the process's peak so far
        self._before = self._now()

    def _now(self) -> float:
        if self._cuda:
            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    @property
    def growth(self) -> float:
        """MB so far."""
        return self._now() - self._before


RESET = Path("/proc/self/clear_refs")


def measure(encoder: ClipEncoder, way: str, regions: int, device: str) -> dict[str, float]:
    """Median seconds of a picture, and growth of the peak in MB."""
    picture, cut = cells(regions)
    embedding = parse_embedding(way)
    peak = Peak(device)

    def look() -> None:
        # New maps each time: they remember their last picture.
        embedding.embedder(encoder, embedding.feature_maps(encoder)).embed(picture, cut)

    return {"seconds": seconds_of(look, device=device), "mb": peak.growth}


def measure_products(encoder: ClipEncoder, device: str) -> dict[str, float]:
    """Seconds of one pass of a transformer, and of its matrix products alone."""
    tower = open_clip.create_model(RANDOM).visual
    width, blocks = tower.conv1.out_channels, len(tower.transformer.resblocks)
    tokens, heads = int(np.prod(tower.grid_size)) + 1, tower.transformer.resblocks[0].attn.num_heads
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[encoder.precision]

    def pair(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
        *batch, rows, inner, columns = shape
        one = torch.rand([*batch, rows, inner], dtype=dtype, device=device)
        return one, torch.rand([*batch, inner, columns], dtype=dtype, device=device)

    inside = [
        pair(tokens, width, 3 * width),
        pair(heads, tokens, width // heads, tokens),
        pair(heads, tokens, tokens, width // heads),
        pair(tokens, width, width),
        pair(tokens, width, 4 * width),
        pair(tokens, 4 * width, width),
    ]
    patches = pair(tokens - 1, 3 * tower.patch_size[0] ** 2, width)

    def products() -> None:
        torch.matmul(*patches)
        for _ in range(blocks):
            for one, other in inside:
                torch.matmul(one, other)

    frame = torch.rand(3, *encoder.input_size_hw)
    with torch.inference_mode():
        return {
            "products": seconds_of(products, device=device),
            "pass": seconds_of(
                lambda: encoder.encode_map(frame, last_block="naclip"), device=device
            ),
        }


def in_own_process(arguments: list[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.one_pass", *arguments]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--encoder", default="random")
    parser.add_argument("--ways", nargs="+", default=["crop", "tokens", "dense"])
    parser.add_argument("--regions", nargs="+", type=int, default=[16, 64, 128])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one is not None:
        encoder = ClipEncoder(options.encoder, device=options.device, precision=options.precision)
        if options.one == "products":
            print(json.dumps(measure_products(encoder, options.device)))
        else:
            print(json.dumps(measure(encoder, options.one, options.regions[0], options.device)))
        return
    with tempfile.TemporaryDirectory() as folder:
        random = options.encoder == "random"
        name = write_random(Path(folder)) if random else options.encoder
        show(options, name, random=random)


def show(options: argparse.Namespace, encoder: str, *, random: bool) -> None:
    same = ["--encoder", encoder, "--threads", str(options.threads)]
    same += ["--device", options.device, "--precision", options.precision]
    table = Table("regions", "way", "s/picture", "times as fast", "MB more", box=None)
    for count in options.regions:
        base = None
        for way in options.ways:
            figures = in_own_process([*same, "--one", way, "--regions", str(count)])
            base = base or figures["seconds"]
            cells = (f"{figures['seconds']:.3f}", f"{base / figures['seconds']:.1f}")
            table.add_row(str(count), way, *cells, f"{figures['mb']:.0f}")
    Console().print(table)
    if random:
        figures = in_own_process([*same, "--one", "products"])
        share = figures["products"] / figures["pass"]
        print(
            f"one pass {figures['pass']:.3f} s, its products alone {figures['products']:.3f} s: ",
            end="",
        )
        print(f"{share:.0%} of what the processor could do")


if __name__ == "__main__":
    main()
