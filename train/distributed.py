"""Several GPUs under ``torchrun``: who am I, and the mean of all processes' gradients."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn


@dataclass(frozen=True)
class Rank:
    """This process among those of one training; ``torchrun`` sets the environment that says so."""

    index: int
    local_index: int
    world_size: int

    @property
    def leads(self) -> bool:
        """Whether this is the process that reports and saves."""
        return self.index == 0


@contextmanager
def process_group(device: torch.device) -> Iterator[Rank]:
    """Join the other processes of this training, if there are any."""
    environment = os.environ
    rank = Rank(
        int(environment.get("RANK", "0")),
        int(environment.get("LOCAL_RANK", "0")),
        int(environment.get("WORLD_SIZE", "1")),
    )
    if rank.world_size == 1:
        yield rank
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield rank
    finally:
        distributed.destroy_process_group()


def average_gradients(parameters: Iterable[nn.Parameter], world_size: int) -> None:
    """Replace each gradient by its mean over all processes, in one message: our networks are small."""
    if world_size == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= world_size
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def any_process(flag: bool, device: torch.device, world_size: int) -> bool:
    """Whether any process says so: all of them must leave the loop at the same step."""
    if world_size == 1:
        return flag
    answer = torch.tensor(int(flag), device=device)
    distributed.all_reduce(answer, distributed.ReduceOp.MAX)
    return bool(answer.item())
