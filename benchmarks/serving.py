"""The services under load, on this machine: what HTTP adds, throughput, refusals, caption to use.

    python -m benchmarks.serving [--seconds 60] [--concurrency 1 8 32] [--encoder mini]

Draws scenes, makes a dictionary, and serves it with `captionary serve --role both` in a process of
its own. Then, one after the other:

- the same pictures by turns in this process and over HTTP, one at a time: what the service adds;
- for each concurrency, so many callers that ask again as soon as they are answered (or when
  Retry-After says): pictures a second, p50 and p95 of the answered, statuses, memory of the process
  at the start and at the end;
- captions of nouns that the dictionary lacks, one at a time: seconds from the request until the
  segmenter has prototypes of the noun.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import torch

from captionary.build import ModelNames, Parts
from captionary.pictograms.dataset_folder import write_world
from captionary.pictograms.nouns import Noun, choose_nouns
from captionary.pictograms.world import World
from captionary.schemas.classes import parse_classes
from captionary.segmenter.json_data import segmentation_json
from captionary.segmenter.segmenter import Settings
from captionary.vision.pictures.loading import decode_picture

KNOWN, CAPTIONED, ASKED, NEW = 20, 120, 20, 10
"""Nouns of the dictionary, scenes that make it, scenes to segment, nouns to teach."""
SIDE = 160
PATIENCE, LEARNED_BY = 120, 30
SETTLED = 5
"""Seconds between two load runs."""


@dataclass
class Load:
    """What callers met. seconds: of the answered."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


def draw_scenes(folder: Path, nouns: Sequence[Noun], scenes: int, seed: int) -> Path:
    world = World(tuple(nouns), size=SIDE, seed=seed, split="train", captions=2)
    for _ in write_world(world, folder, scenes=scenes, nouns="all"):
        pass
    return folder


def run_command(*words: object) -> None:
    command = [sys.executable, "-m", "captionary", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def serve(store: object, state: Path, log: Path) -> Iterator[tuple[str, int]]:
    """The address and process id of the services."""
    command = [sys.executable, "-m", "captionary", "serve", "--store", str(store)]
    command += ["--port", "0", "--state", str(state), "--device", "cpu"]
    with log.open("w") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split(" on ")[1].split(",")[0]
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE)


def memory(pid: int) -> float:
    """Resident megabytes of a process, without the pages of files."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def post_picture(client: httpx.Client, picture: bytes, classes: str) -> httpx.Response:
    return client.post("/v1/segment", files={"image": picture}, data={"classes": classes})


def measure_overhead(
    client: httpx.Client, copy: Path, pictures: Sequence[bytes], classes: str
) -> None:
    """Compare this process with the service, picture by picture."""
    torch.set_num_threads(1)
    here, there = [], []
    named = parse_classes(classes)
    with closing(Parts(str(copy), ModelNames(device="cpu"))) as parts:
        segmenter = parts.segmenter
        for number, picture in enumerate([*pictures[:2], *pictures, *pictures]):
            start = time.perf_counter()
            loaded = decode_picture(picture, name="picture")
            answer = segmentation_json(segmenter.segment(loaded, named, Settings("both")))
            body = json.dumps(answer).encode()
            middle = time.perf_counter()
            response = post_picture(client, picture, classes)
            end = time.perf_counter()
            assert response.json() == json.loads(body), "the service answers something else"
            if number >= 2:
                here.append(middle - start)
                there.append(end - middle)
    more = median(b / a for a, b in zip(here, there, strict=True)) - 1
    print(
        f"one at a time, {len(here)} pictures: in process {1000 * median(here):.0f} ms, "
        f"over HTTP {1000 * median(there):.0f} ms (medians); HTTP adds {more:+.1%}",
        flush=True,
    )


def call_until(
    address: str, pictures: Sequence[bytes], classes: str, end: float, load: Load
) -> None:
    """Ask until the time is over."""
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        number = threading.get_ident()
        while time.perf_counter() < end:
            number += 1
            start = time.perf_counter()
            response = post_picture(client, pictures[number % len(pictures)], classes)
            took = time.perf_counter() - start
            with load.lock:
                load.statuses[response.status_code] += 1
                if response.is_success:
                    load.seconds.append(took)
            if response.status_code in (429, 503):
                time.sleep(min(float(response.headers["Retry-After"]), 5))


def measure_load(
    address: str, pid: int, pictures: Sequence[bytes], classes: str, callers: int, seconds: float
) -> None:
    """So many callers for so many seconds."""
    load, before, start = Load(), memory(pid), time.perf_counter()
    arguments = (address, pictures, classes, start + seconds, load)
    threads = [threading.Thread(target=call_until, args=arguments) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    p50, p95 = np.percentile(load.seconds, [50, 95])
    print(
        f"{callers:>3} callers, {took:.0f} s: {len(load.seconds) / took:.2f} pictures/s, "
        f"p50 {p50:.2f} s, p95 {p95:.2f} s, statuses {dict(load.statuses)}, "
        f"memory {before:.0f} -> {memory(pid):.0f} MB",
        flush=True,
    )


def has_prototypes(client: httpx.Client, noun: str) -> bool:
    answer = client.get(f"/v1/vocabulary/{noun}")
    return answer.status_code == httpx.codes.OK and answer.json()["prototypes"] > 0


def caption_to_use(client: httpx.Client, folder: Path, nouns: Sequence[Noun]) -> None:
    """Teach new nouns one by one, a scene each that shows nothing else."""
    seconds = []
    for drawing in nouns:
        noun = drawing.name
        scene = draw_scenes(folder / noun, [drawing], 1, seed=3)
        row = json.loads((scene / "captions.jsonl").read_text(encoding="utf-8"))
        assert not has_prototypes(client, noun)
        files = {"image": (scene / row["image"]).read_bytes()}
        start = time.perf_counter()
        client.post("/v1/pairs", files=files, data={"caption": row["captions"]}).raise_for_status()
        while not (known := has_prototypes(client, noun)):
            if time.perf_counter() - start > LEARNED_BY:  # a noun that the tagger does not find
                print(f"{noun} was not learned from {row['captions']}", flush=True)
                break
            time.sleep(0.02)
        if known:
            seconds.append(time.perf_counter() - start)
    print(
        f"caption to use, {len(seconds)} new nouns: median {median(seconds):.2f} s, "
        f"most {max(seconds):.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--encoder", default="mini")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known, new = choose_nouns("seen")[:KNOWN], choose_nouns("novel")[:NEW]
        captioned = draw_scenes(folder / "captioned", known, CAPTIONED, seed=1)
        asked = draw_scenes(folder / "asked", known, ASKED, seed=2)
        store, copy = folder / "store", folder / "copy"
        run_command(
            "index", captioned / "captions.jsonl", "--store", store, "--encoder", options.encoder
        )
        shutil.copytree(store, copy)
        classes = ", ".join(noun.name for noun in known)
        pictures = [path.read_bytes() for path in sorted((asked / "images").iterdir())]
        with (
            serve(store, folder / "state", folder / "log") as (address, pid),
            httpx.Client(base_url=address, timeout=PATIENCE) as client,
        ):
            measure_overhead(client, copy, pictures, classes)
            for callers in options.concurrency:
                measure_load(address, pid, pictures, classes, callers, options.seconds)
                time.sleep(SETTLED)
            caption_to_use(client, folder / "new", new)


if __name__ == "__main__":
    main()
