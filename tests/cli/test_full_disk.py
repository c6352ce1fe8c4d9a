"""Commands on a full disk: one true line, exit code 1, and the same command goes on with room."""

from pathlib import Path

import pytest

from tests.cli.running import World, captionary
from tests.disks import filled, small_disk
from tests.processes import captionary_process
from tests.stores import copy_store


def test_a_full_disk_ends_a_command_in_one_line_and_costs_nothing(
    world: World, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 300) as disk:
        command = ["index", world.captions, "--store"]
        store = copy_store(world.store, disk / "store")
        with filled(disk):
            new = captionary(*command, disk / "new")
            # In a process of its own: what is proven is that the system does not kill it.
            process = captionary_process([*command, store], tmp_path)
            assert (new.code, process.wait()) == (1, 1)
            for target, said in ((disk / "new", new.err), (store, process.errors.read_text())):
                assert said.startswith(f"captionary: no space left on {target}'s disk; free 0 MB ")
                assert said.endswith("nothing is lost: make room there, then run this again\n")
        assert not (disk / "new").exists()
        lists = [captionary("vocabulary", "list", "--store", path) for path in (store, world.store)]
        assert lists[0] == lists[1]


def test_files_of_results_meet_a_full_disk(world: World, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk, filled(disk):
        for words in (
            (
                "segment",
                world.images[0],
                "--classes",
                "dog",
                "--fusion",
                "text",
                "--out",
                disk / "o",
            ),
            ("world", disk / "world", "--scenes", "1"),
        ):
            answer = captionary(*words, *(("--encoder", "mini") if words[0] == "segment" else ()))
            assert answer.code == 1
            assert f"captionary: no space left on {disk}/" in answer.err
            assert answer.err.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_full_disk_below_the_output_is_told(tmp_path: Path) -> None:
    process = captionary_process(["--help"], tmp_path)
    assert process.wait() == 0
    full = tmp_path / "full"
    full.mkdir()
    (full / "output.txt").symlink_to("/dev/full")
    process = captionary_process(["--help"], full)
    assert process.wait() == 1
    assert "no space left on the output's disk" in process.errors.read_text()
