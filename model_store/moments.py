"""``Moments``: the statistics of feature maps that are too large to be in one place."""

import torch
from torch import Tensor

from model_store.layers import EPSILON, Statistics, instance_statistics


class Moments:
    """Mean and deviation of features that come in parts; each part's in fp32, merged in fp64 (Chan et al. 1979)."""

    def __init__(self) -> None:
        """Of nothing yet."""
        self._mass: Tensor | None = None  # (B, K, 1)
        self._mean = self._squares = torch.zeros(())  # (B, K, C)
        self._has_regions = False

    def add(self, features: Tensor, shares: Tensor | None = None) -> None:
        """A part: (B, C, H, W), and its regions' shares (B, K, H, W), if it has some."""
        self._has_regions = shares is not None
        mean, deviation = instance_statistics(features, shares)
        if shares is None:
            mass = torch.full((features.shape[0], 1, 1), float(features[0, 0].numel()), device=features.device)
            mean, deviation = mean.flatten(1)[:, None], deviation.flatten(1)[:, None]
        else:
            mass = shares.sum(dim=(2, 3))[..., None]
        mass, mean = mass.double(), mean.double()
        squares = (deviation.double().square() - EPSILON).clamp(min=0) * mass
        if self._mass is None:
            self._mass, self._mean, self._squares = mass, mean, squares
            return
        total = (self._mass + mass).clamp(min=torch.finfo(torch.float32).tiny)
        step = mean - self._mean
        self._squares = self._squares + squares + step.square() * (self._mass * mass / total)
        self._mean = self._mean + step * (mass / total)
        self._mass = self._mass + mass

    @property
    def statistics(self) -> Statistics:
        """Of all parts, as ``instance_statistics`` gives them for the whole."""
        assert self._mass is not None
        variance = self._squares / self._mass.clamp(min=torch.finfo(torch.float32).tiny)
        mean, deviation = self._mean.float(), (variance + EPSILON).sqrt().float()
        if self._has_regions:
            return mean, deviation
        return mean[:, 0, :, None, None], deviation[:, 0, :, None, None]
