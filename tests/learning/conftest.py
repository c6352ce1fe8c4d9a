"""One thread, as others may use the machine too, and as sums then have one order."""

from pathlib import Path

import pytest
import torch

from tests.learning.flag_pictures import Flags, tiny_task, tiny_trainer
from tests.learning.runs import SETTINGS


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing has cut short."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    tiny_trainer(folder, SETTINGS, task=tiny_task(held_out=Flags(10))).train()
    return folder
