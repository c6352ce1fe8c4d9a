from pathlib import Path

import pytest
import torch

from captionary.learning.checkpoints import Checkpoints, Log, make_run_folder
from captionary.schemas.errors import WrongInput

CPU = torch.device("cpu")


def test_a_state_comes_back(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, {"model": "a", "seed": 1})
    assert checkpoints.load(CPU) is None

    checkpoints.save({"step": 3, "weights": torch.arange(4)})
    checkpoints.save({"step": 5, "weights": torch.arange(3)})

    state = checkpoints.load(CPU)
    assert state is not None
    assert state["step"] == 5
    assert torch.equal(state["weights"], torch.arange(3))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("facts", [{"model": "b", "seed": 1}, {"model": "b"}])
def test_another_run_is_refused_by_what_differs(
    tmp_path: Path, facts: dict[str, str | int]
) -> None:
    Checkpoints(tmp_path, {"model": "a", "seed": 1}).save({})

    with pytest.raises(WrongInput, match="a run with model a, not b; give that, or another --out"):
        Checkpoints(tmp_path, facts).load(CPU)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"\x80\x04N."])
def test_damage_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)

    with pytest.raises(WrongInput, match=r"checkpoint\.pt cannot be read"):
        Checkpoints(tmp_path, {}).load(CPU)


def test_a_log_goes_on_after_the_step_that_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    columns = ("step", "loss", "recall")
    log = Log(path, columns, step=0)
    for step in (10, 20, 30):
        log.write({"step": step, "loss": step / 10})
    log.close()
    with path.open("a") as file:
        file.write("4")  # a line that a kill has cut short

    log = Log(path, columns, step=20)
    log.write({"step": 30, "loss": 9, "recall": 0.5})
    log.close()

    assert path.read_text().split() == ["step,loss,recall", "10,1.0,", "20,2.0,", "30,9,0.5"]
    Log(path, columns, step=0).close()
    assert path.read_text().split() == ["step,loss,recall"]


def test_a_folder_is_made_unless_it_holds_something_else(tmp_path: Path) -> None:
    make_run_folder(tmp_path / "a" / "b")
    make_run_folder(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())

    (tmp_path / "file").write_text("x")
    with pytest.raises(WrongInput, match="cannot write into"):
        make_run_folder(tmp_path / "file")
    (tmp_path / "a" / "open_clip_config.json").write_text("{}")
    with pytest.raises(WrongInput, match="holds a model already"):
        make_run_folder(tmp_path / "a")
