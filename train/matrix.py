"""Photos × paintings: every photo painted like every painting, by a network that takes any style."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from model_store.network import AnyStyle
from model_store.pixels import to_images, to_tensor
from model_store.runtime import Runtime, to_runtime
from train.images import centre_square, fit_longer_side, read_image
from train.sheet import picture_grid


@torch.inference_mode()
def paint_matrix(
    network: AnyStyle, photos: Sequence[Path], paintings: Sequence[Path], size_px: int, cell_px: int, runtime: Runtime
) -> Image.Image:
    """One row a photo, one column a painting; the originals stand at the left and on top.

    Args:
        network: In fp32 on the CPU; it is moved to the runtime.
        photos: At least one.
        paintings: At least one.
        size_px: Side of the squares that are painted; paintings are encoded with that longer side.
        cell_px: Side of the squares that are shown.
        runtime: Where and in which type the network paints.

    Raises:
        DataError: A picture cannot be read.
    """
    network = to_runtime(network, runtime)
    originals = [read_image(path) for path in paintings]
    styles = [network.encode_style(to_tensor([fit_longer_side(image, size_px)], runtime.device)) for image in originals]
    rows = [[Image.new("RGB", (cell_px, cell_px), "white"), *(centre_square(image, cell_px) for image in originals)]]
    for path in photos:
        photo = centre_square(read_image(path), size_px)
        content = to_tensor([photo], runtime.device)
        painted = [to_images(network.paint(content, style))[0] for style in styles]
        rows.append([centre_square(image, cell_px) for image in (photo, *painted)])
    return picture_grid(rows)
