"""Style transfer by optimisation of the image (Gatys et al. 2016, "Image Style Transfer Using CNNs").

    image = argmin  content_weight · content_loss + style_weight · style_loss + variation_weight · TV

Step by step from the content or from noise, and coarse to fine (Gatys et al. 2017, arXiv 1611.07865, section 6): large
strokes settle on a small image, which is then enlarged by √2 at a time.

Ours differs from the paper in its losses: they are those of ``perceptual``, relative to the style's and the content's
own size, so that one set of weights suits all images, layers and kinds of style loss. And the image stays in [0, 1]:
every step ends by clamping it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from model_store.convolutions import pad_to_stride
from model_store.perceptual import content_loss, style_loss, style_targets, total_variation
from model_store.vgg import VGG

COARSEST_PX = 64
"""Shorter side below which no scale goes: VGG's deep layers would see hardly more than their padding."""

HISTORY = 10
"""Steps that L-BFGS remembers; each costs two images of memory."""

FIRST_MOVE = 0.01
"""Mean change of a pixel by L-BFGS' first step at a scale, for which it has no curvature yet. torch's own choice moves
them so little that the change of gradient is lost in the rounding of bf16."""

LAST_RATE = 0.1
"""Fraction to which Adam's learning rate falls, linearly over all steps."""

StyleTargets = dict[str, Tensor]
"""A style as the style loss compares it: by layer, one row per image. See ``perceptual.style_targets``."""


@dataclass(frozen=True)
class GatysOptions:
    """Weights of the losses, and settings of the optimiser.

    Attributes:
        steps: Number of steps; each costs one pass through VGG and back.
        style_loss: Targets of the style loss: ``gram`` (the paper's) or ``statistics`` (AdaIN's).
        content_weight: Weight of the content loss.
        style_weight: Weight of the style loss.
        variation_weight: Weight of the total variation.
        optimiser: ``lbfgs``, the paper's, or ``adam``, which needs about twice the steps. The images of a batch share
            L-BFGS' memory of curvature; Adam treats each as if it were alone.
        learning_rate: Adam's first; L-BFGS finds its own step.
        scales: Number of sizes, each √2 times the one before, up to the content's; the steps are divided among them.
        start: ``content``, or white ``noise``.
        seed: Seed of the noise; ``None`` draws one.
    """

    steps: int = 80
    style_loss: str = "gram"
    content_weight: float = 1.0
    style_weight: float = 30.0
    variation_weight: float = 20.0
    optimiser: Literal["lbfgs", "adam"] = "lbfgs"
    learning_rate: float = 0.05
    scales: int = 3
    start: Literal["content", "noise"] = "content"
    seed: int | None = None


DEFAULT = GatysOptions()


@dataclass(frozen=True, eq=False)
class Progress:
    """A step that was taken.

    Attributes:
        step: Its number, from 1.
        steps: Total number of steps.
        losses: ``content``, ``style`` and ``variation``, unweighted, and their weighted sum ``total``: means over the
            batch, of the image before this step.
        iterate: The image after this step, at its scale: (B, 3, h, w) in [0, 1], fp32.
        size: Height and width of the result.
    """

    step: int
    steps: int
    losses: Mapping[str, float]
    iterate: Tensor
    size: tuple[int, int]

    @property
    def output(self) -> Tensor:
        """The image so far, enlarged to the result's size: (B, 3, H, W) in [0, 1]."""
        return resized(self.iterate, self.size)


class Gatys(nn.Module):
    """Paints by optimisation: ``gatys(content, gatys.encode_style(style_image))``, or step by step with ``run``.

    Attributes:
        content_layer: relu4_2 as in the paper, or relu4_1 where the VGG ends there, as AdaIN's encoder does.
        style_layers: relu1_1, relu2_1, … up to relu5_1, as far as the VGG goes.
    """

    def __init__(self, vgg: VGG, options: GatysOptions = DEFAULT) -> None:
        """``vgg`` reaches relu4_1 at least. Its convolutions compute in their own type; all the rest is in fp32."""
        super().__init__()
        self.vgg = vgg
        self.options = options
        self.content_layer = "relu4_2" if "relu4_2" in vgg.layers else "relu4_1"
        self.style_layers = tuple(layer for layer in vgg.layers if layer.endswith("_1"))

    @torch.no_grad()
    def encode_style(self, images: Tensor) -> StyleTargets:
        """Compute a style's targets: (B, 3, H, W), RGB in [0, 1], of any size → B rows."""
        return self.style_targets(self.features(images))

    def forward(self, content: Tensor, style: StyleTargets) -> Tensor:
        """Take all steps.

        Args:
            content: (B, 3, H, W), RGB in [0, 1]; sides above 8 px, or 16 px where the VGG goes to relu5_1.
            style: B rows.

        Returns:
            (B, 3, H, W) in [0, 1], fp32.
        """
        output = content
        for progress in self.run(content, style):
            if progress.step == progress.steps:
                output = progress.output
        return output

    def run(
        self, content: Tensor, style: StyleTargets, done: int = 0, image: Tensor | None = None
    ) -> Iterator[Progress]:
        """Take the steps of ``forward`` one by one; closing the iterator cancels the rest.

        Args:
            content: As for ``forward``.
            style: As for ``forward``.
            done: Steps that another run took: this one takes the rest.
            image: The image after those steps, of the content's size; the start of ``options`` when not given.

        Yields:
            After every step.
        """
        size = (content.shape[2], content.shape[3])
        step = done
        for scale_size, until in schedule(size, self.options):
            if step >= until:
                continue
            scale = Scale(self, resized(content, scale_size), style, image)
            while step < until:
                losses = scale.improve(step / self.options.steps)
                step += 1
                yield Progress(step, self.options.steps, losses, scale.iterate.detach().clone(), size)
            image = scale.iterate.detach()

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Compute content and style layers: (B, 3, H, W) → each (B, C, H / 2ᵇ, W / 2ᵇ), rounded up."""
        return self.vgg(pad_to_stride(images, self.vgg.stride), {self.content_layer, *self.style_layers})  # type: ignore[no-any-return]

    def style_targets(self, features: Mapping[str, Tensor]) -> StyleTargets:
        """Compute the targets of the options' style loss."""
        return style_targets({layer: features[layer] for layer in self.style_layers}, self.options.style_loss)


