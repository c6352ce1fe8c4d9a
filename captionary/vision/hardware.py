"""Which processor runs the encoder, and in which precision."""

from typing import Literal, TypeAlias, get_args

import torch

from captionary.schemas.errors import WrongInput

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]

BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16")


def choose_device(asked: str) -> torch.device:
    """Find the device to run on; `auto` is the fastest one present.

    Raises:
        WrongInput: the name is unknown, or the device is not here.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked not in get_args(Device):
        raise WrongInput(f"unknown device {asked!r}; choose one of {', '.join(get_args(Device))}")
    if asked == "auto":
        return torch.device(next((name for name, here in present.items() if here), "cpu"))
    if not present.get(asked, True):
        raise WrongInput(f"device {asked!r} is not available here; use 'auto' or 'cpu'")
    return torch.device(asked)


def choose_precision(asked: str, device: torch.device) -> torch.dtype:
    """Find the number type to compute in; `auto` is bfloat16 where the processor has it.

    Raises:
        WrongInput: the name is unknown.
    """
    if asked not in get_args(Precision):
        names = ", ".join(get_args(Precision))
        raise WrongInput(f"unknown precision {asked!r}; choose one of {names}")
    if asked == "auto":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    return torch.bfloat16 if asked == "bfloat16" else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 in hardware, not by emulation."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Absent from older releases of torch: float32 is then the safe answer.
        capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(capabilities.get(name) for name in BFLOAT16_INSTRUCTIONS)
    return False
