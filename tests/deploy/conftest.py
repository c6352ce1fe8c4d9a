"""The files of deploy/, as written and as an operator fills them in."""

import shutil
from pathlib import Path

import pytest

from tests.deploy.dockerfile import Stage, stages
from tests.deploy.tools import DEPLOY, Document, documents, run


@pytest.fixture(scope="session")
def images() -> dict[str, Stage]:
    """What the Dockerfile makes, by the name of the stage."""
    return stages(DEPLOY / "Dockerfile")


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of deploy/ whose examples of secrets are filled in."""
    copy = tmp_path_factory.mktemp("filled") / "deploy"
    shutil.copytree(DEPLOY, copy)
    for example, name in (
        (copy / "example.env", ".env"),
        (copy / "kubernetes/base/secrets.example.env", "secrets.env"),
    ):
        lines = example.read_text(encoding="utf-8").splitlines()
        made = [f"{line}of-tests-{'0' * 20}" if line.endswith("=") else line for line in lines]
        made = [line.replace("KEY=", f"KEY=number-{n}-") for n, line in enumerate(made)]
        example.with_name(name).write_text("\n".join(made) + "\n", encoding="utf-8")
    return copy


@pytest.fixture(scope="session", params=["cpu", "gpu"])
def overlay(request: pytest.FixtureRequest, filled: Path) -> list[Document]:
    """What `kubectl apply -k` would send, of each overlay."""
    return documents(run("kubectl", "kustomize", filled / "kubernetes/overlays" / request.param))
