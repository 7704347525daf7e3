"""Convolutions that pad with the image itself, and the changes of size around them."""

from typing import Literal

from torch import Tensor, nn


def padded_conv(
    in_channels: int,
    out_channels: int,
    kernel_px: int = 3,
    stride: int = 1,
    bias: bool = True,
    padding: Literal["reflect", "replicate"] = "reflect",
) -> nn.Conv2d:
    """Build a convolution to H/stride × W/stride that pads with the image itself, so that borders get no dark band.

    Reflection shows the better borders, but needs maps larger than the padding; replication takes any.
    """
    return nn.Conv2d(
        in_channels, out_channels, kernel_px, stride, padding=kernel_px // 2, bias=bias, padding_mode=padding
    )


class UpsampledConv(nn.Module):
    """Nearest upsampling, then a convolution: twice the size without the checkerboard of transposed convolutions."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        """Build a 3×3 convolution after a doubling of H and W."""
        super().__init__()
        self.conv = padded_conv(in_channels, out_channels, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        """Compute (B, C_in, H, W) → (B, C_out, 2H, 2W)."""
        return self.conv(doubled(features))  # type: ignore[no-any-return]


def doubled(features: Tensor) -> Tensor:
    """Enlarge by repeating each place: (B, C, H, W) → (B, C, 2H, 2W)."""
    return nn.functional.interpolate(features, scale_factor=2, mode="nearest")


def pad_to_stride(images: Tensor, stride: int) -> Tensor:
    """Extend H and W to multiples of a network's stride at the bottom and right.

    By reflection, or, where an image is smaller than the padding, by replication.
    """
    bottom, right = -images.shape[2] % stride, -images.shape[3] % stride
    if not bottom and not right:
        return images
    reflects = bottom < images.shape[2] and right < images.shape[3]
    return nn.functional.pad(images, (0, right, 0, bottom), mode="reflect" if reflects else "replicate")
