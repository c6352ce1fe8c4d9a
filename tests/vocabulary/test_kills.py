"""A process that writes is killed again and again; nothing it was promised is lost."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.vocabulary.made_up_records import (
    DIM,
    FINGERPRINT,
    LOOK_DIM,
    picture,
    prototypes,
    table,
)

ROOT = Path(__file__).parents[2]
KILLS = 6

WRITER = """
import sys
from captionary.schemas.dictionary import TaggedRegion
from tests.vocabulary.made_up_records import DIM, FINGERPRINT, LOOK_DIM, pair, prototypes
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.stored_dictionary import StoredDictionary

vocabulary = StoredDictionary(
    EdgeEngine(sys.argv[1]), fingerprint=FINGERPRINT, dim=DIM, look_dim=LOOK_DIM
)
number = int(sys.argv[2])
while True:
    vocabulary.add([pair(number, regions=20, look_dim=LOOK_DIM)])
    print("added", number, flush=True)
    owners = [item.id for item in vocabulary.pictures(noun="dog")]
    vocabulary.tag("dog", [TaggedRegion("dog", owner, number % 20, 0.5) for owner in owners])
    print("tagged", number, flush=True)
    made = prototypes("dog", 7, generation=f"g{number}", look_dim=LOOK_DIM)
    vocabulary.replace_prototypes("dog", made)
    print("replaced", number, vocabulary.revision, flush=True)
    vocabulary.settle([f"p{number:04d}"])
    print("settled", number, flush=True)
    number += 1
"""


def killed(store: Path, *, start: int, lines: int, after: float) -> list[list[str]]:
    """What a writer acknowledged before it was killed, so many seconds after so many lines."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store), str(start)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(lines)]
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    rest, _ = process.communicate()
    return [line.split() for line in [*first, *rest.splitlines()] if line.strip()]


def last(said: list[list[str]], verb: str) -> int:
    return max((int(line[1]) for line in said if line[0] == verb), default=-1)


def check(dictionary: StoredDictionary, said: list[list[str]]) -> int:
    """Compare the store with what was acknowledged; return the number to go on with."""
    pictures = list(dictionary.pictures())
    assert [item.id for item in pictures] == [f"p{n:04d}" for n in range(len(pictures))]
    assert last(said, "added") < len(pictures) <= last(said, "added") + 2
    for number, rows in enumerate(dictionary.region_tables(pictures)):
        assert pictures[number] == picture(number, regions=20)
        given = table(number, regions=20, look_dim=LOOK_DIM)
        assert np.array_equal(rows.vectors, given.vectors)
        assert np.array_equal(rows.looks, given.looks)
    assert len(dictionary.pending()) <= 1
    assert last(said, "settled") < len(pictures) - len(dictionary.pending())
    stored = dictionary.prototypes(["dog"])
    now = {int(item.generation[1:]) for item in stored}
    replaced = last(said, "replaced")
    assert now <= {replaced, replaced + 1} or replaced == -1
    for generation in now:
        found = [item for item in stored if item.generation == f"g{generation}"]
        expected = prototypes("dog", 7, generation=f"g{generation}", look_dim=LOOK_DIM)
        assert len(found) == 7
        assert np.array_equal([p.vector for p in found], [p.vector for p in expected])
        assert np.array_equal([p.look for p in found], [p.look for p in expected])
    revisions = [int(line[2]) for line in said if line[0] == "replaced"]
    assert dictionary.revision >= max(revisions, default=0)
    return len(pictures)


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    chance, start = random.Random(7), 0
    for lines in range(1, KILLS + 1):
        after = chance.uniform(0.0, 0.2)
        said = killed(tmp_path / "store", start=start, lines=lines, after=after)
        with StoredDictionary(
            EdgeEngine(tmp_path / "store"), fingerprint=FINGERPRINT, dim=DIM, look_dim=LOOK_DIM
        ) as store:
            start = max(check(store, said) - 1, 0)
    assert start > 0


def test_a_kill_while_the_store_is_made_leaves_a_usable_folder(tmp_path: Path) -> None:
    chance = random.Random(3)
    code = (
        "import sys\nfrom captionary.vocabulary.engines.edge import EdgeEngine\n"
        "print('go', flush=True)\n"
        "engine = EdgeEngine(sys.argv[1]); engine.create(dim=16)\n"
        "engine.write_meta({'fingerprint': sys.argv[2], 'dim': 16, 'revision': 0, 'sample': None})"
    )
    for trial in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / f"store{trial}"), FINGERPRINT],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.2))
        process.kill()
        process.communicate()
        engine = EdgeEngine(tmp_path / f"store{trial}")
        with StoredDictionary(engine, fingerprint=FINGERPRINT, dim=DIM) as store:
            assert store.stats().images == 0
