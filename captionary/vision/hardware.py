"""Which processor runs the encoder, in which precision, and with how many threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch

from captionary.schemas.errors import WrongInput

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]

BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16")
"""Names of torch for instruction sets that multiply bfloat16; each processor has some."""


def choose_device(name: str) -> torch.device:
    """Find the device to run on; `auto` is the fastest one present.

    Raises:
        WrongInput: the name is unknown, or the device is not here.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name not in get_args(Device):
        raise WrongInput(f"unknown device {name!r}; choose one of {', '.join(get_args(Device))}")
    if name == "auto":
        return torch.device(next((kind for kind, here in present.items() if here), "cpu"))
    if not present.get(name, True):
        raise WrongInput(f"device {name!r} is not available here; use 'auto' or 'cpu'")
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Find the number type to compute in; `auto` is bfloat16 where the processor has it.

    Raises:
        WrongInput: the name is unknown.
    """
    if name not in get_args(Precision):
        names = ", ".join(get_args(Precision))
        raise WrongInput(f"unknown precision {name!r}; choose one of {names}")
    if name == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 in hardware, not by emulation."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Absent from older releases of torch: float32 is then the safe answer.
        capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(capabilities.get(name) for name in BFLOAT16_INSTRUCTIONS)
    return False


def describe_kernels(device: torch.device) -> str:
    """Name what decides which kernels compute, and so the last bits of what they compute."""
    versions = f"torch {torch.__version__}, numpy {np.__version__}, {device.type}"
    if device.type == "cuda":
        return f"{versions} {torch.cuda.get_device_name(device)}"
    level = torch.backends.cpu.get_cpu_capability()
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return f"{versions} {level} {sorted(capabilities.items())} {torch.get_num_threads()} threads"


@dataclass
class _OneThread:
    """The blocks of `one_torch_thread` that are open, and the number of threads before them."""

    blocks: int = 0
    before: int = 1
    lock: Lock = field(default_factory=Lock)


_ONE_THREAD = _OneThread()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch use one thread in the `with` block, and as many as before after the last one."""
    # The number is one for the whole process, so blocks in several threads must count themselves.
    with _ONE_THREAD.lock:
        if not _ONE_THREAD.blocks:
            _ONE_THREAD.before = torch.get_num_threads()
            torch.set_num_threads(1)
        _ONE_THREAD.blocks += 1
    try:
        yield
    finally:
        with _ONE_THREAD.lock:
            _ONE_THREAD.blocks -= 1
            if not _ONE_THREAD.blocks:
                torch.set_num_threads(_ONE_THREAD.before)
