"""Training on several GPUs with ``torchrun``: this process's rank, and the mean of all processes' gradients."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn


@dataclass(frozen=True)
class Rank:
    """Rank of this process among those of one training; ``torchrun`` sets it in the environment."""

    index: int
    local_index: int
    world_size: int

    @staticmethod
    def from_environment() -> "Rank":
        """Read the rank that ``torchrun`` set; without it, that of the only process."""
        index, local_index, world_size = (
            int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", 1))
        )
        return Rank(index, local_index, world_size)

    def device_name(self, wanted: str) -> str:
        """Return the device: each of several processes on a host takes the GPU of its own number."""
        if self.world_size > 1 and wanted in ("auto", "cuda") and torch.cuda.is_available():
            return f"cuda:{self.local_index}"
        return wanted

    @property
    def leads(self) -> bool:
        """True for the process that reports and saves."""
        return self.index == 0


@contextmanager
def process_group(device: torch.device) -> Iterator[Rank]:
    """Join the other processes of this training, if there are any."""
    rank = Rank.from_environment()
    if rank.world_size == 1:
        yield rank
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield rank
    finally:
        distributed.destroy_process_group()


def average_gradients(parameters: Iterable[nn.Parameter], world_size: int) -> None:
    """Replace each gradient by its mean over all processes, in one message, because the networks are small."""
    if world_size == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= world_size
    for gradient, mean in zip(gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def any_process(flag: bool, device: torch.device, world_size: int) -> bool:
    """Return true if the flag is true in any process: all must leave the loop at the same step."""
    if world_size == 1:
        return flag
    answer = torch.tensor(int(flag), device=device)
    distributed.all_reduce(answer, distributed.ReduceOp.MAX)
    return bool(answer.item())
