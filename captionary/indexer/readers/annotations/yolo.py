"""Rows of a YOLO dataset: data.yaml, folders images/ and labels/, a line of numbers a region.

Format: https://docs.ultralytics.com/datasets/segment. Numbers are shares of the picture's width
and height; pictures are found as Ultralytics finds them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from captionary.files.picture_formats import is_picture
from captionary.indexer.readers.addresses import exists, is_folder, is_local, name_of, read_bytes
from captionary.indexer.readers.annotations.regions import checked, to_noun
from captionary.indexer.readers.rows import Row, Rows
from captionary.indexer.readers.values import BadValueError
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.notes import Note
from captionary.schemas.pairs import PairFailure
from captionary.schemas.pointing import BoxArea, PointedArea, PolygonArea
from captionary.vision.pictures.loading import look_at_size

CONFIGS = ("data.yaml", "data.yml", "dataset.yaml")
PARTS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Config:
    """What data.yaml says.

    names:     of the classes, by their numbers.
    parts:     where pictures stand, folders or lists of them, with the name of the part.
    missing:   parts that are not there.
    with_keys: lines are boxes, then the points of a skeleton.
    """

    folder: Path
    names: Mapping[float, object]
    parts: tuple[tuple[str, Path], ...]
    missing: tuple[str, ...]
    with_keys: bool


def holds_yolo(folder: str) -> bool:
    """Whether a folder of this machine has a data.yaml."""
    return is_local(folder) and any((Path(folder) / name).is_file() for name in CONFIGS)


def read_yolo(source: str) -> Rows:
    """The labelled pictures of a data.yaml, or of the folder that it stands in.

    Raises:
        WrongInput: it is no YAML, or names no classes, or no pictures that are there.
    """
    config = _read_config(_config_file(source))
    for part in config.missing:
        yield Note("parts of the data set that are not there", part)
    seen: set[Path] = set()
    for part, place in config.parts:
        for image in _pictures(place, config.folder):
            if image not in seen:
                seen.add(image)
                yield from _rows(image, part, config)


def count_yolo(source: str) -> int:
    """Pictures of a data.yaml."""
    config = _read_config(_config_file(source))
    return len({image for _, place in config.parts for image in _pictures(place, config.folder)})


def _config_file(source: str) -> Path:
    if not is_local(source):
        raise WrongInput(f"{source} is not on this machine; copy the data set, and give its path")
    path = Path(source)
    if is_folder(source):
        return next(path / name for name in CONFIGS if (path / name).is_file())
    return path


def _read_config(path: Path) -> Config:
    try:
        content = yaml.safe_load(read_bytes(str(path)))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise WrongInput(f"{path} is not YAML: {one_line(error)}") from error
    content = content if isinstance(content, dict) else {}
    names = content.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    listed = {
        part: value if isinstance(value, list) else [value]
        for part in PARTS
        if (value := content.get(part))
    }
    if not isinstance(names, dict) or not names or not listed:
        raise WrongInput(
            f"{path} is no data.yaml of YOLO: it has no names, or no train, val or test; "
            "write names: [dog, cat] and train: images"
        )
    folder = path.parent
    root = folder / str(content.get("path") or "")
    bases = (root if exists(str(root)) else folder, folder)
    parts, missing = [], []
    for part, values in listed.items():
        for value in map(str, values):
            place = _find(value, bases)
            if place:
                parts.append((part, place))
            else:
                missing.append(f"{part}: {value}")
    if not parts:
        raise WrongInput(
            f"the pictures of {path} are not there ({missing[0]}); give paths as seen from {folder}"
        )
    return Config(folder, names, tuple(parts), tuple(missing), "kpt_shape" in content)


def _find(name: str, bases: tuple[Path, ...]) -> Path | None:
    """What a data.yaml names; exports have `../` before it that is not to be followed."""
    names = [name, name.removeprefix("../")]
    places = (base / each for base in bases for each in names)
    return next((place for place in places if place.name and exists(str(place))), None)


def _pictures(place: Path, folder: Path) -> Iterator[Path]:
    """The pictures in a folder and in those in it, or of a list in a text file."""
    if place.is_dir():
        yield from sorted(path for path in place.rglob("*") if is_picture(path.name))
        return
    for line in read_bytes(str(place)).decode("utf-8", "surrogateescape").splitlines():
        if line.strip():
            name = line.strip()
            yield _find(name, (place.parent, folder)) or place.parent / name


def _rows(image: Path, part: str, config: Config) -> Rows:
    name = str(image.relative_to(config.folder) if image.is_relative_to(config.folder) else image)
    if not image.name:
        yield PairFailure(name_of(str(config.folder.resolve())), name, f"{name} names no picture")
        return
    label = _label_file(image)
    where = f"{name_of(str(config.folder.resolve()))}/{label.name}"
    try:
        lines = (
            read_bytes(str(label)).decode("utf-8-sig").splitlines() if exists(str(label)) else []
        )
    except UnicodeDecodeError:
        yield PairFailure(where, name, "it is not valid UTF-8 text; save it as UTF-8")
        return
    if not any(line.strip() for line in lines):
        yield Note("pictures without labels", name)
        return
    known = look_at_size(image)
    if known is None:
        yield PairFailure(where, name, f"{image} is missing or no picture; check the file")
        return
    areas = []
    failed = False
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                areas.append(_parse(line, known[0], config))
        except BadValueError as error:
            failed = True
            yield PairFailure(f"{where}:{number}", name, str(error))
    if areas or not failed:
        yield Row(where, {"image": name, "regions": areas, "tags": [part]})


def _label_file(image: Path) -> Path:
    """The labels of a picture: in labels/ in place of the last images/ of its path."""
    parts = list(image.parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def _parse(line: str, size_hw: tuple[int, int], config: Config) -> PointedArea:
    """The area of a line: a class with a box (its centre and size), or with points."""
    first, *rest = line.split()
    try:
        number = float(first)
        shares = [float(each) for each in rest]
    except ValueError as error:
        raise BadValueError(f"{line.strip()[:40]!r} is no class with numbers behind it") from error
    if number not in config.names:
        raise BadValueError(f"its class {first} is not among the names of the data.yaml")
    noun = to_noun(config.names[number], f"names[{first}]")
    if config.with_keys:
        shares = shares[:4]
    if far := [share for share in shares if not -1 <= share <= 2]:
        raise BadValueError(f"it has {far[0]:g}; give shares of the picture, from 0 to 1")
    height, width = size_hw
    pixels = [share * (height if at % 2 else width) for at, share in enumerate(shares)]
    if len(pixels) == 4:
        x, y, across, down = pixels
        return PointedArea(noun, checked(BoxArea(x - across / 2, y - down / 2, across, down)))
    if len(pixels) < 6 or len(pixels) % 2:
        raise BadValueError(
            f"it has {len(shares)} numbers behind its class; give four of a box, or x and y of "
            "three or more points"
        )
    return PointedArea(noun, checked(PolygonArea((tuple(pixels),))))
