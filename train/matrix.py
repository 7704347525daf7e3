"""Content × style images: a grid of every content image in every style, by a network of any style."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from model_store.network import AnyStyle
from model_store.pixels import to_images, to_tensor
from model_store.runtime import Runtime, to_runtime
from train.images import centre_square, fit_longer_side, read_image
from train.sheet import image_grid


@torch.inference_mode()
def paint_matrix(
    network: AnyStyle,
    contents: Sequence[Path],
    style_images: Sequence[Path],
    size_px: int,
    cell_px: int,
    runtime: Runtime,
) -> Image.Image:
    """Stylize each content image, a row, in each style, a column; the originals stand at the left and on top.

    Args:
        network: In fp32 on the CPU; it is moved to the runtime.
        contents: At least one content image.
        style_images: At least one style image.
        size_px: Side of the squares that are stylized; style images are encoded with that longer side.
        cell_px: Side of the squares in the grid.
        runtime: Device and number type of the network.

    Raises:
        DataError: An image cannot be read.
    """
    network = to_runtime(network, runtime)
    originals = [read_image(path) for path in style_images]
    styles = [network.encode_style(to_tensor([fit_longer_side(image, size_px)], runtime.device)) for image in originals]
    rows = [[Image.new("RGB", (cell_px, cell_px), "white"), *(centre_square(image, cell_px) for image in originals)]]
    for path in contents:
        original = centre_square(read_image(path), size_px)
        content = to_tensor([original], runtime.device)
        outputs = [to_images(network.paint(content, style))[0] for style in styles]
        rows.append([centre_square(image, cell_px) for image in (original, *outputs)])
    return image_grid(rows)
