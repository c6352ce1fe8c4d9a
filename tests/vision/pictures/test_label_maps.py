from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from captionary.schemas.errors import UnreadablePicture
from captionary.schemas.labels import IGNORE
from captionary.vision.pictures.label_maps import read_label_map


def save(path: Path, values: list[list[int]], mode: str) -> Path:
    dtype = {"I;16": np.uint16, "1": np.bool_}.get(mode, np.uint8)
    picture = Image.fromarray(np.array(values).astype(dtype))
    if mode == "P":
        picture.putpalette(bytes(range(255, -1, -1)) * 3)
    picture.save(path)
    return path


@pytest.mark.parametrize(
    ("mode", "values", "labels"),
    [
        ("L", [[0, 1, 255], [2, 0, 254]], [[0, 1, IGNORE], [2, 0, 254]]),
        ("P", [[0, 1, 255], [2, 0, 254]], [[0, 1, IGNORE], [2, 0, 254]]),
        ("I;16", [[0, 1, 255], [300, 65535, 1]], [[0, 1, 255], [300, IGNORE, 1]]),
        ("1", [[0, 1, 1], [0, 0, 1]], [[0, 1, 1], [0, 0, 1]]),
    ],
)
def test_values_are_labels(
    tmp_path: Path, mode: str, values: list[list[int]], labels: list[list[int]]
) -> None:
    read = read_label_map(save(tmp_path / "m.png", values, mode), size_hw=(2, 3))
    assert read.dtype == np.int32
    assert read.tolist() == labels


def test_maps_of_wrong_kinds(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    with pytest.raises(UnreadablePicture, match=r"the mask .*m\.png does not exist; add it"):
        read_label_map(path, size_hw=(2, 3))
    Image.new("L", (4, 2)).save(path)
    with pytest.raises(UnreadablePicture, match="is 4 x 2 pixels but its picture is 3 x 2"):
        read_label_map(path, size_hw=(2, 3))
    Image.new("RGB", (3, 2), "orange").save(path)
    with pytest.raises(UnreadablePicture, match="has 1 colours, among them #ffa500, not labels"):
        read_label_map(path, size_hw=(2, 3))
    path.write_bytes(b"no picture")
    with pytest.raises(UnreadablePicture, match="cannot be read: cannot identify"):
        read_label_map(path, size_hw=(2, 3))


def test_a_truncated_map(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (200, 200), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(UnreadablePicture, match="cannot be read: "):
        read_label_map(path, size_hw=(200, 200))


def test_values_that_would_be_lost_are_refused(tmp_path: Path) -> None:
    values = np.array([[0, 5], [9, 9]], np.uint16)
    Image.fromarray(values.astype(np.uint8)).save(tmp_path / "a.gif")
    colours = np.repeat(values[..., None], 3, axis=2)
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb")
    for name, said in (("a.gif", "renumber the values"), ("a.tif", "colours of 16 bits")):
        with pytest.raises(UnreadablePicture, match=said):
            read_label_map(tmp_path / name, size_hw=(2, 2))
