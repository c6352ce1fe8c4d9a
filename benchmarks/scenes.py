"""Pictogram scenes a second, drawn by several processes at once.

`python -m benchmarks.scenes [--processes 2] [--size 128] [--count 2000]`: pictures, labels and one
caption each; the textures of the grounds are drawn before the clock runs.
"""

import argparse
import multiprocessing
import time
from multiprocessing.synchronize import Barrier

from captionary.pictograms.grounds import GROUNDS, TILES, draw_tile
from captionary.pictograms.nouns import choose_nouns
from captionary.pictograms.world import World


def draw(world: World, numbers: range, ready: Barrier) -> None:
    for ground in GROUNDS:
        for tile in range(TILES):
            draw_tile(ground, tile, world.size)
    ready.wait()
    for number in numbers:
        world.scene(number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--size", type=int, default=128, help="pixels of a side")
    parser.add_argument("--count", type=int, default=2000, help="scenes in all")
    options = parser.parse_args()
    world = World(choose_nouns("seen"), size=options.size)
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(options.processes + 1, timeout=300)
    workers = [
        context.Process(
            target=draw, args=(world, range(first, options.count, options.processes), ready)
        )
        for first in range(options.processes)
    ]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    ready.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - start
    print(f"{start - begun:.2f} s to start {options.processes} processes and draw the grounds")
    print(
        f"{options.count / seconds:,.0f} scenes/s of {options.size} x {options.size} pixels "
        f"({options.count:,} scenes, {options.processes} processes)"
    )


if __name__ == "__main__":
    main()
