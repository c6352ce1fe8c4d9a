import pytest
import torch

from captionary.schemas.errors import WrongInput
from captionary.vision.hardware import choose_device, choose_precision, one_torch_thread


def test_devices_and_precisions() -> None:
    cpu = torch.device("cpu")
    assert choose_device("cpu") == cpu
    assert choose_device("auto").type in {"cpu", "cuda", "mps"}
    assert choose_precision("float32", cpu) is torch.float32
    assert choose_precision("bfloat16", cpu) is torch.bfloat16
    assert choose_precision("auto", torch.device("mps")) is torch.float32
    with pytest.raises(WrongInput, match="auto, cpu, cuda, mps"):
        choose_device("gpu")
    with pytest.raises(WrongInput, match="auto, float32, bfloat16"):
        choose_precision("half", cpu)
    if not torch.cuda.is_available():
        with pytest.raises(WrongInput, match="not available"):
            choose_device("cuda")


def test_blocks_of_one_thread_may_overlap() -> None:
    """As those of two threads do: the first to begin is the first to end."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first, second = one_torch_thread(), one_torch_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_num_threads() == 1
        second.__exit__(None, None, None)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