def prepare() -> None:
    """Make torch import its optimisers now, which takes seconds the first time; call it before the first job."""
    torch.optim.LBFGS([torch.zeros(1, requires_grad=True)])


class Scale:
    """The optimisation at one size. Works under ``inference_mode`` and ``no_grad`` too."""

    @torch.inference_mode(mode=False)
    def __init__(self, gatys: Gatys, content: Tensor, style: StyleTargets, image: Tensor | None) -> None:
        """Begin with an image of any size; without one, with the start of the options."""
        self._gatys = gatys
        self._options = gatys.options
        self._style = style
        with torch.no_grad():
            self._content = gatys.features(content)[gatys.content_layer]
            begin = self._begin(content) if image is None else resized(image, (content.shape[2], content.shape[3]))
        self.iterate = begin.float().clone().requires_grad_()
        self._optimiser = self._make_optimiser()
        self._is_first = True

    @torch.inference_mode(mode=False)
    def improve(self, done: float) -> dict[str, float]:
        """Take one step.

        Args:
            done: Fraction of all steps that were taken.

        Returns:
            The losses before it, as ``Progress`` has them.
        """
        losses: list[Tensor] = []
        pixels = self.iterate[0].numel()

        def closure() -> float:
            losses[:] = self._losses()
            total = losses[-1].sum()
            # A pixel's part of the loss falls with their number: without the factor fp16 would round it to nothing.
            (gradient,) = torch.autograd.grad(total * pixels, self.iterate)
            self.iterate.grad = gradient / pixels
            return total.item()

        for group in self._optimiser.param_groups:
            group["lr"] = self._rate(done)
        with torch.enable_grad():
            self._optimiser.step(closure)
        self._is_first = False
        with torch.no_grad():
            self.iterate.clamp_(0, 1)
            means = torch.stack(losses).mean(dim=1).tolist()
        return dict(zip(("content", "style", "variation", "total"), means, strict=True))

    def _losses(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Content, style, variation and their weighted sum, each (B,)."""
        gatys, options = self._gatys, self._options
        features = gatys.features(self.iterate)
        content = content_loss(features[gatys.content_layer], self._content)
        style = style_loss(gatys.style_targets(features), self._style)
        variation = total_variation(self.iterate)
        weighted = (
            options.content_weight * content + options.style_weight * style + options.variation_weight * variation
        )
        return content, style, variation, weighted

    def _begin(self, content: Tensor) -> Tensor:
        if self._options.start == "content":
            return content
        generator = torch.Generator()  # on the CPU: a seed means the same on every device
        if self._options.seed is None:
            generator.seed()
        else:
            generator.manual_seed(self._options.seed)
        return torch.rand(content.shape, generator=generator).to(content.device)

    def _make_optimiser(self) -> torch.optim.Optimizer:
        if self._options.optimiser == "adam":
            return torch.optim.Adam([self.iterate], betas=(0.9, 0.99))
        # One iteration a call, without tolerances that would end it: gradients are small where pixels are many.
        return torch.optim.LBFGS(
            [self.iterate], max_iter=1, history_size=HISTORY, tolerance_grad=0.0, tolerance_change=0.0
        )

    def _rate(self, done: float) -> float:
        if self._options.optimiser == "adam":
            return self._options.learning_rate * (1 - (1 - LAST_RATE) * done)
        # torch divides the first step by the gradient's absolute sum.
        return FIRST_MOVE * self.iterate.numel() if self._is_first else 1.0


def schedule(size: tuple[int, int], options: GatysOptions) -> list[tuple[tuple[int, int], int]]:
    """Height and width of each scale, from coarse to fine, and the step that ends it."""
    factors = [2 ** (-index / 2) for index in reversed(range(options.scales))]
    sizes = [(round(size[0] * factor), round(size[1] * factor)) for factor in factors]
    sizes = [each for each in sizes if min(each) >= COARSEST_PX or each == size]
    return [(each, options.steps * number // len(sizes)) for number, each in enumerate(sizes, 1)]


def mix_style_targets(styles: Sequence[StyleTargets], weights: Sequence[float]) -> StyleTargets:
    """Mix styles: by layer Σ wₖ·targetsₖ, the weights normalised to sum 1.

    A mix with the content's own targets is a weaker style, like AdaIN's ``alpha``.

    Args:
        styles: At least one; all of the same layers, kind and number of rows.
        weights: One per style, not negative, not all zero.
    """
    parts = [weight / sum(weights) for weight in weights]
    return {
        layer: torch.stack([part * style[layer] for style, part in zip(styles, parts, strict=True)]).sum(dim=0)
        for layer in styles[0]
    }


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images, (B, 3, H, W) in [0, 1]; returns the argument itself if it has that size."""
    if (images.shape[2], images.shape[3]) == size:
        return images
    return nn.functional.interpolate(images, size, mode="bicubic", antialias=True).clamp(0, 1)
