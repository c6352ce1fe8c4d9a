import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.deploy.dockerfile import Stage
from tests.deploy.tools import DEPLOY, ROOT, run

TARGETS = ("indexer", "segmenter")


def test_hadolint_finds_nothing() -> None:
    assert run("hadolint", "--failure-threshold", "style", DEPLOY / "Dockerfile") == ""


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_runs_its_role_as_nobody_special(images: dict[str, Stage], target: str) -> None:
    image = images[target]
    assert image.entrypoint[:4] == ["captionary", "serve", "--role", target]
    assert image.user == "10001:10001"
    assert image.signal == "SIGTERM"
    assert image.entrypoint[image.entrypoint.index("--port") + 1] == image.port
    assert image.healthcheck[0] == "python"
    assert f":{image.port}/healthz" in image.healthcheck[-1]


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_written_lies_in_volumes(images: dict[str, Stage], target: str) -> None:
    image = images[target]
    written = [value for name, value in image.environment.items() if "CACHE" in name]
    written.append(image.environment["HF_HOME"])
    if "--state" in image.entrypoint:
        written.append(image.entrypoint[image.entrypoint.index("--state") + 1])
    for path in written:
        assert any(path.startswith(volume) for volume in image.volumes), path


@pytest.mark.parametrize("target", TARGETS)
def test_labels_tell_version_and_licences(images: dict[str, Stage], target: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    labels = images[target].labels
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}licenses"] == project["license"]
    assert labels[f"{prefix}version"] == project["version"]
    assert labels[f"{prefix}title"].endswith(target)


def test_bases_are_pinned(images: dict[str, Stage]) -> None:
    bases = {stage.base for stage in images.values()} - set(images)
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", bases.pop())


def test_cuda_is_the_same_with_the_driver_asked_for(images: dict[str, Stage]) -> None:
    cpu, cuda = images["runtime-cpu"], images["runtime-cuda"]
    assert cuda.base == "runtime-cpu"
    more = {name for name in cuda.environment if name not in cpu.environment}
    assert more == {"NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}


def test_the_dependencies_of_the_build_are_the_projects(images: dict[str, Stage]) -> None:
    [program] = re.findall(r'python -c "(.*?)"', images["build"].runs[1])
    printed = subprocess.run(
        [sys.executable, "-c", program.replace(r"\\n", r"\n")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert printed.splitlines() == project["dependencies"]


def context() -> list[str]:
    """What .dockerignore lets into the build."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    return [line[1:] for line in lines if line.startswith("!")]


def test_all_that_is_installed_is_let_into_the_build() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    allowed = context()
    assert {name.rstrip("*") for name in packages} <= set(allowed)
    for name in allowed:
        assert (ROOT / name).exists(), name
    for name in ("tests", "benchmarks", "deploy", ".git", "docs"):
        assert name not in allowed


@pytest.mark.slow
def test_a_wheel_of_what_is_let_in_has_all_its_data(tmp_path: Path) -> None:
    """`pip install .` of the build stage, as a wheel to look into."""
    for name in context():
        inside = tmp_path / "src" / name
        inside.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", str(ROOT / name), str(inside)], check=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, "."],
        cwd=tmp_path / "src",
        check=True,
        timeout=300,
    )
    [wheel] = tmp_path.glob("captionary-*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    committed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *context()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    assert {name for name in committed if "/" in name and (ROOT / name).exists()} <= packed
