"""Exponential moving average of a network's weights: less noisy than those of any one step."""

import torch
from torch import Tensor, nn


class WeightAverage:
    """Mean of the weights over about the last 1 / (1 − decay) steps."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start with the current weights."""
        self._decay = decay
        self._steps = 0
        self._mean = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Add the weights after a step; the first steps count more, so that the start soon has no influence."""
        self._steps += 1
        decay = min(self._decay, self._steps / (self._steps + 9))
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self._mean[name].lerp_(tensor, 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """Return the mean, as a state dict of the network, and the number of steps."""
        return {**self._mean, STEPS: torch.tensor(self._steps)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore the result of ``state``."""
        self._steps = int(state[STEPS])
        self._mean = {name: tensor.to(self._mean[name].device) for name, tensor in state.items() if name != STEPS}


STEPS = "average.steps"
