"""``StylizeInput``: one content image, its style images and controls, as the stylizer takes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from model_store.color import ColorStatistics, color_statistics, match_colors
from model_store.large_image import Box, LargeImage
from model_store.pixels import to_mask, to_tensor
from model_store.spatial_masks import mask_weights
from model_store.style import Style
from service.request import Color


@dataclass(frozen=True, eq=False)
class StyleImage:
    """A style image: a client's, or the one that is kept of a style with an id.

    Attributes:
        digest: Hash of the file's bytes and the size at which it is encoded; the same digest is the same style.
        image: RGB; ``None`` where the encoded style was in the cache when the job was decoded.
        remembered: The encoded style, in that case.
        encoder_sha256: Hash of the checkpoint that encoded it: another encoder's statistics mean other styles.
    """

    digest: str
    image: Image.Image | None
    remembered: Style | None = None
    encoder_sha256: str = ""

    def as_large_image(self, colors: ColorStatistics | None, device: torch.device) -> LargeImage:
        """Return the image, to be read in parts onto the device, recoloured to ``colors`` if they are given."""
        assert self.image is not None
        read = _reader(self.image, device)
        whole = LargeImage(self.image.height, self.image.width, read)
        if colors is None:
            return whole
        match = match_colors(color_statistics(map(read, whole.bands())), colors)
        return replace(whole, pixels=lambda box: match(read(box)).clamp_(0, 1))

    def pixels(self, colors: ColorStatistics | None, device: torch.device) -> Tensor:
        """Return the whole image, (1, 3, H, W) in [0, 1], recoloured to ``colors`` if they are given."""
        whole = self.as_large_image(colors, device)
        return whole.pixels(Box(0, 0, whole.height, whole.width))


@dataclass(frozen=True)
class StylizeInput:
    """One image of a batch, and how it is stylized.

    Attributes:
        content: RGB, of the size of the output.
        styles: Weight and source of each style of the mix: a stored style's id, or a style image.
        alpha: 0 keeps the content's own statistics, 1 takes the style's.
        seed: For networks that take noise; the others ignore it. In one batch all have one or none.
        color: ``match`` recolours style images to the content before they are encoded; ``luminance`` keeps the
            content's chroma; ``style`` does neither.
        masks: Where each of the styles applies: mode L, of the content's size; none for a mix that is everywhere.
    """

    content: Image.Image
    styles: Sequence[tuple[float, str | StyleImage]]
    alpha: float
    seed: int | None = None
    color: Color = "style"
    masks: Sequence[Image.Image] = ()

    def with_style(self, source: StyleImage, other: StyleImage) -> "StylizeInput":
        """Return the input with a style image replaced by another, of the same weight."""
        return replace(self, styles=[(weight, other if own is source else own) for weight, own in self.styles])

    def weights(self, device: torch.device) -> Tensor:
        """Return the weights of the styles, (1, K), fp32."""
        return torch.tensor([[weight for weight, _ in self.styles]], dtype=torch.float32).to(device)

    def content_colors(self, content: Tensor | LargeImage) -> ColorStatistics | None:
        """Return the colours to which style images are matched; ``None`` unless ``color`` is ``match``."""
        if self.color != "match":
            return None
        return color_statistics([content] if isinstance(content, Tensor) else map(content.pixels, content.bands()))

    def as_large_image(self, device: torch.device) -> LargeImage:
        """Return content and masks, to be read in parts onto the device."""
        weights = self.weights(device)

        def mask_part(box: Box) -> Tensor:
            parts = torch.cat([to_mask(mask.crop(box.corners), device) for mask in self.masks], dim=1)
            return mask_weights(parts, weights)

        image = self.content
        return LargeImage(image.height, image.width, _reader(image, device), mask_part if self.masks else None)


@dataclass(frozen=True)
class TiledProgress:
    """A finished tile: its number, from 1, and the content, of the output's size, with all finished tiles in it."""

    step: int
    steps: int
    output: Image.Image


def _reader(image: Image.Image, device: torch.device) -> Callable[[Box], Tensor]:
    """Return a function that reads parts of an image onto the device, (1, 3, H, W) in [0, 1]."""
    return lambda box: to_tensor([image.crop(box.corners)], device)
