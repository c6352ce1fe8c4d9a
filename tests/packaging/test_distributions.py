"""What is built from this checkout, and what works where only that is installed."""

import zipfile
from pathlib import Path

import pytest

from tests.packaging.building import (
    ROOT,
    call_hook,
    copy_checkout,
    create_environment,
    pip_install,
    run,
    unpack_sdist,
)
from tests.served import ready, service

pytestmark = pytest.mark.slow

IMPORTANT = {
    "captionary/demo/page.html",
    "captionary/indexer/tagger/meta.json",
    "captionary/learning/models/configs/mini.json",
    "captionary/pictograms/nouns.tsv",
    "captionary/pictograms/sprites/sheet.webp",
    "captionary/py.typed",
    "captionary/segmenter/quality/report.html",
    "captionary/segmenter/service/page/index.html",
    "captionary/vision/bundled/mini/open_clip_model.safetensors",
}

CLIENT = """
import importlib.util, sys
from captionary.client import Client

for name in ("torch", "spacy", "numpy"):
    assert importlib.util.find_spec(name) is None, name
with Client(sys.argv[1]) as client:
    state = client.wait(client.add(sys.argv[2], "a dog"))
    assert (state.state, state.failures) == ("done", []), state
    result = client.segment(sys.argv[2], ["dog", "sky"])
print(sum(mask.area for mask in result.masks) == result.size[0] * result.size[1])
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("checkout") / "captionary")


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return call_hook("build_wheel", source, tmp_path_factory.mktemp("wheel"))


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "captionary").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    files = files_of(wheel)
    inside = {name for name in files if name.startswith("captionary/")}
    tops = {name.partition("/")[0] for name in files}

    assert inside == package
    assert package >= IMPORTANT
    assert tops == {"captionary", wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"}


def test_the_sdist_makes_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    sdist = call_hook("build_sdist", source, tmp_path / "sdist")
    unpacked = unpack_sdist(sdist, tmp_path / "unpacked")
    again = call_hook("build_wheel", unpacked, tmp_path / "wheel")

    assert files_of(again) == files_of(wheel)


def test_the_installed_wheel_works_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    python = create_environment(tmp_path / "environment", borrow_dependencies=True)
    pip_install(python, "--no-deps", "--no-index", wheel)
    captionary, empty = python.with_name("captionary"), tmp_path / "empty"
    empty.mkdir()

    where = "import captionary, sys; print(captionary.__file__, sys.prefix)"
    file, prefix = run([python, "-c", where], empty).split()
    assert Path(file).is_relative_to(prefix)
    assert Path(prefix) == tmp_path / "environment"
    assert run([captionary, "--version"], empty).startswith("captionary ")
    assert "index" in run([python, "-m", "captionary", "--help"], empty)
    run([captionary, "world", "scenes", "--scenes", "6", "--size", "64"], empty)
    options = ("--store", "store", "--device", "cpu")
    run([captionary, "index", "scenes/captions.jsonl", "--encoder", "mini", *options], empty)
    picture, classes = "scenes/images/00000.png", "dog, grass"
    run([captionary, "segment", picture, "--classes", classes, "--out", "out", *options], empty)
    assert list((empty / "out").iterdir())


def test_the_client_needs_httpx_and_pydantic_only(
    wheel: Path, scenes: Path, tmp_path: Path
) -> None:
    python = create_environment(tmp_path / "environment", borrow_dependencies=False)
    pip_install(python, "-c", ROOT / "constraints.txt", "httpx", "pydantic")
    pip_install(python, "--no-deps", "--no-index", wheel)
    with service(tmp_path / "store", tmp_path / "log", "--encoder", "mini") as both:
        ready(both.address)
        picture = scenes / "images" / "00000.png"
        printed = run([python, "-c", CLIENT, both.address, picture], tmp_path)

    assert printed == "True\n"
