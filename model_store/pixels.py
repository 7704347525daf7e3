"""Pixels ⇄ tensors: 8-bit images of Pillow, and RGB in [0, 1] for the networks."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from model_store.image_files import resized
from model_store.orientation import Box

CPU = torch.device("cpu")


def to_tensor(images: Sequence[Image.Image], device: torch.device = CPU) -> Tensor:
    """Convert RGB images of one size → (B, 3, H, W) in [0, 1], fp32, channels last."""
    pixels = np.stack([np.asarray(image) for image in images])  # (B, H, W, 3)
    return from_bytes(torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2))


def from_bytes(pixels: Tensor) -> Tensor:
    """Convert levels 0 to 255, uint8 → the same shape in [0, 1], fp32."""
    return pixels.float() / 255


def shrunk(images: Tensor, factor: int) -> Tensor:
    """Make images smaller by a whole factor, bicubic, without aliasing: (B, 3, H, W) in [0, 1] → (B, 3, H/f, W/f)."""
    if factor == 1:
        return images
    height, width = (max(1, side // factor) for side in images.shape[2:])
    kept = images[:, :, : height * factor, : width * factor]
    return nn.functional.interpolate(kept, size=(height, width), mode="bicubic", antialias=True).clamp(0, 1)


def resize(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Resize an image as ``image_files.resized`` does, but RGB in a quarter of the time; pixels differ by rounding.

    Args:
        image: An image of any mode.
        size: Width and height of the result.
        box: The part of the image; by default all of it.
    """
    if image.mode != "RGB" or box is not None or image.size == size:
        return resized(image, size, box)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]  # uint8, channels last, as the fast kernel needs
    small = nn.functional.interpolate(pixels, size=size[::-1], mode="lanczos", antialias=True)
    return Image.fromarray(small[0].permute(1, 2, 0).contiguous().numpy())


def to_mask(image: Image.Image, device: torch.device = CPU) -> Tensor:
    """Convert an image of mode L → (1, 1, H, W) in [0, 1], fp32."""
    return from_bytes(torch.from_numpy(np.array(image))[None, None].to(device))


def to_images(images: Tensor) -> list[Image.Image]:
    """Convert (B, 3, H, W) near [0, 1], of any float type → RGB images."""
    pixels = to_bytes(images).permute(0, 2, 3, 1)  # (B, H, W, 3)
    return [Image.fromarray(image) for image in pixels.contiguous().cpu().numpy()]


def to_bytes(images: Tensor) -> Tensor:
    """Convert values near [0, 1], of any float type → the same shape as levels 0 to 255, uint8."""
    return images.detach().float().mul(255).round_().clamp_(0, 255).to(torch.uint8)
