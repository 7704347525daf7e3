"""Device and number type of the networks, and settings of the memory allocator."""

import contextlib
import ctypes
import os
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8  # glibc, malloc.h
_KEPT_BYTES = 2**31 - 1


@dataclass(frozen=True)
class Runtime:
    """Device and number type of networks. Statistics are always in fp32."""

    device: torch.device
    dtype: torch.dtype

    @property
    def on_cpu(self) -> "Runtime":
        """The same number type on the CPU, to prepare networks that are copied to the device later."""
        return Runtime(torch.device("cpu"), self.dtype)


def choose_runtime(device: str = "auto", dtype: str = "auto", index: int = 0) -> Runtime:
    """Choose a device, and the fastest number type that it supports well.

    Args:
        device: ``auto`` (the accelerator that torch finds: CUDA, Apple's MPS or Intel's XPU; else the CPU), ``cpu``,
            ``cuda``, ``cuda:1``, ``mps``, ``xpu`` …
        dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        index: Number of this process among those of its machine, from 0: with ``auto`` each takes the next GPU.

    Raises:
        ValueError: The device is not there or the type is unknown.
    """
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        device = "cpu" if found is None else f"{found.type}:{index % torch.accelerator.device_count()}"
    try:
        chosen = torch.device(device)
    except RuntimeError as err:
        raise ValueError(f"unknown device {device!r}: use auto, cpu, cuda, cuda:N, mps or xpu") from err
    if chosen.type != "cpu" and (chosen.index or 0) >= (count := _count(chosen.type)):
        raise ValueError(f"device {device!r} asked for, but torch sees {count} {chosen.type.upper()} devices")
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype == "auto":
        return Runtime(chosen, _best_dtype(chosen))
    if dtype not in dtypes:
        raise ValueError(f"unknown number type {dtype!r}: use auto, {', '.join(dtypes)}")
    return Runtime(chosen, dtypes[dtype])


def share_device(runtime: Runtime, memory_fraction: float, threads: int) -> None:
    """Leave others their part: of the GPU's memory, and of the cores unless ``OMP_NUM_THREADS`` says how many."""
    if memory_fraction < 1 and runtime.device.type == "mps":
        torch.mps.set_per_process_memory_fraction(memory_fraction)
    elif memory_fraction < 1 and runtime.device.type in ("cuda", "xpu"):
        torch.get_device_module(runtime.device).set_per_process_memory_fraction(memory_fraction, runtime.device)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, threads))


def to_runtime(network: Network, runtime: Runtime) -> Network:
    """Move a network to its device: convolutions in the runtime's type and channels last, all else in fp32.

    The service, measurements, previews and exports all use it, so the measured network is the served one.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(runtime.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.to(runtime.device)


def _count(kind: str) -> int:
    """Number of devices of a kind, such as ``cuda``; 0 of one that torch does not know or cannot use here."""
    module = getattr(torch, kind, None)
    if module is None or not hasattr(module, "device_count") or not module.is_available():
        return 0
    return int(module.device_count())


def _best_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type != "cpu":  # MPS emulates bf16 on older chips; XPU has it
        return torch.float16 if device.type == "mps" else torch.bfloat16
    # Without AVX512-BF16 or AMX the CPU emulates bf16, which is slower than fp32.
    fast = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def keep_freed_memory() -> None:
    """Let glibc keep big freed blocks instead of handing them back to the kernel. Call it before threads start.

    A forward pass at 512 px frees and takes 30 MB blocks at every layer; by default each is a fresh mapping whose pages
    fault in one by one, which doubles the time of the first and last layers on a CPU. And all threads share one arena:
    a thread's own is limited to 64 MB, too small for a batch's blocks, and a worker computes in a thread. Other C
    libraries ignore the call.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TOP_PAD, 64 * 2**20)


def give_back_freed_memory() -> None:
    """Make glibc hand freed pages back to the kernel: it takes milliseconds. Other C libraries ignore it.

    For long jobs with blocks of ever new sizes, where the kept blocks would add up to gigabytes.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
