"""What is learned from and what is evaluated on stay apart."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captionary.indexer.readers.shard_pairs import SourceReader
from captionary.learning.data.sources import SourceLoader, TrainingData
from tests.cli.running import write_lines
from tests.indexer.readers.shards import write_shard
from tests.learning.flag_pictures import CPU, Flags, no_progress


def read(source: Path, out: Path, *, held_out: int = 5) -> TrainingData:
    loader = SourceLoader(SourceReader(), out, CPU, no_progress)
    return loader.load(str(source), images=None, held_out=held_out)


def test_the_held_out_pictures_do_not_depend_on_where_they_lie(tmp_path: Path) -> None:
    captions = []
    for place in ("here", "there/deeper"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        rows = []
        for index in range(20):
            example = Flags()[index]
            Image.fromarray(example.picture).save(folder / f"{index}.png")
            rows.append({"image": f"{index}.png", "captions": [*example.captions, str(index)]})
        captions.append(write_lines(folder / "captions.jsonl", rows))
    one, other = (read(path, tmp_path / "out") for path in captions)

    assert one.name == other.name
    assert one.held_out is not None
    assert other.held_out is not None
    held = [{data.held_out[i].captions for i in range(5)} for data in (one, other) if data.held_out]
    assert held[0] == held[1]
    learned = {one.examples[index].captions for index in range(len(one.examples))}
    assert len(learned) == 15
    assert not learned & held[0]
    assert np.array_equal(one.examples[0].picture, other.examples[0].picture)


def test_shards_are_learned_from_as_files_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "files").mkdir()
    shards: dict[str, dict[str, bytes]] = {"0.tar": {}, "1.tar": {}}
    for index in range(20):
        example, stem = Flags()[index], f"{index:02}"
        text = "\n".join((*example.captions, stem))
        Image.fromarray(example.picture).save(tmp_path / "files" / f"{stem}.png")
        (tmp_path / "files" / f"{stem}.txt").write_text(text)
        data = (tmp_path / "files" / f"{stem}.png").read_bytes()
        shards[f"{index % 2}.tar"] |= {f"{stem}.png": data, f"{stem}.txt": text.encode()}
    for name, files in shards.items():
        write_shard(tmp_path / "shards" / name, files)

    several = tmp_path / "shards" / "{0..2}.tar"
    one = read(tmp_path / "files", tmp_path / "none")
    other = read(several, tmp_path / "out")
    again, anew = (read(several, tmp_path / name) for name in ("out", "another"))
    fewer = read(several, tmp_path / "out", held_out=4)

    assert "1 pairs left out, first: 2.tar: cannot read" in caplog.text
    for first, second in ((one.examples, other.examples), (one.held_out, other.held_out)):
        assert first is not None
        assert second is not None
        assert {first[i].captions: first[i].picture.tobytes() for i in range(len(first))} == {
            second[i].captions: second[i].picture.tobytes() for i in range(len(second))
        }
    learned = [caption for i in range(15) for caption in other.examples[i].captions]
    assert [*other.captions] == [*again.captions] == [*anew.captions] == learned
    assert other.name == again.name == anew.name != fewer.name
    assert not (tmp_path / "none").exists()
