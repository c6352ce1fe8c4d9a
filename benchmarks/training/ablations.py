"""What the parts of PGSeg and ViL-Seg are worth: small runs with and without each, several seeds.

    python -m benchmarks.training.ablations OUT [--steps 300] [--batch 64] [--seeds 3] [--jobs 2]
        [--methods pgseg vilseg]

First `mini` learns, in a short run of `captionary train clip`, to take as a picture's vector the
mean of its patches: both methods start from that. Then each run is `captionary train METHOD --world
pictograms --weights ... [--without PART]` in a folder of its own below OUT; killed, the same
command goes on with what is missing (other options need another OUT). Measured by text alone on
held-out scenes of 60 nouns and the grounds: mIoU by the groups that the model has learned, and by
clusters of its features instead (soft spherical k-means: what an untrained grouping makes of them);
without its clustering head ViL-Seg has no groups of its own. Printed are means over the seeds with
their standard deviations, and the losses at the end. For comparison: `clusters` of
`mini`, cropped regions.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from captionary.cli.progress import bars
from captionary.demo.scenes import Sizes, choose_cast
from captionary.learning.checkpoints import LOG_FILE
from captionary.learning.methods.registry import METHODS
from captionary.learning.progress import LOSS_PREFIX
from captionary.pictograms.dataset_folder import write_world
from captionary.pictograms.world import World
from captionary.vision.clip.catalogue import BUNDLED
from captionary.vision.clip.files import CONFIG_FILE, find_clip

CAST = Sizes(60, 24, 240, 100)
OWN, CLUSTERS, OUTPUT = "own-groups.json", "clusters.json", "output.txt"
WITHOUT: Mapping[str, Sequence[tuple[str, ...]]] = {
    "pgseg": ((), ("image-prototypes",), ("text-prototypes",), METHODS["pgseg"].parts),
    "vilseg": ((), ("vision-contrast",), ("nouns",), ("clusters",)),
}


@dataclass(frozen=True, slots=True)
class Run:
    """A training, and what it leaves out."""

    method: str
    without: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        left = f", without {' and '.join(self.without)}" if self.without else ""
        return f"{self.method}{left}"

    def folder(self, out: Path) -> Path:
        """Where it stands below `out`."""
        return out / "-".join((self.method, *self.without, str(self.seed)))

    def work(self, start: Path, data: Path, options: argparse.Namespace) -> None:
        """Train it, and measure what it has learned."""
        folder = self.folder(options.out)
        words = ["--batch", str(options.batch), "--steps", str(options.steps)]
        words += ["--seed", str(self.seed), "--warm-up", str(options.steps // 5)]
        for part in self.without:
            words += ["--without", part]
        train(self.method, start, folder, words)
        encoder = f"local-dir:{folder}"
        if find_clip(encoder).default_proposer is not None:
            evaluate(data, encoder, folder / OWN)
        evaluate(data, encoder, folder / CLUSTERS, "--proposer", "clusters")


def captionary(*words: str, output: Path) -> None:
    """Run the command line in a process of its own, on one core."""
    with output.open("a") as file:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "captionary", *words]
        subprocess.run(command, check=True, stdout=file, stderr=file, env=environment)


def train(method: str, start: Path, folder: Path, words: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    words = ["--weights", f"local-dir:{start}", "--out", str(folder), *words]
    words += ["--held-out", "100", "--workers", "0", "--device", "cpu"]
    captionary("train", method, "--world", "pictograms", *words, output=folder / OUTPUT)


def evaluate(data: Path, encoder: str, into: Path, *words: str) -> None:
    """Measure a model on the scenes by text alone, unless that is done."""
    if not into.exists():
        words = ("--encoder", encoder, *words, "--fusion", "text", "--device", "cpu")
        captionary("evaluate", str(data), *words, "--json", str(into), output=into.parent / OUTPUT)


def averaged(out: Path) -> Path:
    """`mini`, whose vector of a picture has become the mean of its patches'."""
    plain = shutil.copytree(BUNDLED["mini"], out / "mini", dirs_exist_ok=True)
    written = json.loads((plain / CONFIG_FILE).read_text(encoding="utf-8"))
    written["model_cfg"]["vision_cfg"]["pool_type"] = "avg"
    (plain / CONFIG_FILE).write_text(json.dumps(written), encoding="utf-8")
    words = ["--batch", "128", "--steps", "200", "--warm-up", "50"]
    train("clip", plain, out / "start", words)
    return out / "start"


def runs(options: argparse.Namespace) -> Iterator[Run]:
    for seed in range(options.seeds):
        for method in options.methods:
            for without in WITHOUT[method]:
                yield Run(method, without, seed)


def scenes(out: Path) -> Path:
    """Held-out scenes of some of the nouns that were learned."""
    world = World(choose_cast(0, CAST).seen, seed=7, split="held-out", captions=3)
    for _ in write_world(world, out / "scenes", scenes=CAST.held_out, nouns="all"):
        pass
    return out / "scenes"


def miou(measured: Path) -> float | None:
    """None: not measured."""
    if not measured.exists():
        return None
    return float(json.loads(measured.read_text(encoding="utf-8"))["miou"])


def last_losses(folder: Path) -> dict[str, float]:
    with (folder / LOG_FILE).open(newline="", encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    parts = {
        name.removeprefix(LOSS_PREFIX): float(value)
        for name, value in last.items()
        if name.startswith(LOSS_PREFIX)
    }
    # A loss of one part has no column of its own.
    return parts or {"contrast": float(last["loss"])}


def spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    return f"{100 * statistics.mean(known):.1f} ± {100 * statistics.pstdev(known):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, a core each")
    parser.add_argument("--methods", nargs="+", default=list(WITHOUT), choices=WITHOUT)
    options = parser.parse_args()
    wanted = list(runs(options))
    start, data = averaged(options.out), scenes(options.out)
    with bars(Console(stderr=True)) as lines, ThreadPoolExecutor(options.jobs) as pool:
        bar = lines.add("runs", len(wanted))
        finished = pool.map(lambda run: run.work(start, data, options), wanted)
        for done, _ in enumerate(finished, start=1):
            bar.show(done)
    evaluate(data, "mini", start / CLUSTERS, "--proposer", "clusters")
    table = Table("", "mIoU, own groups", "mIoU, clusters", "losses", box=None)
    for name in dict.fromkeys(run.name for run in wanted):
        folders = [run.folder(options.out) for run in wanted if run.name == name]
        own, clustered = (
            spread([miou(folder / kind) for folder in folders]) for kind in (OWN, CLUSTERS)
        )
        losses = [last_losses(folder) for folder in folders]
        text = ", ".join(
            f"{part} {statistics.mean(each[part] for each in losses):.3f}" for part in losses[0]
        )
        table.add_row(name, own, clustered, text)
    table.add_row("mini, crops", "", spread([miou(start / CLUSTERS)]), "")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
